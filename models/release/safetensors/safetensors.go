// Package safetensors writes and reads the safetensors format: eight bytes with
// the little-endian length of a JSON header, the header, and the tensors' bytes
// one after another. It imports models for the tensor type.
//
// Files written here start every tensor at a multiple of Align bytes. The
// format allows no holes, so the bytes between two tensors are a tensor of
// their own, of type U8, whose name begins with PadPrefix; Parse leaves them
// out.
package safetensors

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"sort"
	"strconv"
	"strings"

	"github.com/attune-rec/attune/models"
)

// The limits and conventions of a file.
const (
	Align     = 64        // bytes a written tensor's start is a multiple of
	MaxHeader = 100 << 20 // bytes of JSON that a reader accepts
	PadPrefix = "~"       // of the names of tensors that only fill gaps
	metaKey   = "__metadata__"
)

// ErrInvalid is returned for bytes that are no safetensors file.
var ErrInvalid = errors.New("invalid safetensors")

// Named is a tensor and its name in a file.
type Named struct {
	Name   string
	Tensor models.Tensor
}

// Check reports a tensor whose type, shape and data do not agree.
func Check(t models.Tensor) error {
	if t.DType.Size() == 0 {
		return fmt.Errorf("type %q is unknown: expected F32, F64, I8, I32, I64 or U8", t.DType)
	}
	n, err := byteLen(t.DType, t.Shape)
	if err != nil {
		return err
	}
	if n != uint64(len(t.Data)) {
		return fmt.Errorf("shape %v of type %s has %d bytes: expected %d", t.Shape, t.DType, len(t.Data), n)
	}
	return nil
}

// Write writes the tensors, those with the widest elements first and by name
// within a width, so that equal tensors give equal bytes. Metadata may be nil.
func Write(w io.Writer, tensors []Named, metadata map[string]string) error {
	header, order, err := layout(tensors, metadata)
	if err != nil {
		return err
	}
	var length [8]byte
	binary.LittleEndian.PutUint64(length[:], uint64(len(header)))
	if _, err := w.Write(length[:]); err != nil {
		return err
	}
	if _, err := w.Write(header); err != nil {
		return err
	}
	for _, t := range order {
		if _, err := w.Write(t.Tensor.Data); err != nil {
			return err
		}
	}
	return nil
}

type entry struct {
	DType   models.DType `json:"dtype"`
	Shape   []int        `json:"shape"`
	Offsets [2]uint64    `json:"data_offsets"`
}

// layout is the padded header and the tensors in the order of their bytes,
// fillers included.
func layout(tensors []Named, metadata map[string]string) ([]byte, []Named, error) {
	sorted := append([]Named(nil), tensors...)
	sort.SliceStable(sorted, func(i, j int) bool {
		a, b := sorted[i], sorted[j]
		if sa, sb := a.Tensor.DType.Size(), b.Tensor.DType.Size(); sa != sb {
			return sa > sb
		}
		return a.Name < b.Name
	})
	head := make(map[string]any, 2*len(sorted)+1)
	if len(metadata) > 0 {
		head[metaKey] = metadata
	}
	var order []Named
	var at uint64
	put := func(n Named) {
		shape := n.Tensor.Shape
		if shape == nil {
			shape = []int{}
		}
		end := at + uint64(len(n.Tensor.Data))
		head[n.Name] = entry{DType: n.Tensor.DType, Shape: shape, Offsets: [2]uint64{at, end}}
		order, at = append(order, n), end
	}
	for _, n := range sorted {
		if n.Name == "" || n.Name == metaKey || strings.HasPrefix(n.Name, PadPrefix) {
			return nil, nil, fmt.Errorf("tensor name %q is reserved", n.Name)
		}
		if _, ok := head[n.Name]; ok {
			return nil, nil, fmt.Errorf("tensor %q is there twice", n.Name)
		}
		if err := Check(n.Tensor); err != nil {
			return nil, nil, fmt.Errorf("tensor %q: %w", n.Name, err)
		}
		if gap := int(-at % Align); gap > 0 && len(n.Tensor.Data) > 0 {
			put(Named{PadPrefix + strconv.Itoa(len(order)), models.Tensor{DType: models.U8, Shape: []int{gap}, Data: make([]byte, gap)}})
		}
		put(n)
	}
	header, err := json.Marshal(head)
	if err != nil {
		return nil, nil, err
	}
	if len(header) > MaxHeader-Align {
		return nil, nil, fmt.Errorf("header of %d tensors has %d bytes: a file may have %d", len(sorted), len(header), MaxHeader)
	}
	for (len(header)+8)%Align != 0 {
		header = append(header, ' ')
	}
	return header, order, nil
}

// byteLen is the bytes of a tensor; an error for a negative or too large shape.
func byteLen(d models.DType, shape []int) (uint64, error) {
	n := uint64(d.Size())
	for _, s := range shape {
		if s < 0 {
			return 0, fmt.Errorf("shape %v has a negative length", shape)
		}
		if s > 0 && n > math.MaxInt64/uint64(s) {
			return 0, fmt.Errorf("shape %v is too large", shape)
		}
		n *= uint64(s)
	}
	return n, nil
}
