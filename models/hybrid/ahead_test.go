package hybrid_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/features/raced"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/eval"
	"github.com/attune-rec/attune/models/hybrid"
	"github.com/attune-rec/attune/models/kind"
)

// invented is a shop whose shoppers choose by taste, by what everyone buys and,
// as far as drift says, by what they bought last.
type invented struct {
	users, items, events int
	taste, drift         float64 // how much each says
	timed                bool
	split                dataset.Method
}

// shop draws the histories: each choice is the best of all items not yet bought
// by taste, popularity and chance, which is a softmax over them.
func (s invented) shop() *dataset.Dataset {
	const dim = 6
	rng := rand.New(rand.NewPCG(21, 22))
	draw := func() []float64 {
		v := make([]float64, dim)
		for k := range v {
			v[k] = rng.NormFloat64() / math.Sqrt(dim)
		}
		return v
	}
	dot := func(a, b []float64) (sum float64) {
		for k := range a {
			sum += a[k] * b[k]
		}
		return sum
	}
	likes, sells := make([][]float64, s.items), make([]float64, s.items)
	var b dataset.Builder
	for i := range likes {
		likes[i], sells[i] = draw(), -math.Log(float64(1+rng.IntN(s.items)))
		b.Item(fmt.Sprint("i", i))
	}
	for u := range s.users {
		own, last, had := draw(), -1, map[int]bool{}
		base := make([]float64, s.items)
		for i := range base {
			base[i] = s.taste*dot(own, likes[i]) + sells[i]
		}
		for k := range s.events/2 + rng.IntN(s.events) {
			best, top := -1, math.Inf(-1)
			for i := range base {
				v := base[i] - math.Log(rng.ExpFloat64())
				if last >= 0 && s.drift > 0 {
					v += s.drift * dot(likes[last], likes[i])
				}
				if v > top && !had[i] {
					best, top = i, v
				}
			}
			last, had[best] = best, true
			it := features.Interaction{Type: features.Purchase, Quantity: 1}
			if s.timed {
				it.TimeMS = 1_600_000_000_000 + int64(u)*1000 + int64(k)*86_400_000
			}
			b.Add(fmt.Sprint("u", u), fmt.Sprint("i", best), "", it)
		}
	}
	return b.Build()
}

// TestHybridIsAheadOfItsParts has the default recipe on shops of three shapes
// that it was never tuned on. Whatever it chose, it must rank the test at least
// as well as each of the parts that it kept.
func TestHybridIsAheadOfItsParts(t *testing.T) {
	if raced.On {
		t.Skip("what it asks for, no race can change; others train and score at once")
	}
	for name, s := range map[string]invented{
		"few items, many events":       {users: 700, items: 150, events: 24, taste: 6, split: dataset.Random},
		"many items, few events":       {users: 1500, items: 1200, events: 9, taste: 8, split: dataset.Random},
		"what was bought last matters": {users: 900, items: 300, events: 14, taste: 3, drift: 9, timed: true, split: dataset.LeaveOneOut},
	} {
		t.Run(name, func(t *testing.T) {
			if s.drift > 0 && testing.Short() {
				t.Skip("fits networks, a minute: not with -short")
			}
			parts, err := dataset.Part(s.shop(), dataset.Cut{Method: s.split, Seed: 1})
			if err != nil {
				t.Fatal(err)
			}
			m, err := hybrid.Fit(context.Background(), models.FitInput{Train: parts.Train, Seed: 1, Workers: 2, Kinds: kind.Of})
			if err != nil {
				t.Fatal(err)
			}
			whole := judged(t, m, parts)
			for _, part := range m.(models.Composite).Parts() {
				alone := judged(t, part.Model, parts)
				t.Logf("%s: %.4f alone, %.4f together", part.Name, alone, whole)
				if whole < alone {
					t.Errorf("%s alone has NDCG@20 %.4f, the hybrid %.4f: want at least as much", part.Name, alone, whole)
				}
			}
		})
	}
}

// judged is the mean NDCG@20 on the test.
func judged(t *testing.T, m models.Model, s *dataset.Split) float64 {
	t.Helper()
	metrics, err := eval.ParseMetrics([]string{"ndcg@20"})
	if err != nil {
		t.Fatal(err)
	}
	task := eval.Task{History: s.Train, Test: s.Test}
	if s.Validate != nil {
		task.History = dataset.Join(s.Train, s.Validate)
	}
	o := eval.Options{Metrics: metrics, Workers: 2, Seed: 1}
	cases, err := eval.Plan(task, o)
	if err != nil {
		t.Fatal(err)
	}
	r, err := eval.Run(context.Background(), m, task, cases, o)
	if err != nil {
		t.Fatal(err)
	}
	return r.Whole[0]
}
