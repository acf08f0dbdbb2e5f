// Package modeltest is the suite that every kind of model passes: Run. It
// imports models and what lies below.
package modeltest

import (
	"encoding/json"
	"fmt"

	"github.com/attune-rec/attune/models"
)

// Memory is a release in memory: what Save writes to and Open reads from.
type Memory struct {
	Tensors map[string]models.Tensor
	JSONs   map[string][]byte
	Models  map[string]models.Model // the parts of a composite, by name
}

// NewMemory is an empty release with the given parts.
func NewMemory(parts ...models.Part) *Memory {
	m := &Memory{Tensors: map[string]models.Tensor{}, JSONs: map[string][]byte{}, Models: map[string]models.Model{}}
	for _, p := range parts {
		m.Models[p.Name] = p.Model
	}
	return m
}

// WriteTensor implements models.Writer; the data is copied.
func (m *Memory) writeTensor(name string, t models.Tensor) error {
	if _, ok := m.Tensors[name]; ok {
		return fmt.Errorf("tensor %q is written twice", name)
	}
	n := t.DType.Size()
	for _, s := range t.Shape {
		n *= s
	}
	if n != len(t.Data) {
		return fmt.Errorf("tensor %q of shape %v and type %s has %d bytes: expected %d", name, t.Shape, t.DType, len(t.Data), n)
	}
	t.Data = append([]byte(nil), t.Data...)
	t.Shape = append([]int(nil), t.Shape...)
	m.Tensors[name] = t
	return nil
}

// Writer is the writing side.
func (m *Memory) Writer() models.Writer { return writer{m} }

// Reader is the reading side.
func (m *Memory) Reader() models.Reader { return reader{m} }

type writer struct{ m *Memory }

func (w writer) Tensor(name string, t models.Tensor) error { return w.m.writeTensor(name, t) }

func (w writer) JSON(name string, v any) error {
	if _, ok := w.m.JSONs[name]; ok {
		return fmt.Errorf("%q is written twice", name)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.m.JSONs[name] = b
	return nil
}

type reader struct{ m *Memory }

func (r reader) Tensor(name string) (models.Tensor, error) {
	t, ok := r.m.Tensors[name]
	if !ok {
		return models.Tensor{}, fmt.Errorf("no tensor %q", name)
	}
	return t, nil
}

func (r reader) JSON(name string, v any) error {
	b, ok := r.m.JSONs[name]
	if !ok {
		return fmt.Errorf("no %q", name)
	}
	return json.Unmarshal(b, v)
}

func (r reader) Model(name string) (models.Model, error) {
	m, ok := r.m.Models[name]
	if !ok {
		return nil, fmt.Errorf("no model %q", name)
	}
	return m, nil
}
