package taste_test

import (
	"errors"
	"math"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/taste"
)

func weigher(t *testing.T, o taste.Options, weights map[string]float64) *taste.Weigher {
	t.Helper()
	w, err := taste.New(o, weights)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func event(row features.Row, typ features.EventType, at int64) features.Interaction {
	return features.Interaction{Row: row, Type: typ, TimeMS: at}
}

func weights(p taste.Profile) map[int32]float32 {
	m := map[int32]float32{}
	for i, row := range p.Rows {
		m[row] = p.Weights[i]
	}
	return m
}

func TestProfile(t *testing.T) {
	const buy, back, no, see = features.Purchase, features.Return, features.Dislike, features.Impression
	two := float32(1 + math.Log(2))
	for name, c := range map[string]struct {
		options taste.Options
		history []features.Interaction
		want    map[int32]float32
	}{
		"nothing":                {want: map[int32]float32{}},
		"bought":                 {history: []features.Interaction{event(3, buy, 1)}, want: map[int32]float32{3: 1}},
		"bought twice":           {history: []features.Interaction{event(3, buy, 1), event(4, buy, 2), event(3, buy, 3)}, want: map[int32]float32{3: two, 4: 1}},
		"returned":               {history: []features.Interaction{event(3, buy, 1), event(3, back, 2)}, want: map[int32]float32{}},
		"disliked":               {history: []features.Interaction{event(3, no, 1)}, want: map[int32]float32{3: -1}},
		"shown":                  {history: []features.Interaction{event(3, see, 1)}, want: map[int32]float32{}},
		"newer than the model":   {history: []features.Interaction{event(10, buy, 1), event(2, buy, 1)}, want: map[int32]float32{2: 1}},
		"by age":                 {options: taste.Options{Recency: 1}, history: []features.Interaction{event(1, buy, 1), event(2, buy, 2), event(3, buy, 3)}, want: map[int32]float32{1: .25, 2: .5, 3: 1}},
		"of one age":             {options: taste.Options{Recency: 1}, history: []features.Interaction{event(1, buy, 1), event(2, buy, 2), event(3, buy, 2)}, want: map[int32]float32{1: .25, 2: 1, 3: 1}},
		"without times":          {options: taste.Options{Recency: 1}, history: []features.Interaction{event(1, buy, 0), event(2, buy, 0)}, want: map[int32]float32{1: 1, 2: 1}},
		"what was shown ages no": {options: taste.Options{Recency: 1}, history: []features.Interaction{event(1, buy, 1), event(2, see, 2)}, want: map[int32]float32{1: 1}},
		"stars":                  {options: taste.Options{Stars: []float64{-1, 0, .5, 1, 1}}, history: []features.Interaction{{Row: 1, Type: features.Rating, Value: 1}, {Row: 2, Type: features.Rating, Value: 3}}, want: map[int32]float32{1: -1, 2: .5}},
	} {
		var scratch features.Scratch
		got := weights(weigher(t, c.options, nil).Profile(c.history, 10, &scratch))
		if len(got) != len(c.want) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
		for row, w := range c.want {
			if math.Abs(float64(got[row]-w)) > 1e-6 {
				t.Errorf("%s: item %d: got %v, want %v", name, row, got[row], w)
			}
		}
	}
}

func TestMatrix(t *testing.T) {
	var b dataset.Builder
	for i := range 4 {
		b.Item(string(rune('a' + i)))
	}
	b.Add("u", "c", "", event(0, features.Purchase, 1))
	b.Add("u", "a", "", event(0, features.Purchase, 2))
	b.Add("u", "b", "", event(0, features.Dislike, 3))
	b.User("v")
	d := b.Build()
	w := weigher(t, taste.Options{}, nil)
	m := w.Matrix(d, false)
	if err := m.Validate(); err != nil {
		t.Fatal(err)
	}
	if m.Rows != 2 || m.Cols != 4 || m.NNZ() != 2 || m.Val != nil {
		t.Fatalf("got %d x %d with %d entries and values %v, want 2 x 4 with 2 of value 1", m.Rows, m.Cols, m.NNZ(), m.Val)
	}
	signed := w.Matrix(d, true)
	if cols, vals := signed.Row(0); len(cols) != 3 || vals[1] != -1 {
		t.Fatalf("got columns %v with %v, want the dislike with -1", cols, vals)
	}
	recent := weigher(t, taste.Options{Recency: 1}, nil)
	if m := recent.Matrix(d, false); m.Val != nil {
		t.Fatalf("got values %v, want training without ages", m.Val)
	}
	if _, vals := recent.Profiles(d, false).Row(0); vals[1] != .25 {
		t.Fatalf("got %v for the oldest, want .25", vals)
	}
}

func TestOptionsComeBack(t *testing.T) {
	w := weigher(t, taste.Options{Events: map[string]float64{"view": .5}}, map[string]float64{"click": 2})
	again := weigher(t, w.Options(), nil)
	for _, it := range []features.Interaction{event(0, features.View, 0), event(0, features.Click, 0)} {
		if w.Of(&it) != again.Of(&it) || w.Of(&it) < .5 {
			t.Errorf("%s: got %v and %v", it.Type, w.Of(&it), again.Of(&it))
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for _, o := range []taste.Options{{Recency: -1}, {Stars: []float64{1}}, {Events: map[string]float64{"no such": 1}}} {
		if _, err := taste.New(o, nil); !errors.Is(err, models.ErrParams) {
			t.Errorf("%+v: got %v, want ErrParams", o, err)
		}
	}
}
