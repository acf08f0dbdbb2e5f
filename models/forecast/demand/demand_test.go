package demand_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attune-rec/attune/models/forecast"
	"github.com/attune-rec/attune/models/forecast/demand"
)

var end = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

// steady is a shop of n goods, good i of which sells about i+3 a week.
func steady(n, weeks int) []demand.Sale {
	r := rand.New(rand.NewPCG(1, 2))
	var out []demand.Sale
	for i := range n {
		for w := range weeks {
			for range i + 1 + r.IntN(5) {
				out = append(out, demand.Sale{
					Time: end.Add(-time.Duration(w)*demand.Week - time.Duration(1+r.IntN(100))*time.Hour),
					Name: string(rune('a' + i)), Amount: 1,
				})
			}
		}
	}
	return out
}

func TestPredictExpectsWhatIsSold(t *testing.T) {
	table := demand.Collect(slices.Values(steady(8, 30)), end)
	found, err := table.Predict(t.Context(), 4, demand.Standard(), forecast.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 8 || found[0].Name != "h" || found[7].Name != "a" {
		t.Fatalf("got %d series, the first %q: want 8, those that sell most first", len(found), found[0].Name)
	}
	for _, f := range found {
		want := float64(f.Name[0]-'a') + 3
		if got := f.Mean[3]; got < want-1.5 || got > want+1.5 {
			t.Errorf("%s: got %.2f a week, want about %.0f", f.Name, got, want)
		}
		if f.Growth < -.5 || f.Growth > .5 {
			t.Errorf("%s: got a growth of %.2f, want about none", f.Name, f.Growth)
		}
	}
}

// A week is of seven days up to the end, which is not of it.
func TestCollectBounds(t *testing.T) {
	sales := []demand.Sale{
		{Time: end, Name: "late", Amount: 1},
		{Time: end.Add(-time.Nanosecond), Name: "x", Amount: 1},
		{Time: end.Add(-demand.Week), Name: "x", Amount: 2},
		{Time: end.Add(-demand.Week - time.Nanosecond), Name: "x", Amount: 4},
	}
	table := demand.Collect(slices.Values(sales), end)
	if table.Len() != 1 {
		t.Errorf("got %d series, want 1: what was sold at the end is of the next week", table.Len())
	}
	found, err := table.Predict(t.Context(), 1, demand.Limits{Weeks: 2, Sold: 2}, forecast.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if found[0].Past != 3 {
		t.Errorf("got %v in the latest week, want 3", found[0].Past)
	}
}

// The weeks that are forecast are compared with the same weeks a year before,
// where those are known.
func TestPredictLooksAYearBack(t *testing.T) {
	var sales []demand.Sale
	sell := func(name string, weeksAgo int, amount float64) {
		sales = append(sales, demand.Sale{Time: end.Add(-time.Duration(weeksAgo) * demand.Week), Name: name, Amount: amount})
	}
	for ago := 1; ago <= 60; ago++ {
		sell("old", ago, float64(ago))
	}
	for ago := 1; ago <= 53; ago++ {
		sell("young", ago, 5)
	}
	found, err := demand.Collect(slices.Values(sales), end).Predict(t.Context(), 2, demand.Standard(), forecast.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		switch {
		case f.Name == "old" && (f.Past != 1.5 || f.YearAgo != 53.5):
			t.Errorf("old: got %v of late and %v a year ago, want 1.5 and the mean of weeks 53 and 54", f.Past, f.YearAgo)
		case f.Name == "young" && !math.IsNaN(f.YearAgo):
			t.Errorf("young: got %v a year ago, want none: one of the weeks is not known", f.YearAgo)
		}
	}
}

// What is known only later changes no judgement of an earlier time.
func TestJudgeSeesNoFuture(t *testing.T) {
	sales := steady(5, 30)
	before, err := demand.Collect(slices.Values(sales), end).Judge(t.Context(), 4, 1, demand.Standard(), forecast.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var changed []demand.Sale
	for _, s := range sales {
		if s.Time.Before(end.Add(-4 * demand.Week)) {
			changed = append(changed, s)
		} else {
			s.Amount *= 1000
			changed = append(changed, s)
		}
	}
	after, err := demand.Collect(slices.Values(changed), end).Judge(t.Context(), 4, 1, demand.Standard(), forecast.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if before.Coverage < .6 || before.Coverage > 1 || after.Coverage != 0 {
		t.Errorf("covered %.2f, and %.2f once a thousand times as much was sold: want most, and none", before.Coverage, after.Coverage)
	}
	if !(before.Loss < before.NaiveLoss) {
		t.Errorf("loss %.3f, naive %.3f: want less", before.Loss, before.NaiveLoss)
	}
}

func TestTooLittle(t *testing.T) {
	table := demand.Collect(slices.Values(steady(2, 6)), end)
	_, err := table.Predict(context.Background(), 4, demand.Standard(), forecast.Options{})
	if !errors.Is(err, demand.ErrTooLittle) || !strings.Contains(err.Error(), "8 weeks") {
		t.Errorf("got %v, want ErrTooLittle that says what is needed", err)
	}
}
