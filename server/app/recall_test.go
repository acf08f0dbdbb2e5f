package app

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models/pipeline"
	"github.com/attune-rec/attune/server/recommend"
)

// TestRecallOfServed has the ranker of the full recipe score every item that a
// request may be answered with, and counts how many of the best are among the
// candidates of the sources, over the shop that 'loadtest shop' made in the
// folder that ATTUNE_B names.
func TestRecallOfServed(t *testing.T) {
	dir := os.Getenv("ATTUNE_B")
	if dir == "" {
		t.Skip("ATTUNE_B names no folder that 'loadtest shop --data' made")
	}
	const users, step, best, least = 300, 617, 10, .95
	ctx := context.Background()
	s := serve(t, dir)
	names, err := s.store.Pseudonyms(ctx, features.DefaultShop)
	if err != nil {
		t.Fatal(err)
	}
	found, of, among, eligible := 0, 0, 0, 0
	var missed [best]int
	for i := range users {
		q := recommend.Query{Shop: features.DefaultShop, User: names.User(fmt.Sprint("u", i*step)), Surface: pipeline.SurfaceFull, Market: "DE", Limit: best}
		look := func(r *features.Request) {
			l, err := s.set.Acquire(ctx, features.DefaultShop, q.User[:])
			if err != nil {
				t.Fatal(err)
			}
			defer l.Done()
			p := l.Value.Pipeline(pipeline.SurfaceFull)
			var ans pipeline.Answer
			cs, err := p.Propose(ctx, r, &ans, nil)
			if err != nil {
				t.Fatal(err)
			}
			rows, err := p.Eligible(ctx, r, nil)
			if err != nil {
				t.Fatal(err)
			}
			from := map[features.Row]uint64{}
			for _, c := range cs {
				from[c.Row] = c.From
			}
			all := slices.Clone(cs) // as the ranker gets them: in the order of retrieval
			for _, row := range rows {
				if _, proposed := from[row]; !proposed {
					all = append(all, pipeline.Candidate{Row: row})
				}
			}
			if err := p.Score(ctx, r, all); err != nil {
				t.Fatal(err)
			}
			slices.SortFunc(all, func(a, b pipeline.Candidate) int {
				return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.Row, b.Row))
			})
			for k, c := range all[:best] {
				of++
				if from[c.Row] != 0 {
					found++
				} else {
					missed[k]++
				}
			}
			among += len(cs)
			eligible += len(rows)
		}
		if _, err := s.recommendation.Recommender.Try(ctx, &q, []pipeline.Steerer{nil}, look); err != nil {
			t.Fatal(err)
		}
	}
	recall := float64(found) / float64(of)
	t.Logf("the best %d of %d eligible items at the mean, by the ranker: %.4f of them are among %d candidates (%d shoppers; missed by rank %v)",
		best, eligible/users, recall, among/users, users, missed)
	if recall < least {
		t.Errorf("recall %.4f: expected %.2f at least", recall, least)
	}
}
