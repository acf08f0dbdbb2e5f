package imported

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
	"github.com/attune-rec/attune/models/release/safetensors"
)

// ReadVectors reads the float matrix of that name in a safetensors file, a row
// an item; the only one there is where no name is given.
func ReadVectors(path, tensor string) (linalg.Matrix, error) {
	none := linalg.Matrix{}
	b, err := os.ReadFile(path)
	if err != nil {
		return none, err
	}
	f, err := safetensors.Parse(b)
	if err != nil {
		return none, err
	}
	if names := f.Names(); tensor == "" && len(names) == 1 {
		tensor = names[0]
	}
	t, ok := f.Tensors[tensor]
	if !ok {
		return none, fmt.Errorf("tensor %q is not there: name one of %s", tensor, strings.Join(f.Names(), ", "))
	}
	if len(t.Shape) != 2 || t.Shape[0] == 0 || t.Shape[1] == 0 {
		return none, fmt.Errorf("tensor %q has shape %v: expected items by factors", tensor, t.Shape)
	}
	t.Data = slices.Clone(t.Data) // files of others need not be aligned
	data, err := models.View[float32](t, -1, -1)
	if err != nil {
		return none, fmt.Errorf("tensor %q: %w", tensor, err)
	}
	return linalg.MatrixOf(t.Shape[0], t.Shape[1], data), nil
}

// ReadIDs reads which item a number is: line n of the file is the item of
// number n, from 0, or lines are "number<tab>item". An item or number that is
// there twice is an error.
func ReadIDs(path string) (map[int64]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	ids, seen := map[int64]string{}, map[string]int{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for n := 0; lines.Scan(); n++ {
		number, id := int64(n), strings.TrimSuffix(lines.Text(), "\r")
		if left, right, ok := strings.Cut(id, "\t"); ok {
			if number, err = strconv.ParseInt(left, 10, 64); err != nil {
				return nil, fmt.Errorf("%s: line %d: %w: expected \"number<tab>item\"", path, n+1, err)
			}
			id = right
		}
		if before, ok := seen[id]; ok || id == "" {
			return nil, fmt.Errorf("%s: line %d: item %q is empty or was there on line %d", path, n+1, id, before)
		}
		if _, ok := ids[number]; ok {
			return nil, fmt.Errorf("%s: line %d: number %d is there twice", path, n+1, number)
		}
		ids[number], seen[id] = id, n+1
	}
	return ids, lines.Err()
}
