package simulate

import (
	"context"
	"errors"
	"testing"

	"github.com/attune-rec/attune/loadtest/shopper"
)

// A ranker that knows of places answers better than one that takes every click
// for worth, by more than chance, and both follow from the seed.
func TestPlacesAreWorthKnowing(t *testing.T) {
	o := PositionOptions{World: shopper.Options{Seed: 1, Items: 200, Shoppers: 150, Limit: 10}, Visits: 20, Lists: 1500, Shown: 10, Look: 40}
	got, err := Position(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	if got.Low <= 0 || got.With <= got.Shown {
		t.Errorf("got a gain of %v [%v, %v] and %v clicks where %v are shown, want the interval above 0", got.Gain, got.Low, got.High, got.With, got.Shown)
	}
	again, err := Position(context.Background(), o)
	if err != nil || again.With != got.With || again.Without != got.Without {
		t.Errorf("got %v and %v, %v from the same seed, want %v and %v", again.With, again.Without, err, got.With, got.Without)
	}
	o.Shown = 11
	if _, err := Position(context.Background(), o); !errors.Is(err, shopper.ErrOptions) {
		t.Errorf("more shown than an answer has: got %v, want ErrOptions", err)
	}
}
