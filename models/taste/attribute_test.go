package taste_test

import (
	"slices"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models/taste"
)

// The items of a history and their weights are those of the profile.
func TestWeightsAreTheProfiles(t *testing.T) {
	history := []features.Interaction{
		event(7, features.View, 1), event(3, features.Impression, 2), event(7, features.Purchase, 3),
		event(12, features.Purchase, 4), event(2, features.Dislike, 5), event(3, features.CartAdd, 6), event(7, features.View, 7),
	}
	r := &features.Request{Shopper: &features.Shopper{Recent: history, Consent: features.AllPurposes}, Scratch: new(features.Scratch)}
	rows := taste.Items(r)
	if want := []features.Row{7, 3, 12, 2}; !slices.Equal(rows, want) {
		t.Fatalf("got items %v, want %v", rows, want)
	}
	w := weigher(t, taste.Options{Recency: 3}, nil)
	want := weights(w.Profile(history, 10, new(features.Scratch)))
	for i, v := range w.Weights(r, 10, rows) {
		if v != want[int32(rows[i])] {
			t.Errorf("item %d: got weight %v, want %v", rows[i], v, want[int32(rows[i])])
		}
	}
}
