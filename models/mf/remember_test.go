package mf_test

import (
	"context"
	"encoding/json"
	"slices"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/mf"
	"github.com/attune-rec/attune/models/modeltest"
)

// A shopper with a Memory is solved once, and again after each event; questions
// about a part of the history neither read nor spoil what is kept.
func TestSolutionsAreRemembered(t *testing.T) {
	d := modeltest.Board(50, nil)
	fitted, err := mf.IALS().Fit(context.Background(), models.FitInput{Train: d, Params: json.RawMessage(`{"factors": 16}`), Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	m := fitted.(*mf.ALS)
	embed := func(s *features.Shopper) []float32 {
		vec := make([]float32, m.Dim())
		if !m.Embed(&features.Request{Shopper: s, Scratch: new(features.Scratch)}, vec) {
			t.Fatal("no vector")
		}
		return vec
	}
	kept := features.NewMemories(1 << 20)
	whole := d.History(3)
	with := &features.Shopper{Recent: whole[:len(whole)-1], Consent: features.AllPurposes, Version: 1, Memory: kept.New()}
	check := func(what string, s *features.Shopper) {
		t.Helper()
		want := embed(&features.Shopper{Recent: s.Recent, Consent: s.Consent})
		if got := embed(s); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", what, got, want)
		}
	}
	check("first", with)
	if kept.Bytes() == 0 {
		t.Error("nothing is kept")
	}
	check("again", with)
	part := *with
	part.Recent = slices.Clone(with.Recent[1:])
	check("without an event", &part)
	check("after that", with)
	later := *with
	later.Recent, later.Version = whole, 2
	check("one event more", &later)
	other := *with
	other.Recent, other.Version = d.History(4), 3
	check("another history", &other)
	other.Memory.Clear()
	check("without an event first", &part)
	check("and then all", with)
}
