package content_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/content"
	"github.com/attune-rec/attune/models/modeltest"
)

func TestContent(t *testing.T) {
	// Items of one colour share every word: nothing of the contents tells them
	// apart, so the diagonal cannot come first and is checked by
	// TestNewItemIsScoredAtOnce instead.
	modeltest.Run(t, content.Kind(), modeltest.Options{SameContents: true})
}

// TestBM25 has a model whose terms BM25 weighs, saved and opened too, and
// refuses a weighting that there is not.
func TestBM25(t *testing.T) {
	modeltest.Run(t, content.Kind(), modeltest.Options{SameContents: true, Params: `{"weighting": "bm25"}`})
	_, err := content.Fit(context.Background(), models.FitInput{Train: modeltest.Board(10, nil), Params: json.RawMessage(`{"weighting": "bm24"}`)})
	if !errors.Is(err, models.ErrParams) {
		t.Fatalf("got %v, want ErrParams", err)
	}
}

func TestSmooth(t *testing.T) {
	modeltest.Run(t, content.SmoothKind(), modeltest.Options{Params: `{"max_share": 1, "alike": 3, "blend": 0.1}`})
}

func TestNeedsACatalogue(t *testing.T) {
	d := modeltest.Board(10, nil)
	d.Catalog = nil
	if _, err := content.Fit(context.Background(), models.FitInput{Train: d}); !errors.Is(err, models.ErrParams) {
		t.Fatalf("got %v, want ErrParams", err)
	}
}

// shelf is a catalogue with one item more than the model was trained on.
type shelf struct {
	features.Catalog
	fresh features.Item
}

func (s shelf) Item(r features.Row) *features.Item {
	if int(r) == s.Len() {
		return &s.fresh
	}
	return s.Catalog.Item(r)
}

func TestNewItemIsScoredAtOnce(t *testing.T) {
	d := modeltest.Board(20, nil)
	m := fit(t, d, "")
	r := modeltest.Request(d, 4) // likes red mugs
	tail := features.Row(d.NumItems())
	score := func(title string) float32 {
		r.Catalog = shelf{d.Catalog, features.Item{ID: "fresh", Title: title}}
		out := make([]float32, 1)
		r.Scratch.Reset()
		m.Score(r, []features.Row{tail}, out)
		return out[0]
	}
	red, blue := score("Red ceramic MUG"), score("blue woollen scarf")
	if !(red > blue) {
		t.Fatalf("got %v for a red mug and %v for a blue scarf, want the mug first", red, blue)
	}
	if unknown := score("quantum entangler"); unknown == unknown {
		t.Fatalf("got %v for an item without a known term, want NaN", unknown)
	}
}

func fit(t *testing.T, d *dataset.Dataset, params string) models.Model {
	t.Helper()
	m, err := content.Fit(context.Background(), models.FitInput{Train: d, Params: json.RawMessage(params), Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Someone who did nothing but look at an item that is newer than the model has
// a vector: what is like it comes first.
func TestNewItemIsATaste(t *testing.T) {
	var b dataset.Builder
	shelf := make([]features.Item, 20)
	for i := range shelf {
		shelf[i] = features.Item{ID: string(rune('a' + i)), Title: []string{"red mug", "blue lamp"}[i%2]}
		b.Item(shelf[i].ID)
	}
	d := b.Build()
	items, err := catalog.Of(shelf)
	if err != nil {
		t.Fatal(err)
	}
	d.Catalog = items
	m, err := content.Fit(context.Background(), models.FitInput{Train: d, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	newer := items.Apply([]catalog.Change{{Item: &features.Item{ID: "new", Title: "blue lamp"}}})
	row, _ := newer.Row("new")
	r := &features.Request{
		Catalog: newer, Scratch: new(features.Scratch),
		Shopper: &features.Shopper{Recent: []features.Interaction{{Row: row, Type: features.View, TimeMS: 1}}, Consent: features.AllPurposes},
	}
	out := make([]float32, 2)
	m.Score(r, []features.Row{0, 1}, out)
	if !(out[1] > out[0]) {
		t.Fatalf("got %v for the mug and %v for the lamp, want the lamp above", out[0], out[1])
	}
}
