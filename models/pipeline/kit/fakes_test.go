package kit_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
	"github.com/attune-rec/attune/models/pipeline"
	"github.com/attune-rec/attune/models/pipeline/kit"
	"github.com/attune-rec/attune/models/vector"
)

// shelfItems is how many items the tests' shop has: even ones are mugs, odd ones are
// scarves. perm, where given, puts item i into row perm[i].
const shelfItems = 24

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func shelf(t testing.TB, perm []int) *catalog.Snapshot {
	t.Helper()
	items := make([]features.Item, shelfItems)
	for i := range shelfItems {
		it := features.Item{
			ID: fmt.Sprintf("item-%d", i), Kind: features.Product, Title: fmt.Sprintf("Item %d", i),
			Category: []string{"Home", "Mugs"}, Brand: fmt.Sprintf("brand-%d", i%3),
			Prices: map[string]features.Money{"": features.MoneyOf(float64(i), "EUR")}, Language: "en",
			Created: now.AddDate(0, 0, -10*(i+1)),
		}
		if i%2 == 1 {
			it.Category = []string{"Fashion", "Scarves"}
		}
		if i%3 == 0 {
			it.Links = []string{"item-22", fmt.Sprintf("item-%d", (i+7)%shelfItems), fmt.Sprintf("item-%d", (i+5)%shelfItems)}
		}
		switch i {
		case 20:
			it.Markets = []string{"DE"}
		case 21:
			it.Stock = map[string]int32{"DE": 0}
		case 22:
			it.Hidden = true
		case 23:
			it.SaleEnd = now
		case 18:
			it.MinAge = 18
		case 16:
			it.Group = "g14"
		case 14:
			it.Group = "g14"
		}
		items[at(perm, i)] = it
	}
	c, err := catalog.Of(items)
	if err != nil {
		t.Fatalf("catalog: %v", err)
	}
	return c
}

func at(perm []int, i int) int {
	if perm == nil {
		return i
	}
	return perm[i]
}

// parity is a model for which likes are even or odd: an item's vector is its
// side of the board, and a little less for each item of a higher number.
type parity struct {
	number []int // of the item in each row
	vecs   []float32
}

const parityDim = 3

func newParity(perm []int) *parity {
	m := &parity{number: make([]int, shelfItems), vecs: make([]float32, shelfItems*parityDim)}
	for i := range shelfItems {
		row := at(perm, i)
		m.number[row] = i
		m.vecs[row*parityDim+i%2] = 1
		m.vecs[row*parityDim+2] = -float32(i) / 64
	}
	return m
}

func (m *parity) Kind() string             { return "parity" }
func (m *parity) Items() int               { return shelfItems }
func (m *parity) Save(models.Writer) error { return errors.New("not kept") }
func (m *parity) Dim() int                 { return parityDim }
func (m *parity) Vectors() []float32       { return m.vecs }

func (m *parity) Embed(r *features.Request, dst []float32) bool {
	clear(dst)
	for _, it := range r.History() {
		if int(it.Row) < shelfItems {
			dst[m.number[it.Row]%2]++
		}
	}
	dst[2] = 1
	return dst[0]+dst[1] > 0
}

func (m *parity) Score(r *features.Request, items []features.Row, out []float32) {
	vec, ok := r.Scratch.Vector(m, parityDim, func(dst []float32) bool { return m.Embed(r, dst) })
	for i, row := range items {
		out[i] = float32(math.NaN())
		if ok && int(row) < shelfItems {
			out[i] = linalg.Dot(vec, m.vecs[int(row)*parityDim:][:parityDim])
		}
	}
}

func (m *parity) Explain(r *features.Request, item features.Row) (models.Evidence, bool) {
	h := r.History()
	for i := len(h) - 1; i >= 0; i-- {
		if int(item) < shelfItems && h[i].Row != item && m.number[h[i].Row]%2 == m.number[item]%2 {
			return models.Evidence{Item: h[i].Row, Type: h[i].Type, Contribution: 1}, true
		}
	}
	return models.Evidence{}, false
}

// beside is neighbours: of the same parity, the nearer number the closer, the
// lower of two before the higher.
type beside struct{ parity }

func (m *beside) Neighbours(item features.Row, k int, allow *features.Bitmap, dst []models.Neighbour) []models.Neighbour {
	if item < 0 || int(item) >= shelfItems {
		return dst
	}
	start := len(dst)
	for row := range features.Row(shelfItems) {
		d := m.number[row] - m.number[item]
		if d != 0 && d%2 == 0 && (allow == nil || allow.Has(row)) {
			far := float32(1+d*d) + float32(m.number[item])/500 // no ties: they would fall by row
			if d > 0 {
				far += .1
			}
			dst = append(dst, models.Neighbour{Row: row, Score: 1 / far})
		}
	}
	slices.SortFunc(dst[start:], func(a, b models.Neighbour) int {
		switch {
		case a.Score > b.Score:
			return -1
		case a.Score < b.Score:
			return 1
		}
		return m.number[a.Row] - m.number[b.Row]
	})
	return dst[:min(len(dst), start+k)]
}

// wanted is popularity: low numbers, in France high ones.
type wanted struct{ parity }

func (m *wanted) Score(r *features.Request, items []features.Row, out []float32) {
	for i, row := range items {
		out[i] = float32(math.NaN())
		if int(row) < shelfItems {
			out[i] = float32(shelfItems - m.number[row])
			if r.Market == "FR" {
				out[i] = float32(m.number[row] + 1)
			}
		}
	}
}

func (m *wanted) Explain(*features.Request, features.Row) (models.Evidence, bool) {
	return models.Evidence{}, false
}

func environment(t testing.TB, perm []int) pipeline.Env {
	t.Helper()
	p := newParity(perm)
	x, err := vector.NewExact(p.vecs, parityDim, 1)
	if err != nil {
		t.Fatalf("index: %v", err)
	}
	tailed := vector.WithTail(x, shelfItems, parityDim)
	return pipeline.Env{
		Models: map[string]models.Model{
			pipeline.ModelFactors: p, pipeline.ModelContent: p,
			pipeline.ModelItems: &beside{*p}, pipeline.ModelPopular: &wanted{*p},
		},
		Indexes: map[string]models.Index{pipeline.ModelFactors: tailed, pipeline.ModelContent: tailed},
	}
}

func recipe(t testing.TB, surface string) models.Recipe {
	t.Helper()
	for _, r := range pipeline.Defaults() {
		if r.Surface == surface {
			r.Budget = 0 // nothing here depends on the clock
			return r
		}
	}
	t.Fatalf("no recipe for %q", surface)
	return models.Recipe{}
}

func build(t testing.TB, r models.Recipe, env pipeline.Env, opts pipeline.Options) *pipeline.Pipeline {
	t.Helper()
	p, err := kit.New(r, env, opts)
	if err != nil {
		t.Fatalf("new: %v", err)
	}
	return p
}

func answer(t testing.TB, p *pipeline.Pipeline, r *features.Request) *pipeline.Answer {
	t.Helper()
	var ans pipeline.Answer
	if err := p.Answer(context.Background(), r, &ans); err != nil {
		t.Fatalf("answer: %v", err)
	}
	return &ans
}

func known(rows ...features.Row) *features.Shopper {
	s := &features.Shopper{Consent: features.AllPurposes}
	for i, row := range rows {
		s.Recent = append(s.Recent, features.Interaction{
			Row: row, Type: features.View, TimeMS: now.Add(time.Duration(i-100) * time.Hour).UnixMilli(), Quantity: 1,
		})
	}
	return s
}

func request(c features.Catalog, s *features.Shopper) *features.Request {
	return &features.Request{
		Query:   features.Query{Shop: features.DefaultShop, Surface: features.SurfaceHome, Now: now, Limit: 5},
		Shopper: s, Item: features.NoRow, Catalog: c,
	}
}
