package mf_test

import (
	"encoding/json"
	"math"
	"slices"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/modeltest"
)

// What weighs nothing might as well not have happened, and what is half as old
// as its half-life weighs as what is half as strong: to the bit.
func TestTrainingWeighsByTypeStarsAndAge(t *testing.T) {
	const buy, see, like = features.Purchase, features.View, features.Like
	shopOf := func(event func(k int) features.Interaction) *dataset.Dataset {
		var b dataset.Builder
		for i := range 12 {
			b.Item(string(rune('a' + i)))
		}
		for u := range 30 {
			for k := range 2 {
				b.Add(string(rune('A'+u)), string(rune('a'+(u*(k+1)+k)%12)), "", event(k))
			}
		}
		return b.Build()
	}
	without := func(d *dataset.Dataset, k int) *dataset.Dataset {
		return d.Keep(func(u int, at int64) bool { return int(at-d.Ptr[u]) != k })
	}
	typed := shopOf(func(k int) features.Interaction {
		return features.Interaction{Type: []features.EventType{see, buy}[k], TimeMS: int64(k + 1)}
	})
	starred := shopOf(func(k int) features.Interaction {
		return features.Interaction{Type: features.Rating, Value: []float32{2, 5}[k], TimeMS: int64(k + 1)}
	})
	bought := shopOf(func(k int) features.Interaction { return features.Interaction{Type: buy, TimeMS: int64(k + 1)} })
	liked := shopOf(func(k int) features.Interaction {
		return features.Interaction{Type: []features.EventType{like, buy}[k], TimeMS: int64(k + 1)}
	})
	in := func(d *dataset.Dataset, params string, weights map[string]float64) models.FitInput {
		return models.FitInput{Train: d, Seed: 2, Workers: 1, Params: json.RawMessage(`{"factors": 5` + params + `}`), Weights: weights}
	}
	for name, c := range map[string]struct{ a, b, other models.FitInput }{
		"type":  {in(typed, ``, map[string]float64{"view": 0}), in(without(typed, 0), ``, nil), in(typed, ``, nil)},
		"stars": {in(starred, `, "stars": [0, 0, 1, 1, 1]`, nil), in(without(starred, 0), `, "stars": [0, 0, 1, 1, 1]`, nil), in(starred, ``, nil)},
		"age":   {in(bought, `, "recency": 1, "recency_in_training": true`, nil), in(liked, ``, map[string]float64{"like": .5}), in(bought, `, "recency": 1`, nil)},
	} {
		got, want := fit(t, c.a).Vectors(), fit(t, c.b).Vectors()
		if !slices.Equal(got, want) {
			t.Errorf("%s: the vectors are not those of data that weigh the same", name)
		}
		if slices.Equal(got, fit(t, c.other).Vectors()) {
			t.Errorf("%s: the vectors are those of other weights", name)
		}
	}
}

// In the end each item's vector is the minimum of its loss over all shoppers:
// 1 for those who like it, 0 for those who dislike it, with the weight of
// either, and 0 for everyone else with the weight of what nobody saw.
func TestItemsAreTheMinimum(t *testing.T) {
	d := shop(60, 40)
	m := fit(t, models.FitInput{Train: d, Seed: 1, Params: json.RawMessage(`{"factors": 5, "epochs": 400, "content": "off"}`)})
	mem := modeltest.NewMemory()
	if err := m.Save(mem.Writer()); err != nil {
		t.Fatal(err)
	}
	var meta struct{ Scale, Lambda float64 }
	if err := mem.Reader().JSON("model", &meta); err != nil {
		t.Fatal(err)
	}
	dim, p := m.Dim(), m.Params()
	events := models.DefaultWeights()
	weights := make([]map[features.Row]float64, d.NumUsers())
	shoppers := make([][]float32, d.NumUsers())
	for u := range d.Users {
		weights[u], shoppers[u] = map[features.Row]float64{}, make([]float32, dim)
		for _, it := range d.History(u) {
			weights[u][it.Row] += float64(events.Of(&it))
		}
		for row, w := range weights[u] {
			if math.Abs(w) > 1 {
				weights[u][row] = math.Copysign(1+math.Log(math.Abs(w)), w)
			}
		}
		if !m.Embed(modeltest.Request(d, u), shoppers[u]) {
			clear(shoppers[u]) // who likes nothing is at 0
		}
	}
	slope := func(item features.Row, y []float64) []float64 {
		out, n := make([]float64, dim), p.Unobserved*float64(d.NumUsers())
		for u := range d.Users {
			score := 0.
			for k, v := range shoppers[u] {
				score += float64(v) * y[k]
			}
			g, w := p.Unobserved*score, weights[u][item]*meta.Scale
			n += math.Abs(w)
			if w > 0 {
				g += w * (score - 1)
			} else {
				g -= w * score
			}
			for k, v := range shoppers[u] {
				out[k] += g * float64(v)
			}
		}
		for k := range out {
			out[k] += meta.Lambda * math.Pow(n, p.Exponent) * y[k]
		}
		return out
	}
	disliked := 0
	for item := range features.Row(d.NumItems()) {
		y := make([]float64, dim)
		from := norm(slope(item, y))
		for k := range y {
			y[k] = float64(m.Vectors()[int(item)*dim+k])
		}
		if at := norm(slope(item, y)); at > .01*from {
			t.Errorf("item %d: the slope of its loss is %v where it began with %v, want 0", item, at, from)
		}
		for u := range d.Users {
			if weights[u][item] < 0 {
				disliked++
			}
		}
	}
	if disliked < 50 {
		t.Fatalf("got %d dislikes, want more of them to tell", disliked)
	}
}
