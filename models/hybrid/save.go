package hybrid

import (
	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
)

type saved struct {
	Items   int                `json:"items"`
	Weights map[string]float64 `json:"weights"`
	Params  Params             `json:"params"`
	Met     bool               `json:"met"` // there is a tensor of the items that anyone had; without it, all count as met
	Story   *Story             `json:"story,omitempty"`
}

// Save implements models.Model; the parts are models of the release themselves.
func (m *Model) Save(w models.Writer) error {
	if err := w.JSON("hybrid", saved{Items: m.items, Weights: m.Weights(), Params: m.params, Met: m.met != nil, Story: m.story}); err != nil {
		return err
	}
	if m.met != nil {
		met := make([]uint8, m.items)
		m.met.Each(func(row features.Row) bool {
			met[row] = 1
			return true
		})
		if err := w.Tensor("met", models.TensorOf(met, len(met))); err != nil {
			return err
		}
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
	if s.Met {
		t, err := r.Tensor("met")
		if err != nil {
			return nil, err
		}
		met, err := models.View[uint8](t, s.Items)
		if err != nil {
			return nil, err
		}
		m.met = features.NewBitmap(s.Items)
		for row, v := range met {
			if v != 0 {
				m.met.Set(features.Row(row)) // #nosec G115 -- rows are int32 by contract
			}
		}
	}
	m.measure(0)
	return m, nil
}
