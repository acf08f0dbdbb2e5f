package rules

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Dictionary numbers item names densely, in the order of their first use. The
// zero value is empty.
type Dictionary struct {
	names  []string
	number map[string]int32
}

// Len is the number of names.
func (d *Dictionary) Len() int { return len(d.names) }

// Name returns the name of an item, or "" for a number out of range.
func (d *Dictionary) Name(item int32) string {
	if item < 0 || int(item) >= len(d.names) {
		return ""
	}
	return d.names[item]
}

// Names returns the names of items.
func (d *Dictionary) Names(items []int32) []string {
	names := make([]string, len(items))
	for i, item := range items {
		names[i] = d.Name(item)
	}
	return names
}

// Find returns the number of a name.
func (d *Dictionary) Find(name string) (item int32, ok bool) {
	item, ok = d.number[name]
	return item, ok
}

// Add returns the number of a name, new or known.
func (d *Dictionary) Add(name string) int32 { return d.add([]byte(name)) }

// add returns the number of a name, new or known. The bytes are not kept.
func (d *Dictionary) add(name []byte) int32 {
	if item, ok := d.number[string(name)]; ok {
		return item
	}
	if d.number == nil {
		d.number = map[string]int32{}
	}
	item := int32(len(d.names))
	text := string(name)
	d.names = append(d.names, text)
	d.number[text] = item
	return item
}

// MaxLine is the largest length of a line of baskets, in bytes.
const MaxLine = 16 << 20

// LineError says what is wrong with which line of a text.
type LineError struct {
	Line int // from 1
	Err  error
}

func (e *LineError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

// Unwrap returns the cause.
func (e *LineError) Unwrap() error { return e.Err }

// ReadBaskets reads a basket a line. Items are parted by blanks and tabs when
// separator is "", and by separator otherwise, with blanks around them trimmed.
// An item that repeats counts once; empty lines are skipped. Errors in the text
// are of type *LineError.
func ReadBaskets(r io.Reader, separator string) (*Baskets, *Dictionary, error) {
	if strings.ContainsAny(separator, "\r\n") {
		return nil, nil, errors.New("the separator must not hold a line break")
	}
	baskets, dictionary := &Baskets{}, &Dictionary{}
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), MaxLine)
	var items []int32
	number := 0
	for lines.Scan() {
		number++
		line := lines.Bytes()
		if number == 1 {
			line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		var err error
		if items, err = splitLine(items[:0], line, separator, dictionary); err == nil {
			err = baskets.Add(items...)
		}
		if err != nil {
			return nil, nil, &LineError{number, err}
		}
	}
	if err := lines.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			err = fmt.Errorf("longer than %d bytes: is this a text file with a basket a line?", MaxLine)
		}
		return nil, nil, &LineError{number + 1, err}
	}
	return baskets, dictionary, nil
}

// splitLine appends the items of one line.
func splitLine(dst []int32, line []byte, separator string, d *Dictionary) ([]int32, error) {
	if !utf8.Valid(line) || bytes.IndexByte(line, 0) >= 0 {
		return dst, errors.New("not UTF-8 text: is the file compressed or in another encoding?")
	}
	if separator == "" {
		for name := range bytes.FieldsSeq(line) {
			dst = append(dst, d.add(name))
		}
		return dst, nil
	}
	for field := range bytes.SplitSeq(line, []byte(separator)) {
		name := bytes.TrimSpace(field)
		if len(name) == 0 {
			return dst, fmt.Errorf("item %d is empty: two separators %q in a row, or one at the end", len(dst)+1, separator)
		}
		dst = append(dst, d.add(name))
	}
	return dst, nil
}
