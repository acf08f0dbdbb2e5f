package hybrid

import (
	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
)

type saved struct {
	Items   int                `json:"items"`
	Weights map[string]float64 `json:"weights"`
	Params  Params             `json:"params"`
	Story   *Story             `json:"story,omitempty"`
}

// Save implements models.Model; the parts are models of the release themselves.
func (m *Model) Save(w models.Writer) error {
	if err := w.JSON("hybrid", saved{Items: m.items, Weights: m.Weights(), Params: m.params, Story: m.story}); err != nil {
		return err
	}
	return w.Tensor("anchors", models.TensorOf(m.anchors, len(m.anchors)))
}

// Open reads what Save wrote.
func Open(r models.Reader) (models.Model, error) {
	var s saved
	if err := r.JSON("hybrid", &s); err != nil {
		return nil, err
	}
	t, err := r.Tensor("anchors")
	if err != nil {
		return nil, err
	}
	anchors, err := models.View[features.Row](t, -1)
	if err != nil {
		return nil, err
	}
	parts := make([]models.Part, 0, len(s.Weights))
	for name := range s.Weights {
		part, err := r.Model(name)
		if err != nil {
			return nil, err
		}
		parts = append(parts, models.Part{Name: name, Model: part})
	}
	m, err := build(parts, s.Weights, anchors, s.Items)
	if err != nil {
		return nil, err
	}
	m.params, m.story = s.Params, s.Story
	m.measure(0)
	return m, nil
}
