package kit_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
	"github.com/attune-rec/attune/models/pipeline"
	"github.com/attune-rec/attune/models/vector"
	"github.com/attune-rec/attune/models/vectortest"
)

// mean is a model whose shopper is the sum of the vectors in the history.
type mean struct {
	parity
	dim, n int
	vecs   []float32
	lists  [][]models.Neighbour
}

func (m *mean) Items() int         { return m.n }
func (m *mean) Dim() int           { return m.dim }
func (m *mean) Vectors() []float32 { return m.vecs }

func (m *mean) Embed(r *features.Request, dst []float32) bool {
	clear(dst)
	for _, it := range r.History() {
		linalg.Axpy(1, m.vecs[int(it.Row)*m.dim:][:m.dim], dst)
	}
	return len(r.History()) > 0
}

func (m *mean) Score(r *features.Request, items []features.Row, out []float32) {
	vec, _ := r.Scratch.Vector(m, m.dim, func(dst []float32) bool { return m.Embed(r, dst) })
	for i, row := range items {
		out[i] = linalg.Dot(vec, m.vecs[int(row)*m.dim:][:m.dim])
	}
}

func (m *mean) Explain(r *features.Request, item features.Row) (models.Evidence, bool) {
	best := models.Evidence{Item: features.NoRow}
	for _, it := range r.History() {
		if s := linalg.Dot(m.vecs[int(it.Row)*m.dim:][:m.dim], m.vecs[int(item)*m.dim:][:m.dim]); s > best.Contribution {
			best = models.Evidence{Item: it.Row, Type: it.Type, Contribution: s}
		}
	}
	return best, best.Contribution > 0
}

func (m *mean) Neighbours(item features.Row, k int, allow *features.Bitmap, dst []models.Neighbour) []models.Neighbour {
	for _, x := range m.lists[item] {
		if k == 0 {
			break
		}
		if allow == nil || allow.Has(x.Row) {
			dst = append(dst, x)
			k--
		}
	}
	return dst
}

// BenchmarkAnswer is the recipe of the home page over n items of 64 numbers,
// two vector searches among its sources, 20 events of history.
func BenchmarkAnswer(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		b.Run(fmt.Sprintf("items=%d", n), func(b *testing.B) { benchmarkAnswer(b, n) })
	}
}

func benchmarkAnswer(b *testing.B, n int) {
	const dim = 64
	rng := rand.New(rand.NewPCG(1, 1))
	m := &mean{dim: dim, n: n, vecs: vectortest.Vectors(n, dim, 1), lists: make([][]models.Neighbour, n)}
	items := make([]features.Item, n)
	for i := range n {
		for j := range 50 {
			m.lists[i] = append(m.lists[i], models.Neighbour{Row: features.Row(rng.IntN(n)), Score: 1 / float32(j+1)})
		}
		items[i] = features.Item{
			ID: fmt.Sprint(i), Category: []string{fmt.Sprint(i % 50)}, Brand: fmt.Sprint(i % 999),
			Created: now.AddDate(0, 0, -rng.IntN(900)),
		}
	}
	x, err := vector.NewExact(m.vecs, dim, 2)
	if err != nil {
		b.Fatal(err)
	}
	cat, err := catalog.Of(items)
	if err != nil {
		b.Fatal(err)
	}
	content := *m
	env := pipeline.Env{
		Models: map[string]models.Model{
			pipeline.ModelFactors: m, pipeline.ModelContent: &content, pipeline.ModelItems: &content,
			pipeline.ModelPopular: &wanted{parity{number: make([]int, n)}},
		},
		Indexes: map[string]models.Index{pipeline.ModelFactors: x, pipeline.ModelContent: x},
	}
	p := build(b, recipe(b, features.SurfaceHome), env, pipeline.Options{})
	var rs []*features.Request
	for range 64 {
		var rows []features.Row
		for range 20 {
			rows = append(rows, features.Row(rng.IntN(n)))
		}
		r := request(cat, known(rows...))
		r.Limit = 10
		rs = append(rs, r)
	}
	var ans pipeline.Answer
	b.ReportAllocs()
	considered := 0
	for i := 0; b.Loop(); i++ {
		if err := p.Answer(context.Background(), rs[i%64], &ans); err != nil {
			b.Fatal(err)
		}
		considered += ans.Considered
	}
	if len(ans.Items) != 10 || slices.ContainsFunc(ans.Items, func(it pipeline.Answered) bool { return it.Reason.Kind == "" }) {
		b.Fatalf("got %+v, want 10 items with reasons", ans.Items)
	}
	b.ReportMetric(float64(considered)/float64(b.N), "candidates/op")
}
