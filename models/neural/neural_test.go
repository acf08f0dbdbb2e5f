package neural

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/features/raced"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/attribute"
	"github.com/attune-rec/attune/models/modeltest"
	"github.com/attune-rec/attune/models/nn"
)

func TestKinds(t *testing.T) {
	for _, kind := range []models.Kind{GMF(), MLP(), NeuMF()} {
		if raced.On && kind.Name != "neumf" {
			continue // the goroutines are the same
		}
		t.Run(kind.Name, func(t *testing.T) {
			modeltest.Run(t, kind, modeltest.Options{Params: `{"epochs": 60, "batch": 256, "rate": 0.01}`})
		})
	}
	t.Run("pairwise", func(t *testing.T) {
		modeltest.Run(t, NeuMF(), modeltest.Options{Params: `{"epochs": 60, "batch": 256, "rate": 0.01, "loss": "pairwise"}`})
	})
}

var shapes = map[string]Shape{
	"gmf": {GMF: 3}, "mlp": {MLP: 2, Hidden: []int{4, 3}}, "neumf": {GMF: 3, MLP: 2, Hidden: []int{4, 3}},
}

func rng() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

// check holds the gradients that step leaves to central differences.
func check(t *testing.T, params nn.Params[float64], step func() float64) {
	t.Helper()
	params.Clear()
	step()
	var want [][]float64
	for _, p := range params {
		want = append(want, append([]float64(nil), p.G...))
	}
	for i, p := range params {
		for j := range p.W {
			const h = 1e-5
			was := p.W[j]
			p.W[j] = was + h
			up := step()
			p.W[j] = was - h
			down := step()
			p.W[j] = was
			if numeric := (up - down) / (2 * h); math.Abs(numeric-want[i][j]) > 1e-6*(1+math.Abs(numeric)) {
				t.Fatalf("%s[%d]: got gradient %v, want %v", p.Name, j, want[i][j], numeric)
			}
		}
	}
}

// visits has a shopper with weights and one twice met, and one of one item.
func visits() []Visit {
	return []Visit{
		{Rows: []int32{0, 2, 5}, Weights: []float32{1, .5, 2}, Items: []int32{2, 1, 3, 5, 4}, Own: []int32{1, -1, -1, 2, -1}},
		{Rows: []int32{3}, Weights: []float32{1}, Items: []int32{3, 0}, Own: []int32{0, -1}},
	}
}

// said is a catalogue of six items, one of which has nothing in common with
// another.
func said(t *testing.T) *attribute.Table {
	t.Helper()
	var b dataset.Builder
	list := make([]features.Item, 6)
	for i := range list {
		b.Item(fmt.Sprint(i))
		list[i] = features.Item{ID: fmt.Sprint(i), Brand: fmt.Sprint("brand", i%2), Tags: []string{fmt.Sprint("tag", i/2)}}
	}
	list[4].Brand, list[4].Tags = "", nil
	d := b.Build()
	var err error
	if d.Catalog, err = catalog.Of(list); err != nil {
		t.Fatal(err)
	}
	table := attribute.Of(d)
	if table == nil || table.Names() < 3 {
		t.Fatal("the items have nothing in common")
	}
	return table
}

func TestGradients(t *testing.T) {
	for name, s := range shapes {
		for _, described := range []bool{false, true} {
			for _, pairwise := range []bool{false, true} {
				t.Run(fmt.Sprintf("pool %s, described %t, pairwise %t", name, described, pairwise), func(t *testing.T) {
					var a *attribute.Table
					if described {
						a = said(t)
					}
					p := NewPool[float64](6, s, .5, a, rng())
					p.Pairwise = pairwise
					for _, q := range p.Params() {
						q.Normal(rng(), .7)
					}
					check(t, p.Params(), func() float64 { return .3 * p.Step(visits(), .3) })
				})
			}
		}
		t.Run("ids "+name, func(t *testing.T) {
			n := NewIDs[float64](4, 5, s, rng())
			for _, q := range n.Params() {
				q.Normal(rng(), .7)
			}
			check(t, n.Params(), func() float64 {
				return .3 * n.Step([]int32{0, 3, 3}, []int32{1, 1, 4}, []float64{1, 0, 1}, .3)
			})
		})
	}
}

// The float32 network has the gradients of its twin in float64.
func TestSinglePrecision(t *testing.T) {
	for name, s := range shapes {
		a := said(t)
		p, q := NewPool[float64](6, s, .5, a, rng()), NewPool[float32](6, s, .5, a, rng())
		for i, a := range p.Params() {
			a.Normal(rng(), .7)
			for j, w := range a.W {
				q.Params()[i].W[j] = float32(w)
			}
		}
		p.Step(visits(), 1)
		q.Step(visits(), 1)
		for i, a := range p.Params() {
			for j, want := range a.G {
				if got := float64(q.Params()[i].G[j]); math.Abs(got-want) > 1e-3*(1+math.Abs(want)) {
					t.Fatalf("%s, %s[%d]: got gradient %v, want %v", name, a.Name, j, got, want)
				}
			}
		}
	}
}

// What serving scores is what training predicts: the logit of an item that is
// not in the history.
func TestServingAgreesWithTraining(t *testing.T) {
	for name, s := range shapes {
		p := NewPool[float32](300, s, .5, nil, rng())
		for _, q := range p.Params() {
			q.Normal(rng(), .7)
		}
		d := modeltest.Board(50, nil)
		tr, err := newTrainer(KindNeuMF, models.FitInput{Train: d, Workers: 1})
		if err != nil {
			t.Fatal(err)
		}
		tr.params.Shape, tr.nets, tr.seen.Cols = s, []*Pool[float32]{p}, 300
		m := tr.model()
		r := modeltest.Request(d, 4)
		rows, out := make([]features.Row, 300), make([]float32, 300)
		for i := range rows {
			rows[i] = features.Row(i)
		}
		m.Score(r, rows, out)
		cols, vals := tr.seen.Row(4)
		if vals == nil {
			vals = ones(len(cols))
		}
		for item := range int32(300) {
			// The cross-entropy of an item never met is softplus(logit).
			loss := p.Step([]Visit{{Rows: cols, Weights: vals, Items: []int32{item}, Own: []int32{-1}}}, 1)
			if want := math.Log1p(math.Exp(float64(out[item]))); math.Abs(loss-want) > 1e-4*(1+want) {
				t.Fatalf("%s, item %d: got a loss of %v from the score, want %v", name, item, want, loss)
			}
		}
	}
}

func BenchmarkScore500(b *testing.B) {
	d := modeltest.Board(50, nil)
	tr, err := newTrainer(KindNeuMF, models.FitInput{Train: d, Workers: 1})
	if err != nil {
		b.Fatal(err)
	}
	tr.nets[0], tr.seen.Cols = NewPool[float32](20_000, tr.params.Shape, .5, nil, rng()), 20_000
	m, r := tr.model(), modeltest.Request(d, 4)
	rows, out := make([]features.Row, 500), make([]float32, 500)
	for i := range rows {
		rows[i] = features.Row(i * 37 % 20_000)
	}
	for range b.N {
		r.Scratch.Reset()
		m.Score(r, rows, out)
	}
}
