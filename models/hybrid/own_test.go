package hybrid_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/content"
	"github.com/attune-rec/attune/models/graph"
	"github.com/attune-rec/attune/models/hybrid"
	"github.com/attune-rec/attune/models/knn"
	"github.com/attune-rec/attune/models/mf"
	"github.com/attune-rec/attune/models/modeltest"
	"github.com/attune-rec/attune/models/popular"
)

// kinds finds what the hybrid may be made of.
func kinds(name string) (models.Kind, error) {
	for _, k := range []models.Kind{popular.Kind(), mf.IALS(), knn.EASE(), knn.Path(), graph.LowPass(), content.Kind(), content.SmoothKind(), hybrid.Kind()} {
		if k.Name == name {
			return k, nil
		}
	}
	return models.Kind{}, fmt.Errorf("%w %q", models.ErrKind, name)
}

// owner is the kind with its own parts, as programs fit it.
func owner() models.Kind {
	k := hybrid.Kind()
	fit := k.Fit
	k.Fit = func(ctx context.Context, in models.FitInput) (models.Model, error) {
		in.Kinds = kinds
		return fit(ctx, in)
	}
	return k
}

// clubs is users of two clubs who buy what their club likes, in random order.
func clubs(timed bool) *dataset.Dataset {
	rng := rand.New(rand.NewPCG(3, 4))
	var b dataset.Builder
	for u := range 60 {
		for i, item := range rng.Perm(20)[:8] {
			it := features.Interaction{Type: features.Purchase, Quantity: 1}
			if timed {
				it.TimeMS = int64(1e12 + i*1000)
			}
			b.Add(fmt.Sprint("u", u), fmt.Sprint("i", 20*(u%2)+item), "", it)
		}
	}
	return b.Build()
}

func TestChoosesItsOwnParts(t *testing.T) {
	for _, timed := range []bool{false, true} {
		d := clubs(timed)
		m, err := owner().Fit(context.Background(), models.FitInput{Train: d, Seed: 1, Workers: 2})
		if err != nil {
			t.Fatal(err)
		}
		own := m.(*hybrid.Model)
		if s := own.Story(); s == nil || s.Cases == 0 || s.Data.Timed != timed || len(s.Tried) < 4 {
			t.Fatalf("timed %t: got story %+v", timed, s)
		}
		lean := false
		for _, line := range own.Account() {
			lean = lean || strings.Contains(line, "-recent")
		}
		if lean != timed {
			t.Errorf("timed %t: got recent parts tried %t in %q", timed, lean, own.Account())
		}
		r, out := modeltest.Request(d, 0), make([]float32, 40)
		rows := make([]features.Row, 40)
		for i := range rows {
			rows[i] = features.Row(i)
		}
		m.Score(r, rows, out)
		for i, name := range d.Items {
			var n int
			fmt.Sscanf(name, "i%d", &n)
			if mine := n < 20; mine != (out[i] > out[other(d, n)]) {
				t.Fatalf("timed %t: item %s has %v, the other club's %v", timed, name, out[i], out[other(d, n)])
			}
		}
		again(t, d, own)
	}
}

// other is the row of the item with the same number in the other club.
func other(d *dataset.Dataset, n int) int {
	for row, name := range d.Items {
		if name == fmt.Sprint("i", (n+20)%40) {
			return row
		}
	}
	return -1
}

// again fits what own chose, which must score the same.
func again(t *testing.T, d *dataset.Dataset, own *hybrid.Model) {
	t.Helper()
	params, err := own.Chosen()
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	m, err := hybrid.Fit(context.Background(), models.FitInput{Train: d, Params: params, Seed: 1, Workers: 2, Kinds: func(name string) (models.Kind, error) {
		asked++
		return kinds(name)
	}})
	if err != nil {
		t.Fatal(err)
	}
	if asked != len(own.Parts()) || len(m.(*hybrid.Model).Account()) != len(own.Account()) {
		t.Errorf("got %d parts fitted and account %q, want the %d parts that were chosen and their account", asked, m.(*hybrid.Model).Account(), len(own.Parts()))
	}
	rows := []features.Row{0, 7, 21, 39}
	got, want := make([]float32, 4), make([]float32, 4)
	m.Score(modeltest.Request(d, 5), rows, got)
	own.Score(modeltest.Request(d, 5), rows, want)
	for i := range rows {
		if got[i] != want[i] {
			t.Errorf("row %d: got %v, want %v", rows[i], got[i], want[i])
		}
	}
}

func TestGivenValidationIsNotTrainedOn(t *testing.T) {
	train, validate, err := dataset.HoldOut(clubs(true), dataset.Hold{By: "newest", Share: .2, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	m, err := owner().Fit(context.Background(), models.FitInput{Train: train, Validate: validate, Seed: 1, Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	again(t, train, m.(*hybrid.Model))
}

func TestOwnPartsOnALittle(t *testing.T) {
	var b dataset.Builder
	b.Add("a", "x", "", features.Interaction{Type: features.Purchase})
	b.Add("b", "y", "", features.Interaction{Type: features.Purchase})
	m, err := owner().Fit(context.Background(), models.FitInput{Train: b.Build(), Seed: 1, Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	if s := m.(*hybrid.Model).Story(); s == nil || !strings.Contains(s.HeldOut, "too small") {
		t.Errorf("got story %+v, want one that says the data is too small", s)
	}
}

func TestNoTimeLeavesPartsUntried(t *testing.T) {
	m, err := owner().Fit(context.Background(), models.FitInput{Train: clubs(true), Seed: 1, Workers: 2, Params: json.RawMessage(`{"budget_seconds": 0}`)})
	if err != nil {
		t.Fatal(err)
	}
	left := 0
	for _, tried := range m.(*hybrid.Model).Story().Tried {
		if strings.Contains(tried.Why, "time") && tried.Seconds == 0 {
			left++
		}
	}
	if left < 3 {
		t.Errorf("got %d parts left out for want of time, want all but two", left)
	}
}

func TestARecipeOfItselfIsRefused(t *testing.T) {
	_, err := owner().Fit(context.Background(), models.FitInput{Train: clubs(false), Params: json.RawMessage(`{"recipe": [{"name": "x", "kind": "hybrid", "weight": 1}]}`)})
	if !errors.Is(err, models.ErrParams) {
		t.Errorf("got %v, want ErrParams", err)
	}
}
