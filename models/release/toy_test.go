package release

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// toy is a model that gives each row a number of its own.
type toy struct{ scores []float32 }

func (m *toy) Kind() string { return "toy" }
func (m *toy) Items() int   { return len(m.scores) }

func (m *toy) Score(_ *features.Request, items []features.Row, out []float32) {
	for i, row := range items {
		out[i] = m.scores[row]
	}
}

func (m *toy) Save(w models.Writer) error {
	if err := w.Tensor("scores", models.TensorOf(m.scores, len(m.scores))); err != nil {
		return err
	}
	return w.JSON("params", map[string]int{"items": len(m.scores)})
}

// mean is a composite: the mean of its parts.
type mean struct{ parts []models.Part }

func (m *mean) Kind() string         { return "mean" }
func (m *mean) Items() int           { return m.parts[0].Model.Items() }
func (m *mean) Parts() []models.Part { return m.parts }

func (m *mean) Score(r *features.Request, items []features.Row, out []float32) {
	one := make([]float32, len(out))
	clear(out)
	for _, p := range m.parts {
		p.Model.Score(r, items, one)
		for i := range out {
			out[i] += one[i] / float32(len(m.parts))
		}
	}
}

func (m *mean) Save(w models.Writer) error {
	var names []string
	for _, p := range m.parts {
		names = append(names, p.Name)
	}
	return w.JSON("parts", names)
}

func toyKinds(name string) (models.Kind, bool) {
	switch name {
	case "toy":
		return models.Kind{Name: name, Open: func(r models.Reader) (models.Model, error) {
			t, err := r.Tensor("scores")
			if err != nil {
				return nil, err
			}
			var p struct{ Items int }
			if err := r.JSON("params", &p); err != nil {
				return nil, err
			}
			s, err := models.View[float32](t, p.Items)
			return &toy{s}, err
		}}, true
	case "mean":
		return models.Kind{Name: name, Open: func(r models.Reader) (models.Model, error) {
			var names []string
			if err := r.JSON("parts", &names); err != nil {
				return nil, err
			}
			m := &mean{}
			for _, n := range names {
				p, err := r.Model(n)
				if err != nil {
					return nil, err
				}
				m.parts = append(m.parts, models.Part{Name: n, Model: p})
			}
			if len(m.parts) == 0 {
				return nil, errors.New("mean of nothing")
			}
			return m, nil
		}}, true
	}
	return models.Kind{}, false
}

// toyDraft is a release of n items whose scores begin at base.
func toyDraft(n int, base float32) Draft {
	d := Draft{Shop: "mugs", Now: time.Date(2026, 11, 22, 20, 3, 12, 42e6, time.UTC), Metrics: Metrics{"ndcg@10": {Value: .25, Low: .2, High: .3}}}
	a, b := make([]float32, n), make([]float32, n)
	for i := range n {
		d.Items = append(d.Items, features.Item{ID: fmt.Sprintf("mug-%d", i), Title: fmt.Sprintf("Mug %d", i), Category: []string{"Home", "Mugs"}, Prices: map[string]features.Money{"": features.MoneyOf(float64(i), "EUR")}})
		a[i], b[i] = base+float32(i), base-float32(i)
	}
	up, down := models.Part{Name: "up", Model: &toy{a}}, models.Part{Name: "down", Model: &toy{b}}
	d.Models = []models.Part{up, down, {Name: "both", Model: &mean{[]models.Part{up, down}}}}
	d.Recipes = []models.Recipe{{Surface: "home", Sources: []models.SourceSpec{{Name: "all", Source: "scores", Model: "both", Limit: 10}}, Ranker: models.RankerSpec{Ranker: "linear", Model: "up"}}}
	d.Lineage = Lineage{Events: 3, Users: 2, Seed: 1, Code: "v0", Parameters: map[string]any{"up": map[string]any{"k": 8.0}}}
	return d
}

func published(t *testing.T, st Store, d Draft) Manifest {
	t.Helper()
	m, err := Publish(context.Background(), st, d)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func opened(t *testing.T, st Store, m Manifest) *Release {
	t.Helper()
	r, err := Open(context.Background(), st, m.Shop, m.Version, toyKinds)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// stores is one of each kind, empty.
func stores(t *testing.T) map[string]Store {
	t.Helper()
	all := map[string]Store{"folder": NewFolder(t.TempDir())}
	for name, url := range map[string]string{"memory": "mem://", "file": "file://" + t.TempDir() + "?metadata=skip"} {
		st, err := OpenStore(context.Background(), url, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { st.Close() })
		all[name] = st
	}
	return all
}
