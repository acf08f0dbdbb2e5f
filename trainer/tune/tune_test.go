package tune

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/eval"
)

// guess is a kind that is right as far as its parameter is near 3, and refuses
// what is above 9.
func guess(fits *int) models.Kind {
	return models.Kind{
		Name: "guess", Space: []models.Range{{Param: "x", Low: 1, High: 10}},
		Fit: func(_ context.Context, in models.FitInput) (models.Model, error) {
			p := struct {
				X float64 `json:"x"`
			}{8}
			if err := models.DecodeParams(in.Params, &p); err != nil {
				return nil, err
			}
			if p.X > 9 {
				return nil, fmt.Errorf("%w: x is above 9", models.ErrParams)
			}
			*fits++
			return guesser{x: p.X, items: in.Train.NumItems()}, nil
		},
	}
}

type guesser struct {
	models.Model
	x     float64
	items int
}

// Score is the truth, which is the next item, blurred by how far x is off.
func (g guesser) Score(r *features.Request, items []features.Row, out []float32) {
	next := int(r.Shopper.Recent[0].Row+1) % g.items
	for i, row := range items {
		far := float64((int(row) - next + g.items) % g.items)
		noise := float64((int(row)*7919+next*104729)%97) / 97
		out[i] = float32(-far - (g.x-3)*(g.x-3)*noise*2)
	}
}

func search(t *testing.T, fits *int) Search {
	t.Helper()
	var train, validate dataset.Builder
	rng := rand.New(rand.NewPCG(1, 1))
	for _, b := range []*dataset.Builder{&train, &validate} {
		for i := range 30 {
			b.Item(fmt.Sprint(i))
		}
	}
	for u := range 90 {
		i := rng.IntN(30)
		train.Add(fmt.Sprint("u", u), fmt.Sprint(i), "", features.Interaction{Type: features.Purchase})
		validate.Add(fmt.Sprint("u", u), fmt.Sprint((i+1)%30), "", features.Interaction{Type: features.Purchase})
	}
	metrics, err := eval.ParseMetrics([]string{"ndcg@5"})
	if err != nil {
		t.Fatal(err)
	}
	return Search{Kind: guess(fits), Train: train.Build(), Validate: validate.Build(), Metric: metrics[0], Trials: 18, Keep: 3, Parallel: 1, Workers: 1, Seed: 4}
}

func TestSearchFindsBetterThanDefaults(t *testing.T) {
	fits := 0
	out, err := Run(context.Background(), search(t, &fits))
	if err != nil {
		t.Fatal(err)
	}
	if x := out.Best["x"].(float64); x < 1.5 || x > 4.5 || !(out.Value > out.Defaults) || out.Defaults == 0 {
		t.Errorf("got %v with %v, and %v for the defaults, want near 3 and better", out.Best, out.Value, out.Defaults)
	}
	rounds := map[int]int{}
	for _, trial := range out.Trials {
		rounds[trial.Round]++
	}
	if len(out.Trials) != 18+6+2 || rounds[0] != 18 || rounds[1] != 6 || rounds[2] != 2 {
		t.Errorf("got %v trials by round, want 18, 6 and 2", rounds)
	}
}

func TestSearchGoesOn(t *testing.T) {
	fits := 0
	s := search(t, &fits)
	s.State = filepath.Join(t.TempDir(), "state.json")
	ctx, stop := context.WithCancel(context.Background())
	s.Progress = func(done, _ int, _ float64) {
		if done == 7 {
			stop()
		}
	}
	if _, err := Run(ctx, s); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want cancelled", err)
	}
	before := fits
	s.Progress = nil
	got, err := Run(context.Background(), s)
	if err != nil {
		t.Fatal(err)
	}
	if got.Resumed != 7 {
		t.Errorf("got %d trials resumed, want 7", got.Resumed)
	}
	again := fits - before
	whole, err := Run(context.Background(), search(t, &fits))
	if err != nil {
		t.Fatal(err)
	}
	if got.Value != whole.Value || got.Best["x"] != whole.Best["x"] || len(got.Trials) != len(whole.Trials) || again >= fits-before-again {
		t.Errorf("got %v in %d fits, want %v as in one go, in fewer", got.Best, again, whole.Best)
	}
}

func TestSearchInParallelIsTheSame(t *testing.T) {
	a, b := 0, 0
	one, err := Run(context.Background(), search(t, &a))
	if err != nil {
		t.Fatal(err)
	}
	s := search(t, &b)
	kind := s.Kind
	var lock = make(chan struct{}, 1)
	fit := kind.Fit
	s.Kind.Fit = func(ctx context.Context, in models.FitInput) (models.Model, error) {
		lock <- struct{}{}
		defer func() { <-lock }()
		return fit(ctx, in)
	}
	s.Parallel = 4
	four, err := Run(context.Background(), s)
	if err != nil {
		t.Fatal(err)
	}
	for i := range one.Trials {
		if one.Trials[i].Value != four.Trials[i].Value || one.Trials[i].Setting != four.Trials[i].Setting {
			t.Errorf("trial %d: got %+v, want %+v", i, four.Trials[i], one.Trials[i])
		}
	}
}

func TestOtherSearchIsRefused(t *testing.T) {
	fits := 0
	s := search(t, &fits)
	s.State = filepath.Join(t.TempDir(), "state.json")
	if _, err := Run(context.Background(), s); err != nil {
		t.Fatal(err)
	}
	s.Seed++
	if _, err := Run(context.Background(), s); !errors.Is(err, ErrState) {
		t.Errorf("got %v, want ErrState", err)
	}
	if err := os.WriteFile(s.State, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(context.Background(), s); err == nil {
		t.Error("a broken file was taken")
	}
	s.Kind.Space = nil
	if _, err := Run(context.Background(), s); !errors.Is(err, models.ErrParams) {
		t.Errorf("got %v, want ErrParams for nothing to vary", err)
	}
}
