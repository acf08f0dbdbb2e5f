package selector_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/pipeline"
	"github.com/attune-rec/attune/models/pipeline/selector"
)

type vectors struct {
	models.Model
	dim  int
	vecs []float32
}

func (v *vectors) Kind() string                            { return "vectors" }
func (v *vectors) Dim() int                                { return v.dim }
func (v *vectors) Vectors() []float32                      { return v.vecs }
func (v *vectors) Embed(*features.Request, []float32) bool { return false }

func ask(t *testing.T, spec models.ComponentSpec, env pipeline.Env, r *features.Request, scores ...float32) []features.Row {
	t.Helper()
	s, err := selector.Build(spec, env)
	if err != nil {
		t.Fatalf("build: %v", err)
	}
	r.Scratch = new(features.Scratch)
	var cs []pipeline.Candidate
	for i, v := range scores {
		cs = append(cs, pipeline.Candidate{Row: features.Row(i), Score: v})
	}
	var rows []features.Row
	for _, c := range s.Select(r, cs) {
		rows = append(rows, c.Row)
	}
	return rows
}

func request(limit int, items ...features.Item) *features.Request {
	r := &features.Request{Query: features.Query{Limit: limit}}
	if len(items) > 0 {
		for i := range items {
			items[i].ID = fmt.Sprint(i)
		}
		cat, err := catalog.Of(items)
		if err != nil {
			panic(err)
		}
		r.Catalog = cat
	}
	return r
}

func TestCaps(t *testing.T) {
	items := []features.Item{
		{Brand: "x", Category: []string{"A", "B"}, Group: "g"}, {Brand: "x", Category: []string{"A", "C"}}, {Brand: "y", Category: []string{"Z", "B"}},
		{Group: "g"}, {Brand: "x", Seller: "s"}, {Seller: "s"}, {}, {},
	}
	for name, c := range map[string]struct {
		params map[string]any
		want   []features.Row
	}{
		"brand":    {map[string]any{"brand": 2}, []features.Row{0, 1, 2, 3, 5, 6, 7}},
		"category": {map[string]any{"category": 1}, []features.Row{0, 1, 3, 4, 5, 6, 7}},
		"group":    {map[string]any{"group": 1}, []features.Row{0, 1, 2, 4, 5, 6, 7}},
		"seller":   {map[string]any{"seller": 1}, []features.Row{0, 1, 2, 3, 4, 6, 7}},
		"two":      {map[string]any{"brand": 1, "seller": 1}, []features.Row{0, 2, 3, 5, 6, 7}},
	} {
		got := ask(t, models.ComponentSpec{Name: "caps", Params: c.params}, pipeline.Env{}, request(5, items...), 8, 7, 6, 5, 4, 3, 2, 1)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got rows %v, want %v", name, got, c.want)
		}
	}
}

// TestMMRAgainstTwin follows the definition.
func TestMMRAgainstTwin(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	for trial := range 200 {
		n, dim, limit := 1+rng.IntN(30), 4, 1+rng.IntN(12)
		m := &vectors{dim: dim, vecs: make([]float32, n*dim)}
		for i := range m.vecs {
			m.vecs[i] = float32(rng.NormFloat64())
		}
		clear(m.vecs[:dim]) // one without a direction
		scores := make([]float32, n)
		for i := range scores {
			scores[i] = float32(rng.NormFloat64())
		}
		slices.SortFunc(scores, func(a, b float32) int { return int(math.Copysign(1, float64(b-a))) })
		lambda := []float64{0, .3, .7, 1}[trial%4]
		env := pipeline.Env{Models: map[string]models.Model{"m": m}}
		spec := models.ComponentSpec{Name: "mmr", Params: map[string]any{"lambda": lambda, "model": "m", "window": 1 + rng.IntN(40)}}
		window := spec.Params["window"].(int)
		got := ask(t, spec, env, request(limit), scores...)
		if want := mmr(m, scores, lambda, min(n, max(window, limit)), limit); !slices.Equal(got, want) {
			t.Fatalf("trial %d, lambda %v, window %d, limit %d: got %v, want %v", trial, lambda, window, limit, got, want)
		}
	}
}

func mmr(m *vectors, scores []float32, lambda float64, window, limit int) []features.Row {
	cosine := func(a, b int) float64 {
		var ab, aa, bb float64
		for k := range m.dim {
			x, y := float64(m.vecs[a*m.dim+k]), float64(m.vecs[b*m.dim+k])
			ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
		}
		if aa == 0 || bb == 0 {
			return 0
		}
		return max(0, ab/math.Sqrt(aa*bb))
	}
	top, low := float64(scores[0]), float64(scores[window-1])
	if top == low {
		top = low + 1
	}
	var taken []int
	if min(limit, window) >= 2 {
		for len(taken) < min(limit, window) {
			best, at := math.Inf(-1), -1
			for i := range window {
				if slices.Contains(taken, i) {
					continue
				}
				alike := 0.0
				for _, j := range taken {
					alike = max(alike, cosine(i, j))
				}
				if v := lambda*(float64(scores[i])-low)/(top-low) - (1-lambda)*alike; v > best+1e-7 {
					best, at = v, i
				}
			}
			taken = append(taken, at)
		}
	}
	var rows []features.Row
	for _, i := range taken {
		rows = append(rows, features.Row(i))
	}
	for i := range scores {
		if !slices.Contains(taken, i) {
			rows = append(rows, features.Row(i))
		}
	}
	return rows
}

func TestMMRByCatalogue(t *testing.T) {
	items := []features.Item{
		{Category: []string{"Home", "Mugs"}, Brand: "x"}, {Category: []string{"Home", "Mugs"}, Brand: "x"},
		{Category: []string{"Home", "Mugs"}, Brand: "y"}, {Category: []string{"Fashion"}, Brand: "z"},
	}
	spec := models.ComponentSpec{Name: "mmr", Params: map[string]any{"lambda": .4}}
	if got := ask(t, spec, pipeline.Env{}, request(3, items...), 1, .95, .9, .6); !slices.Equal(got, []features.Row{0, 3, 2, 1}) {
		t.Errorf("got rows %v, want 0, 3, 2, 1", got)
	}
	nan := float32(math.NaN())
	if got := ask(t, spec, pipeline.Env{}, request(4, items...), 1, .9, nan, nan); !slices.Equal(got, []features.Row{0, 1, 2, 3}) {
		t.Errorf("got rows %v, want what cannot be judged last", got)
	}
}

func TestBuildRefuses(t *testing.T) {
	env := pipeline.Env{Models: map[string]models.Model{}}
	for name, spec := range map[string]models.ComponentSpec{
		"no caps": {Name: "caps"}, "cap below 0": {Name: "caps", Params: map[string]any{"brand": -1}},
		"lambda": {Name: "mmr", Params: map[string]any{"lambda": 1.5}}, "window": {Name: "mmr", Params: map[string]any{"window": 0}},
		"model": {Name: "mmr", Params: map[string]any{"model": "m"}}, "unknown": {Name: "shuffle"},
	} {
		if _, err := selector.Build(spec, env); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}
