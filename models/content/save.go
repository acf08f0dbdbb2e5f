package content

import (
	"fmt"
	"math"

	"github.com/attune-rec/attune/features/text"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
	"github.com/attune-rec/attune/models/taste"
)

var nan = float32(math.NaN())

// saved is the part of a model that is not numbers.
type saved struct {
	Taste      taste.Options `json:"taste"`
	Terms      []string      `json:"terms"`
	Mean       float64       `json:"mean,omitempty"`       // terms of an item on average where BM25 weighs them
	Embeddings int           `json:"embeddings,omitempty"` // last numbers of a vector that were made elsewhere
}

// Save implements models.Model.
func (m *Model) Save(w models.Writer) error {
	if err := w.JSON("content", saved{Taste: m.weigher.Options(), Terms: m.words.Terms(), Mean: m.words.Mean(), Embeddings: m.Dim() - m.project.Cols}); err != nil {
		return err
	}
	for _, t := range []struct {
		name   string
		tensor models.Tensor
	}{
		{"vectors", models.TensorOf(m.vectors.Data, m.vectors.Rows, m.vectors.Cols)},
		{"project", models.TensorOf(m.project.Data, m.project.Rows, m.project.Cols)},
		{"idf", models.TensorOf(m.words.IDF(), len(m.words.IDF()))},
	} {
		if err := w.Tensor(t.name, t.tensor); err != nil {
			return err
		}
	}
	return nil
}

// Open reads what Save wrote.
func Open(r models.Reader) (models.Model, error) {
	var s saved
	if err := r.JSON("content", &s); err != nil {
		return nil, err
	}
	weigher, err := taste.New(s.Taste, nil)
	if err != nil {
		return nil, err
	}
	m := &Model{Space: &Space{}, weigher: weigher}
	idf, err := numbers(r, "idf", len(s.Terms))
	if err != nil {
		return nil, err
	}
	if m.words, err = text.NewVectoriser(s.Terms, idf.Data, s.Mean); err != nil {
		return nil, err
	}
	if m.vectors, err = numbers(r, "vectors", -1, -1); err != nil {
		return nil, err
	}
	if s.Embeddings < 0 || s.Embeddings > m.vectors.Cols {
		return nil, fmt.Errorf("content has %d numbers of embeddings: expected 0 to the %d of a vector", s.Embeddings, m.vectors.Cols)
	}
	m.project, err = numbers(r, "project", len(s.Terms), m.vectors.Cols-s.Embeddings)
	return m, err
}

// numbers is a tensor of the reader as a matrix; a list is one row.
func numbers(r models.Reader, name string, shape ...int) (linalg.Matrix, error) {
	t, err := r.Tensor(name)
	if err != nil {
		return linalg.Matrix{}, err
	}
	data, err := models.View[float32](t, shape...)
	if err != nil {
		return linalg.Matrix{}, fmt.Errorf("%s: %w", name, err)
	}
	if len(t.Shape) == 1 {
		return linalg.MatrixOf(1, t.Shape[0], data), nil
	}
	return linalg.MatrixOf(t.Shape[0], t.Shape[1], data), nil
}
