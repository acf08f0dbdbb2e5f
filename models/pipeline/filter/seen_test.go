package filter_test

import (
	"slices"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
)

// What was bought on several days comes back once its interval has passed, and
// only then.
func TestSeenLetsDueGoodsStay(t *testing.T) {
	day := 24 * time.Hour
	history := []features.Interaction{
		did(features.Purchase, 0, 60*day), did(features.Purchase, 1, 40*day), did(features.Purchase, 0, 31*day), // 0: every 29 days, due
		did(features.Purchase, 2, 30*day),                                            // once
		did(features.Purchase, 1, 10*day),                                            // 1: every 30 days, not due
		did(features.Purchase, 3, 9*day), did(features.Purchase, 3, 9*day-time.Hour), // within an hour: once
	}
	r := &features.Request{Item: features.NoRow, Shopper: &features.Shopper{Recent: history, Consent: features.AllPurposes}}
	for _, c := range []struct {
		params map[string]any
		want   []features.Row
	}{
		{nil, []features.Row{4, 5}},
		{map[string]any{"again": true}, []features.Row{0, 4, 5}},
	} {
		if got := left(t, "seen", c.params, r); !slices.Equal(got, c.want) {
			t.Errorf("%v: got rows %v, want %v", c.params, got, c.want)
		}
	}
}
