package source_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/raced"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/pipeline"
	"github.com/attune-rec/attune/models/pipeline/source"
	"github.com/attune-rec/attune/models/vector"
)

// shy is an index that does not say when it changes, so that nothing is kept of
// what it finds.
type shy struct{ models.Index }

// What is kept of earlier searches must never show: whatever is eligible, and
// whatever was added and deleted in between, the candidates are those of a
// search of its own.
func TestKeptNeighboursAreThoseOfASearch(t *testing.T) {
	const n, dim, limit = 300, 3, 8
	rng := rand.New(rand.NewPCG(1, 2))
	titles := make([]string, n)
	for i := range titles {
		for range 1 + rng.IntN(6) {
			titles[i] += string(rune('a' + rng.IntN(3)))
		}
	}
	cat, env := stand(t, titles...)
	tail := env.Indexes["words"].(*vector.Tailed)
	spec := models.SourceSpec{Name: "related", Source: "related", Model: "words"}
	build := func(x models.Index) pipeline.Source {
		s, err := source.Build(spec, pipeline.Env{Models: env.Models, Indexes: map[string]models.Index{"words": x}})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	keeps, searches := build(tail), build(shy{tail})
	short := 0
	for round := range 3000 {
		switch rng.IntN(40) {
		case 0:
			row := features.Row(n + rng.IntN(20))
			if err := tail.Upsert(row, []float32{rng.Float32(), rng.Float32(), rng.Float32()}); err != nil {
				t.Fatal(err)
			}
		case 1:
			tail.Delete(features.Row(rng.IntN(n + 20)))
		}
		eligible := features.NewBitmap(n + 20)
		share := []float64{0, .02, .3, 1}[rng.IntN(4)]
		for row := range features.Row(n + 20) {
			if rng.Float64() < share {
				eligible.Set(row)
			}
		}
		r := &features.Request{Item: features.Row(rng.IntN(40)), Catalog: cat, Eligible: eligible, Scratch: new(features.Scratch)}
		k := 1 + rng.IntN(limit)
		got, err := keeps.Candidates(context.Background(), r, k, nil)
		if err != nil {
			t.Fatal(err)
		}
		want, err := searches.Candidates(context.Background(), r, k, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(want) > 0 && len(want) < k {
			short++
		}
		if !slices.Equal(got, want) {
			t.Fatalf("round %d, item %d, %d of %d eligible: got %v, want %v", round, r.Item, k, eligible.Count(), got, want)
		}
	}
	if short == 0 {
		t.Fatal("every search found enough: the test does not reach its cases")
	}
}

func TestKeptNeighboursTakeNoMemory(t *testing.T) {
	if raced.On {
		t.Skip("the race detector empties pools at random")
	}
	titles := make([]string, 200)
	for i := range titles {
		titles[i] = fmt.Sprintf("%0*b", 1+i%7, i)
		titles[i] = "abc"[:1+i%3] + titles[i]
	}
	cat, env := stand(t, titles...)
	s, err := source.Build(models.SourceSpec{Name: "related", Source: "related", Model: "words"}, env)
	if err != nil {
		t.Fatal(err)
	}
	r := &features.Request{Catalog: cat, Eligible: features.FullBitmap(len(titles)), Scratch: new(features.Scratch)}
	var dst []pipeline.Candidate
	item := 0
	ask := func() {
		r.Item = features.Row(item % 50)
		item++
		if dst, err = s.Candidates(context.Background(), r, 10, dst[:0]); err != nil || len(dst) != 10 {
			t.Fatalf("got %d candidates and %v", len(dst), err)
		}
	}
	for range 50 {
		ask()
	}
	if got := testing.AllocsPerRun(500, ask); got >= 1 {
		t.Errorf("got %v allocations a request, want none", got)
	}
}
