package ltr_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
	"github.com/attune-rec/attune/features/signal"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/ltr"
	"github.com/attune-rec/attune/models/modeltest"
)

// table is a model that knows its scores by heart.
type table struct {
	models.Model
	scores []float32
}

func (t *table) Kind() string { return "table" }
func (t *table) Items() int   { return len(t.scores) }
func (t *table) Score(_ *features.Request, items []features.Row, out []float32) {
	for i, row := range items {
		out[i] = t.scores[row]
	}
}

const goods = 40

func parts(seed uint64) []models.Part {
	rng := rand.New(rand.NewPCG(seed, 3))
	var out []models.Part
	for _, name := range []string{"a", "b"} {
		m := &table{scores: make([]float32, goods)}
		for i := range m.scores {
			m.scores[i] = float32(rng.NormFloat64())
		}
		out = append(out, models.Part{Name: name, Model: m})
	}
	return out
}

func params(signals ...string) ltr.Params {
	return ltr.Params{Models: []string{"a", "b"}, Sources: []string{"x", "y"}, Signals: signals}
}

// lists are requests whose shoppers take what a and twice the signal say, and
// never mind b: the truth. Width 2 models, place, 2 sources, signals, position.
func lists(rng *rand.Rand, n, width int) []ltr.List {
	out := make([]ltr.List, n)
	for i := range out {
		l := ltr.List{X: make([]float32, goods*width), Gain: make([]float32, goods)}
		best, at := math.Inf(-1), 0
		for c := range goods {
			x := l.X[c*width : (c+1)*width]
			for k := range width - 1 {
				x[k] = float32(rng.NormFloat64())
			}
			if v := worth(x) + .3*rng.NormFloat64(); v > best {
				best, at = v, c
			}
		}
		l.Gain[at] = 1
		out[i] = l
	}
	return out
}

func worth(x []float32) float64 { return float64(x[0]) + 2*float64(x[5]) }

func learn(t *testing.T, p ltr.Params, ls []ltr.List, o ltr.LearnOptions) *ltr.Learnt {
	t.Helper()
	l, err := ltr.Learn(context.Background(), p, ls, o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestLearnFindsWhatCounts(t *testing.T) {
	p := params("recency")
	in, err := ltr.NewInputs(p, parts(1))
	if err != nil {
		t.Fatal(err)
	}
	got := learn(t, p, lists(rand.New(rand.NewPCG(5, 5)), 600, in.Width()), ltr.LearnOptions{Seed: 1})
	s := got.Params.Story
	chosen, alone := s.Best()
	if chosen < .85 || chosen <= alone || chosen <= s.NDCG[ltr.Without] {
		t.Fatalf("got %v of %s, want at least .85 and more than a model alone and than without signals: %v", chosen, s.Chosen, s.NDCG)
	}
	if s.Importance[0].Name != "signal recency" || s.Importance[1].Name != "model a" {
		t.Fatalf("got importance %v, want the signal first, then model a", s.Importance)
	}
	for _, i := range s.Importance[2:] {
		if math.Abs(i.Fall) > .02 {
			t.Errorf("%s counts %v, want nothing", i.Name, i.Fall)
		}
	}
	again := learn(t, p, lists(rand.New(rand.NewPCG(5, 5)), 600, in.Width()), ltr.LearnOptions{Seed: 1})
	if !slices.Equal(again.Params.Linear, got.Params.Linear) {
		t.Fatal("the same lists gave another ranker")
	}
}

// What was shown first was looked at most: a ranker that is told where things
// stood finds the truth better than one that takes clicks for it.
func TestPositionIsNotWorth(t *testing.T) {
	p := params("recency")
	in, err := ltr.NewInputs(p, parts(1))
	if err != nil {
		t.Fatal(err)
	}
	width := in.Width()
	rng := rand.New(rand.NewPCG(7, 7))
	// The shop ordered by b, which is worth nothing: clicks fall to b.
	shown := lists(rng, 3000, width)
	for i := range shown {
		l := &shown[i]
		order := make([]int, goods)
		for c := range order {
			order[c] = c
		}
		slices.SortFunc(order, func(x, y int) int {
			if l.X[x*width+1] > l.X[y*width+1] {
				return -1
			}
			return 1
		})
		l.Position = make([]int32, goods)
		clear(l.Gain)
		for place, c := range order {
			l.Position[c] = int32(place)
			seen := 1 / float64(place+1)
			if rng.Float64() < seen/(1+math.Exp(2-worth(l.X[c*width:(c+1)*width]))) {
				l.Gain[c] = 1
			}
		}
	}
	truth := lists(rng, 400, width)
	judge := func(p ltr.Params) float64 {
		// Of a ranker without a hidden layer the weights say it all.
		hits := 0.
		m, err := ltr.New(p, parts(1))
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range truth {
			scores := m.ScoreInputs(l.X)
			best := 0
			for c := range scores {
				if scores[c] > scores[best] {
					best = c
				}
			}
			hits += float64(l.Gain[best])
		}
		return hits / float64(len(truth))
	}
	told := judge(learn(t, p, shown, ltr.LearnOptions{Seed: 1}).Params)
	blind := judge(learn(t, p, shown, ltr.LearnOptions{Seed: 1, Blind: true}).Params)
	t.Logf("first place right: %.3f told of positions, %.3f not", told, blind)
	if told < blind+.05 {
		t.Fatalf("got %.3f right with positions and %.3f without, want .05 more", told, blind)
	}
}

func TestLearnRefuses(t *testing.T) {
	p := params("recency")
	if _, err := ltr.Learn(context.Background(), p, nil, ltr.LearnOptions{}); !errors.Is(err, ltr.ErrNothing) {
		t.Errorf("nothing: got %v", err)
	}
	if _, err := ltr.Learn(context.Background(), p, []ltr.List{{X: make([]float32, 3), Gain: make([]float32, 2)}}, ltr.LearnOptions{}); !errors.Is(err, models.ErrParams) {
		t.Errorf("lists of another width: got %v", err)
	}
	if _, err := ltr.Kind().Fit(context.Background(), models.FitInput{}); !errors.Is(err, models.ErrParams) {
		t.Errorf("fitted to interactions: got %v", err)
	}
}

func ranker(t *testing.T) (*ltr.Model, *features.Request, []features.Row) {
	t.Helper()
	set, err := signal.NewSet()
	if err != nil {
		t.Fatal(err)
	}
	p := params(set.Names()...)
	in, err := ltr.NewInputs(p, parts(1))
	if err != nil {
		t.Fatal(err)
	}
	m, err := ltr.New(learn(t, p, lists(rand.New(rand.NewPCG(9, 9)), 200, in.Width()), ltr.LearnOptions{Seed: 1, Epochs: 2}).Params, parts(1))
	if err != nil {
		t.Fatal(err)
	}
	shelf := make([]features.Item, goods)
	rows := make([]features.Row, goods)
	for i := range shelf {
		shelf[i] = features.Item{ID: string(rune('A' + i)), Category: []string{"c"}, Prices: map[string]features.Money{"": features.MoneyOf(float64(i+1), "EUR")}}
		rows[i] = features.Row(i)
	}
	items, err := catalog.Of(shelf)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	memory, who := signal.NewMemory(m.Set()), features.UserKey{1}
	var recent []features.Interaction
	for i := range 20 {
		at := now.Add(time.Duration(i-30) * time.Hour)
		memory.Fold(features.Event{Type: features.Purchase, User: who, Item: shelf[i].ID, Time: at})
		recent = append(recent, features.Interaction{Row: features.Row(i), Type: features.Purchase, TimeMS: at.UnixMilli()})
	}
	return m, &features.Request{
		Query: features.Query{Now: now}, Item: features.NoRow, Catalog: items, State: memory, Scratch: new(features.Scratch),
		Shopper: &features.Shopper{Key: who, Recent: recent, Consent: features.AllPurposes},
	}, rows
}

func TestSavedScoresTheSame(t *testing.T) {
	m, r, rows := ranker(t)
	memory := modeltest.NewMemory(parts(1)...)
	if err := m.Save(memory.Writer()); err != nil {
		t.Fatal(err)
	}
	opened, err := ltr.Kind().Open(memory.Reader())
	if err != nil {
		t.Fatal(err)
	}
	raw, err := m.Chosen()
	if err != nil {
		t.Fatal(err)
	}
	fitted, err := ltr.Kind().Fit(context.Background(), models.FitInput{Params: raw, Parts: parts(1)})
	if err != nil {
		t.Fatal(err)
	}
	want := make([]float32, len(rows))
	m.Score(r, rows, want)
	for name, other := range map[string]models.Model{"opened": opened, "fitted again": fitted} {
		got := make([]float32, len(rows))
		r.Scratch.Reset()
		other.Score(r, rows, got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
	for _, v := range want {
		if !(v > 0 && v < 1) {
			t.Fatalf("got score %v, want a chance", v)
		}
	}
}
