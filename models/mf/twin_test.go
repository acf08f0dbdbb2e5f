package mf_test

import (
	"context"
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/mf"
	"github.com/attune-rec/attune/models/modeltest"
)

// shop is histories of likes and dislikes at random, with lengths on both sides
// of a vector's.
func shop(users, items int) *dataset.Dataset {
	rng := rand.New(rand.NewPCG(5, 6))
	var b dataset.Builder
	name := func(kind byte, i int) string { return string(kind) + string(rune('a'+i/26)) + string(rune('a'+i%26)) }
	for i := range items {
		b.Item(name('i', i))
	}
	for u := range users {
		for range 1 + rng.IntN(items/2) {
			it := features.Interaction{Type: features.Purchase, TimeMS: 1}
			switch rng.IntN(6) {
			case 0:
				it.Type = features.Dislike
			case 1:
				it.Type = features.View
			}
			b.Add(name('u', u), name('i', rng.IntN(items)), "", it)
		}
	}
	return b.Build()
}

func fit(t *testing.T, in models.FitInput) *mf.ALS {
	t.Helper()
	m, err := mf.IALS().Fit(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	return m.(*mf.ALS)
}

// gradient is that of the shopper's loss at x, all in double precision and over
// every item, seen or not.
func gradient(m *mf.ALS, lambda, scale float64, weights map[features.Row]float64, x []float64) []float64 {
	p, dim := m.Params(), m.Dim()
	out := make([]float64, dim)
	n := p.Unobserved * float64(m.Items())
	for _, w := range weights {
		n += math.Abs(w) * scale
	}
	for i := range m.Items() {
		y := m.Vectors()[i*dim:][:dim]
		var score float64
		for k, v := range y {
			score += float64(v) * x[k]
		}
		g := p.Unobserved * score
		if w := weights[features.Row(i)] * scale; w > 0 {
			g += w * (score - 1)
		} else {
			g += -w * score
		}
		for k, v := range y {
			out[k] += g * float64(v)
		}
	}
	for k := range out {
		out[k] += lambda * math.Pow(n, p.Exponent) * x[k]
	}
	return out
}

func TestFoldInIsTheMinimum(t *testing.T) {
	d := shop(60, 40)
	for _, params := range []string{`{"factors": 6}`, `{"factors": 30}`, `{"factors": 8, "exponent": 0.5}`} {
		m := fit(t, models.FitInput{Train: d, Seed: 1, Params: json.RawMessage(params)})
		mem := modeltest.NewMemory()
		if err := m.Save(mem.Writer()); err != nil {
			t.Fatal(err)
		}
		var meta struct{ Scale, Lambda float64 }
		if err := mem.Reader().JSON("model", &meta); err != nil {
			t.Fatal(err)
		}
		events := models.DefaultWeights()
		x := make([]float32, m.Dim())
		checked := 0
		for u := range d.Users {
			weights := map[features.Row]float64{}
			for _, it := range d.History(u) {
				weights[it.Row] += float64(events.Of(&it))
			}
			for row, w := range weights {
				if math.Abs(w) > 1 {
					weights[row] = math.Copysign(1+math.Log(math.Abs(w)), w)
				}
			}
			if !m.Embed(modeltest.Request(d, u), x) {
				continue
			}
			checked++
			wide := make([]float64, len(x))
			for k, v := range x {
				wide[k] = float64(v)
			}
			at := gradient(m, meta.Lambda, meta.Scale, weights, wide)
			from := gradient(m, meta.Lambda, meta.Scale, weights, make([]float64, len(x)))
			if norm(at) > 1e-4*norm(from) {
				t.Fatalf("%s, user %d: gradient is %v where it began with %v, want 0", params, u, norm(at), norm(from))
			}
		}
		if checked < 40 {
			t.Fatalf("got %d vectors, want most of %d", checked, d.NumUsers())
		}
	}
}

func norm(x []float64) float64 {
	var s float64
	for _, v := range x {
		s += v * v
	}
	return math.Sqrt(s)
}

// objectives are those of each epoch.
func objectives(t *testing.T, in models.FitInput) []float64 {
	t.Helper()
	var all []float64
	in.Progress = func(p models.Progress) { all = append(all, p.Figures["objective"]) }
	fit(t, in)
	return all
}

func TestObjectiveFallsAndSolversAgree(t *testing.T) {
	d := shop(60, 40)
	in := models.FitInput{Train: d, Seed: 1, Params: json.RawMessage(`{"factors": 8, "epochs": 30}`)}
	exact := objectives(t, in)
	for i := 1; i < len(exact); i++ {
		if exact[i] > exact[i-1]*(1+1e-5) {
			t.Fatalf("epoch %d: objective rose from %v to %v", i+1, exact[i-1], exact[i])
		}
	}
	// Vectors longer than most histories take the other way to the same minimum
	// as conjugate gradient of many steps.
	for _, factors := range []string{"4", "25"} {
		in.Params = json.RawMessage(`{"epochs": 5, "factors": ` + factors + `}`)
		exact := objectives(t, in)
		in.Params = json.RawMessage(`{"epochs": 5, "solver": "cg", "steps": 60, "factors": ` + factors + `}`)
		steps := objectives(t, in)
		for i := range exact {
			if math.Abs(exact[i]-steps[i]) > 1e-4*exact[i] {
				t.Fatalf("%s factors, epoch %d: got %v by Cholesky and %v by conjugate gradient", factors, i+1, exact[i], steps[i])
			}
		}
	}
}

func TestWorkersDoNotMatter(t *testing.T) {
	d := shop(60, 40)
	one, four := fit(t, models.FitInput{Train: d, Seed: 3, Workers: 1}), fit(t, models.FitInput{Train: d, Seed: 3, Workers: 4})
	for i, v := range one.Vectors() {
		if four.Vectors()[i] != v {
			t.Fatalf("number %d: got %v with one worker and %v with four", i, v, four.Vectors()[i])
		}
	}
}

func TestWarmStartBeginsBelow(t *testing.T) {
	d := shop(60, 40)
	in := models.FitInput{Train: d, Seed: 1, Params: json.RawMessage(`{"factors": 8, "epochs": 10}`)}
	cold := objectives(t, in)
	in.Warm = fit(t, in)
	if warm := objectives(t, in); !(warm[0] < cold[0]) {
		t.Fatalf("got %v after the first epoch from an older model, want below %v", warm[0], cold[0])
	}
}

func TestDislikesPushDown(t *testing.T) {
	d := shop(60, 40)
	m := fit(t, models.FitInput{Train: d, Seed: 1, Params: json.RawMessage(`{"factors": 8}`)})
	r := modeltest.Request(d, 0)
	before, after := make([]float32, 1), make([]float32, 1)
	tried := 0
	for row := range features.Row(40) {
		r.Shopper = &features.Shopper{Consent: features.AllPurposes, Recent: d.History(0)}
		r.Scratch.Reset()
		m.Score(r, []features.Row{row}, before)
		r.Shopper = &features.Shopper{Consent: features.AllPurposes, Recent: append(append([]features.Interaction(nil), d.History(0)...),
			features.Interaction{Row: row, Type: features.Dislike, TimeMS: 2})}
		r.Scratch.Reset()
		m.Score(r, []features.Row{row}, after)
		if before[0] < .05 {
			continue // a dislike pulls the score to 0
		}
		if tried++; !(after[0] < before[0]) {
			t.Fatalf("item %d: got score %v after a dislike, want below %v", row, after[0], before[0])
		}
	}
	if tried < 10 {
		t.Fatalf("got %d items to dislike, want more", tried)
	}
}

func TestFoldItem(t *testing.T) {
	d := shop(80, 40)
	m := fit(t, models.FitInput{Train: d, Seed: 1, Params: json.RawMessage(`{"factors": 6, "epochs": 40, "exponent": 0}`)})
	x, y := make([]float32, m.Dim()), make([]float32, m.Dim())
	var shoppers, weights []float32
	for u := range 5 {
		if m.Embed(modeltest.Request(d, u), x) {
			shoppers, weights = append(shoppers, x...), append(weights, 1)
		}
	}
	if err := m.FoldItem(shoppers, weights, y); err != nil {
		t.Fatal(err)
	}
	mean := func(y []float32) (sum float32) {
		for u := range weights {
			for k, v := range y {
				sum += v * shoppers[u*m.Dim()+k] / float32(len(weights))
			}
		}
		return sum
	}
	once := mean(y)
	for i := range weights {
		weights[i] = 10
	}
	if err := m.FoldItem(shoppers, weights, y); err != nil {
		t.Fatal(err)
	}
	if often := mean(y); !(once > .05 && often > 1.5*once && often < 1.2) {
		t.Fatalf("got mean scores %v and %v for an item met once and ten times as much, want them to rise towards 1", once, often)
	}
	if err := m.FoldItem(shoppers, weights[1:], y); err == nil {
		t.Fatal("got no error for vectors and weights that disagree")
	}
}
