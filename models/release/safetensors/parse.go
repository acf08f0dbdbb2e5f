package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/attune-rec/attune/models"
)

// File is a parsed file. Its tensors view the bytes that were given to Parse.
type File struct {
	Tensors  map[string]models.Tensor
	Metadata map[string]string
}

// Names is the names of the tensors, in order.
func (f *File) Names() []string {
	names := make([]string, 0, len(f.Tensors))
	for n := range f.Tensors {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

// Parse reads a whole file without copying. It refuses with ErrInvalid what is
// cut short or too long, a header beyond MaxHeader, a key that is there twice,
// an unknown element type, and tensors that overlap, leave holes, lie outside
// or are not as long as their shape says.
func Parse(b []byte) (*File, error) {
	if len(b) < 8 {
		return nil, fmt.Errorf("%w: %d bytes cannot hold the header's length", ErrInvalid, len(b))
	}
	n := binary.LittleEndian.Uint64(b)
	if n > MaxHeader || n > uint64(len(b)-8) {
		return nil, fmt.Errorf("%w: header of %d bytes in a file of %d, at most %d allowed", ErrInvalid, n, len(b), MaxHeader)
	}
	head, data := b[8:8+n], b[8+n:]
	if len(head) == 0 || head[0] != '{' || !utf8.Valid(head) {
		return nil, fmt.Errorf("%w: header is no JSON object", ErrInvalid)
	}
	f := &File{Tensors: map[string]models.Tensor{}}
	spans, err := f.header(head)
	if err != nil {
		return nil, fmt.Errorf("%w: header: %w", ErrInvalid, err)
	}
	sort.Slice(spans, func(i, j int) bool {
		a, b := spans[i].Offsets, spans[j].Offsets
		return a[0] < b[0] || a[0] == b[0] && a[1] < b[1]
	})
	var at uint64
	for _, s := range spans {
		if s.Offsets[0] != at || s.Offsets[1] < at || s.Offsets[1] > uint64(len(data)) {
			return nil, fmt.Errorf("%w: tensor %q lies at %d to %d: expected it to begin at %d of %d bytes", ErrInvalid, s.name, s.Offsets[0], s.Offsets[1], at, len(data))
		}
		t := models.Tensor{DType: s.DType, Shape: s.Shape, Data: data[at:s.Offsets[1]:s.Offsets[1]]}
		if err := Check(t); err != nil {
			return nil, fmt.Errorf("%w: tensor %q: %w", ErrInvalid, s.name, err)
		}
		at = s.Offsets[1]
		if !strings.HasPrefix(s.name, PadPrefix) {
			f.Tensors[s.name] = t
		}
	}
	if at != uint64(len(data)) {
		return nil, fmt.Errorf("%w: tensors end at %d of %d bytes", ErrInvalid, at, len(data))
	}
	return f, nil
}

type span struct {
	entry
	name string
}

// header reads the entries; encoding/json alone would let the last of two equal
// keys win.
func (f *File) header(head []byte) ([]span, error) {
	dec := json.NewDecoder(bytes.NewReader(head))
	var spans []span
	err := object(dec, func(key string) error {
		if key == metaKey {
			f.Metadata = map[string]string{}
			return object(dec, func(k string) error {
				v, err := dec.Token()
				if err != nil {
					return err
				}
				s, ok := v.(string)
				if !ok {
					return fmt.Errorf("metadata %q is no string", k)
				}
				f.Metadata[k] = s
				return nil
			})
		}
		s := span{name: key}
		seen := 0
		err := object(dec, func(field string) error {
			seen++
			switch field {
			case "dtype":
				return dec.Decode(&s.DType)
			case "shape":
				return dec.Decode(&s.Shape)
			case "data_offsets":
				var o []uint64
				if err := dec.Decode(&o); err != nil {
					return err
				}
				if len(o) != 2 {
					return fmt.Errorf("data_offsets has %d numbers: expected 2", len(o))
				}
				s.Offsets = [2]uint64{o[0], o[1]}
				return nil
			}
			return fmt.Errorf("unknown field %q", field)
		})
		if err != nil {
			return fmt.Errorf("tensor %q: %w", key, err)
		}
		if seen != 3 || s.Shape == nil {
			return fmt.Errorf("tensor %q: expected dtype, shape and data_offsets", key)
		}
		spans = append(spans, s)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, fmt.Errorf("something follows the object")
	}
	return spans, nil
}

// object reads a JSON object key by key, f the values; equal keys are an error.
func object(dec *json.Decoder, f func(key string) error) error {
	open, err := dec.Token()
	if err != nil {
		return err
	}
	if open != json.Delim('{') {
		return fmt.Errorf("got %v, expected an object", open)
	}
	seen := map[string]bool{}
	for dec.More() {
		k, err := dec.Token()
		if err != nil {
			return err
		}
		key, ok := k.(string)
		if !ok {
			return fmt.Errorf("got %v, expected a key", k)
		}
		if seen[key] {
			return fmt.Errorf("key %q is there twice", key)
		}
		seen[key] = true
		if err := f(key); err != nil {
			return err
		}
	}
	_, err = dec.Token()
	return err
}
