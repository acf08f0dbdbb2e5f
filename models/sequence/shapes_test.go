package sequence_test

import (
	"context"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/eval"
	"github.com/attune-rec/attune/models/popular"
	"github.com/attune-rec/attune/models/sequence"
)

var shapes = flag.Bool("shapes", false, "try the defaults on generated data as large as public data sets are")

// shape is the size of a data set and how its shoppers choose.
type shape struct {
	name         string
	users, items int
	least        int     // events of a shopper
	more         float64 // beyond those, on average; their number falls off exponentially
	follow       float64 // chance that an event follows from the one before
	wander       float64 // chance that it is anything, as popular as it is
}

// events are those of shoppers who each like a few kinds of items: the next one
// is a follower of the last, of a liked kind, or anything.
func (s shape) events(seed uint64) *dataset.Dataset {
	const kindSize, followers = 40, 6
	rng := rand.New(rand.NewPCG(seed, 0x5a9e))
	kinds := max(s.items/kindSize, 4)
	steep := func(n int) int { return int(float64(n) * math.Pow(rng.Float64(), 2.5)) } // the first more often
	anyOf := func(kind int) int { return (kind + kinds*steep(kindSize)) % s.items }
	next := make([][followers]int, s.items)
	for i := range next {
		for k := range next[i] {
			next[i][k] = anyOf(i % kinds)
			if k%2 == 1 {
				next[i][k] = anyOf(rng.IntN(kinds)) // goes with it, of another kind
			}
		}
	}
	var b dataset.Builder
	for i := range s.items {
		b.Item(fmt.Sprint(i))
	}
	for u := range s.users {
		liked := [3]int{steep(kinds), rng.IntN(kinds), rng.IntN(kinds)}
		n := s.least + int(rng.ExpFloat64()*s.more)
		last := anyOf(liked[0])
		for at := range n {
			switch p := rng.Float64(); {
			case p < s.follow:
				last = next[last][steep(followers)]
			case p < s.follow+s.wander:
				last = steep(s.items)
			default:
				last = anyOf(liked[steep(len(liked))])
			}
			b.Add(fmt.Sprint(u), fmt.Sprint(last), "", features.Interaction{Type: features.Purchase, Quantity: 1, TimeMS: int64(1e12 + at*1e6)})
		}
	}
	return b.Build()
}

// On data of shapes that no default was chosen on, attention with its defaults
// finds more than popularity and than the chain (of very little data about as
// much), with validation and without, and its last epoch is about as good as its
// best: nothing collapses. The log has the figures and what they took.
func TestDefaultsHoldOnOtherShapes(t *testing.T) {
	if testing.Short() {
		t.Skip("trains for long")
	}
	all, enough := []shape{{"few of everything", 1500, 900, 5, 5, .4, .15}}, .9
	if *shapes {
		enough = 1
		all = []shape{
			{"a shop of 22k shoppers, 12k items", 22_000, 12_000, 5, 3.5, .35, .25},
			{"a shop of 22k shoppers, 20k items", 22_000, 20_000, 5, 3.5, .35, .25},
			{"listeners of 50 artists each", 1_100, 3_600, 10, 40, .3, .15},
			{"long histories, few items", 3_000, 2_000, 20, 80, .5, .1},
		}
	}
	for _, s := range all {
		t.Run(s.name, func(t *testing.T) {
			split, err := dataset.Part(s.events(7), dataset.Cut{Method: dataset.LeaveOneOut})
			if err != nil {
				t.Fatal(err)
			}
			metrics, err := eval.ParseMetrics([]string{"ndcg@10", "hr@10"})
			if err != nil {
				t.Fatal(err)
			}
			both := dataset.Join(split.Train, split.Validate)
			figure := func(name string, k models.Kind, train, validate *dataset.Dataset) float64 {
				began, last, best := time.Now(), 0., 0.
				epochs := 0
				m, err := k.Fit(context.Background(), models.FitInput{Train: train, Validate: validate, Seed: 1, Workers: 1, Progress: func(p models.Progress) {
					last, epochs = p.Figures["ndcg@10"], p.Step
					best = max(best, last)
				}})
				if err != nil {
					t.Fatal(err)
				}
				took := time.Since(began)
				task, options := eval.Task{History: both, Test: split.Test}, eval.Options{Metrics: metrics, Workers: 1}
				cases, err := eval.Plan(task, options)
				if err != nil {
					t.Fatal(err)
				}
				res, err := eval.Run(context.Background(), m, task, cases, options)
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("%-28s NDCG@10 %.4f, HR@10 %.4f; %d events, %d epochs, last %.4f, best %.4f on validation, %.0f s", name, res.Whole[0], res.Whole[1], len(train.Log), epochs, last, best, took.Seconds())
				if last < .9*best {
					t.Errorf("%s: the last epoch has %.4f on validation, want about the best, %.4f", name, last, best)
				}
				return res.Whole[0]
			}
			for _, c := range []struct {
				name            string
				train, validate *dataset.Dataset
			}{{"with validation", split.Train, split.Validate}, {"without", both, nil}} {
				known := figure("popular, "+c.name, popular.Kind(), c.train, nil)
				chain := figure("markov, "+c.name, sequence.Markov(), c.train, nil)
				if got := figure("sasrec, "+c.name, sequence.SASRec(), c.train, c.validate); got <= known || got <= enough*chain {
					t.Errorf("%s: got NDCG@10 %.4f, want above popularity's %.4f and the chain's %.4f", c.name, got, known, chain)
				}
			}
		})
	}
}
