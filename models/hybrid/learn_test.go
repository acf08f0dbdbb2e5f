package hybrid

import (
	"context"
	"math"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
)

// oracle scores an item by its row's distance to what the user will do next,
// which it reads off the shopper's last item, or by noise.
type oracle struct {
	models.Model
	items int
	score func(last, row int) float64
}

func (o oracle) Items() int { return o.items }

func (o oracle) Score(r *features.Request, items []features.Row, out []float32) {
	last := int(r.Shopper.Recent[len(r.Shopper.Recent)-1].Row)
	for i, row := range items {
		out[i] = float32(o.score(last, int(row)))
	}
}

// chain is users who go from item i to item i+1.
func chain(users, items int) (history, truth *dataset.Dataset) {
	var h, n dataset.Builder
	for _, b := range []*dataset.Builder{&h, &n} {
		for i := range items {
			b.Item(string(rune('a' + i)))
		}
	}
	for u := range users {
		name := string(rune('A' + u))
		i := (u * 7) % (items - 2)
		h.Add(name, string(rune('a'+i)), "", features.Interaction{Type: features.Purchase, TimeMS: 1})
		n.Add(name, string(rune('a'+i+1)), "", features.Interaction{Type: features.Purchase, TimeMS: 2})
	}
	return h.Build(), n.Build()
}

func TestLearnFindsTheHelpfulPart(t *testing.T) {
	history, truth := chain(40, 30)
	noise := func(last, row int) float64 { return math.Sin(float64(last*31+row) * 12.9898) }
	parts := []models.Part{
		{Name: "knows", Model: oracle{items: 30, score: func(last, row int) float64 { return -math.Abs(float64(row-last-1)) + .5*noise(row, last) }}},
		{Name: "noise", Model: oracle{items: 30, score: noise}},
		{Name: "contrary", Model: oracle{items: 30, score: func(last, row int) float64 { return math.Abs(float64(row - last - 1)) }}},
	}
	got, err := Learn(context.Background(), parts, history, truth, LearnOptions{K: 5, Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	if got.Cases != 40 {
		t.Errorf("got %d cases, want 40", got.Cases)
	}
	if w := got.Weights; !(w["knows"] > 5*w["noise"]) || w["contrary"] != 0 {
		t.Errorf("got weights %v, want the part that knows far ahead and the contrary one out", w)
	}
	if !(got.NDCG >= got.Alone["knows"]) || !(got.Alone["knows"] > got.Alone["contrary"]) {
		t.Errorf("got NDCG %v of all and %v alone", got.NDCG, got.Alone)
	}
	again, err := Learn(context.Background(), parts, history, truth, LearnOptions{K: 5, Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	for name, w := range got.Weights {
		if again.Weights[name] != w {
			t.Errorf("%s: got %v with one worker and %v with two", name, again.Weights[name], w)
		}
	}
}

func TestDerivativesAgreeWithDifferences(t *testing.T) {
	lists := []list{
		{x: []float32{.5, -1, 2, .3, -.7, 1.1}, good: []bool{true, false, false}, ideal: 1},
		{x: []float32{1.5, .2, -.4, .9, .1, -2}, good: []bool{false, true, true}, ideal: 1},
	}
	w := []float64{.4, -.3}
	p := pull{centre: []float64{.2, .1}, ridge: .05}
	g, h := derivatives(lists, w, []int{0, 1}, p)
	const e = 1e-5
	for a := range w {
		up, down := []float64{w[0], w[1]}, []float64{w[0], w[1]}
		up[a] += e
		down[a] -= e
		if want := (lossOf(lists, up, p) - lossOf(lists, down, p)) / (2 * e); math.Abs(g.AtVec(a)-want) > 1e-6 {
			t.Errorf("gradient %d: got %v, want %v", a, g.AtVec(a), want)
		}
		gu, _ := derivatives(lists, up, []int{0, 1}, p)
		gd, _ := derivatives(lists, down, []int{0, 1}, p)
		for b := range w {
			if want := (gu.AtVec(b) - gd.AtVec(b)) / (2 * e); math.Abs(h.At(a, b)-want) > 1e-5 {
				t.Errorf("hessian %d %d: got %v, want %v", a, b, h.At(a, b), want)
			}
		}
	}
}
