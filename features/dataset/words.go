package dataset

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/attune-rec/attune/features"
)

// LoadWords reads the items' words from the file at path, which Open unpacks:
// bags of words, "n word:count word:count ..." a line, the item being the
// line's number, from 0. It returns an item for each name of items, in their
// order, whose description is the words, each as often as it counts; names that
// are no line's number have none.
func LoadWords(path string, items []string) ([]features.Item, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readWords(path, f, items)
}

// most is how often one word may count in an item: more says nothing more, and
// a broken file must not fill the memory.
const most = 1000

func readWords(name string, r io.Reader, items []string) ([]features.Item, error) {
	at := make(map[int]int, len(items))
	out := make([]features.Item, len(items))
	for row, id := range items {
		out[row] = features.Item{ID: id, Kind: features.Product}
		if line, err := strconv.Atoi(id); err == nil {
			at[line] = row
		}
	}
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 1<<16), 64<<20)
	for line := 0; lines.Scan(); line++ {
		row, ok := at[line]
		fields := bytes.Fields(lines.Bytes())
		if len(fields) == 0 {
			continue
		}
		bad := func(got []byte, want string) error {
			return fmt.Errorf("%s:%d: %w: got %q: expected %s", name, line+1, ErrFormat, got, want)
		}
		if n, err := strconv.Atoi(string(fields[0])); err != nil || n != len(fields)-1 {
			return nil, bad(fields[0], fmt.Sprintf("the number of words, %d", len(fields)-1))
		}
		var text strings.Builder
		for _, field := range fields[1:] {
			word, number, found := bytes.Cut(field, []byte{':'})
			count, err := strconv.Atoi(string(number))
			if !found || err != nil || count < 1 || count > most || len(word) == 0 {
				return nil, bad(field, "word:count")
			}
			for range count {
				text.WriteString("w")
				text.Write(word)
				text.WriteByte(' ')
			}
		}
		if ok {
			out[row].Description = text.String()
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return out, nil
}
