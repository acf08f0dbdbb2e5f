package simulate

import (
	"context"
	"errors"
	"testing"

	"github.com/attune-rec/attune/loadtest/shopper"
)

// The loop is closed: models that look at the shopper come nearer to the truth
// than what is popular, and that nearer than chance.
func TestModelsAreJudgedByTheTruth(t *testing.T) {
	o := ModelOptions{
		World: shopper.Options{Seed: 3, Items: 150, Shoppers: 200}, Visits: 60, Lists: .3, Kinds: []string{"popular", "item-cf", "ials"},
	}
	got, err := Models(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	by := map[string]Judged{}
	for _, j := range got {
		t.Logf("%+v", j)
		by[j.Model] = j
		if !(j.Low <= j.Clicks && j.Clicks <= j.High) || j.Share > 1 {
			t.Errorf("%s: got %+v, want clicks inside the interval and below the best", j.Model, j)
		}
	}
	if len(got) != 4 || by["popular"].Low <= by[chance].High {
		t.Errorf("popular %v, chance %v: want popular above chance", by["popular"].Clicks, by[chance].Clicks)
	}
	for _, name := range []string{"item-cf", "ials"} {
		if by[name].Low <= by["popular"].High {
			t.Errorf("%s %v, popular %v: want it above popular", name, by[name].Clicks, by["popular"].Clicks)
		}
	}
}

func TestModelsRefuses(t *testing.T) {
	o := ModelOptions{World: shopper.Options{Items: 20, Shoppers: 5}, Visits: 1}
	if _, err := Models(context.Background(), o); !errors.Is(err, shopper.ErrOptions) {
		t.Errorf("no models: got %v, want ErrOptions", err)
	}
	o.Kinds = []string{"oracle"}
	if _, err := Models(context.Background(), o); err == nil {
		t.Error("an unknown kind: got no error")
	}
}
