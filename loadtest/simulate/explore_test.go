package simulate

import (
	"context"
	"errors"
	"testing"

	"github.com/attune-rec/attune/loadtest/shopper"
)

func small(seed uint64) ExploreOptions {
	return ExploreOptions{
		World:    shopper.Options{Seed: seed, Items: 200, Shoppers: 100, New: 12, Good: 3},
		Sessions: 8000, Noise: 1, Slots: []int{6}, Rate: .2, Bound: 2,
	}
}

// Exploration finds most of the new items that everybody likes, takes few
// others for such, and gives up at most 2 % of the clicks.
func TestExplorationFindsWhatIsGood(t *testing.T) {
	planted, found, wrong := 0, 0, 0
	for seed := uint64(1); seed <= 3; seed++ {
		got, err := Explore(context.Background(), small(seed))
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%+v", got)
		if got.Deepest > .02 || got.Loss > .02 {
			t.Errorf("seed %d: gave up %.2f %% of the clicks, at worst %.2f %%, want at most 2 %%", seed, 100*got.Loss, 100*got.Deepest)
		}
		planted, found, wrong = planted+got.Planted, found+got.Found, wrong+got.Wrong
	}
	if 10*found < 8*planted || wrong > 1 {
		t.Errorf("found %d of %d planted items and %d others, want 8 of 10 and at most one", found, planted, wrong)
	}
}

// Without exploration nobody sees a new item.
func TestNothingIsFoundWithoutLooking(t *testing.T) {
	o := small(1)
	o.World.Good, o.World.New = 0, 1
	got, err := Explore(context.Background(), o)
	if err != nil || got.Found != 0 || got.Half != -1 {
		t.Errorf("got %+v, %v, want nothing found where nothing is planted", got, err)
	}
	o = small(1)
	o.Rate = 1e-9
	if got, err = Explore(context.Background(), o); err != nil || got.Found != 0 || got.Looks != 0 || got.Loss != 0 {
		t.Errorf("hardly ever drawn: got %+v, %v, want no looks at new items and no loss", got, err)
	}
}

func TestSameSeedSameReport(t *testing.T) {
	o := small(4)
	o.Sessions = 300
	a, err := Explore(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := Explore(context.Background(), o); err != nil || a != b {
		t.Errorf("got %+v and %+v, %v", a, b, err)
	}
	o.World.Seed = 5
	if b, err := Explore(context.Background(), o); err != nil || a.With == b.With {
		t.Errorf("another seed: got the same %+v, %v", b, err)
	}
}

func TestExploreRefuses(t *testing.T) {
	for name, change := range map[string]func(*ExploreOptions){
		"no answers": func(o *ExploreOptions) { o.Sessions = 0 }, "more good than new": func(o *ExploreOptions) { o.World.Good = 99 },
	} {
		o := small(1)
		change(&o)
		if _, err := Explore(context.Background(), o); !errors.Is(err, shopper.ErrOptions) {
			t.Errorf("%s: got %v, want ErrOptions", name, err)
		}
	}
	o := small(1)
	o.Rate = 7
	if _, err := Explore(context.Background(), o); err == nil {
		t.Error("a rate of 7: got no error")
	}
}
