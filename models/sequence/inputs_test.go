package sequence_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
)

// told is shoppers whose third item says how their second event was: 10 or 11
// after a short or long while, or, by type, after a view or a cart. What the
// items were says nothing.
func told(byType bool) *dataset.Dataset {
	var b dataset.Builder
	for i := range 12 {
		b.Item(fmt.Sprint(i))
	}
	rng := rand.New(rand.NewPCG(2, 3))
	for u := range 400 {
		now, second := int64(1_700_000_000_000), rng.IntN(2)
		kind, wait := features.View, int64(5_000)
		if second == 1 && byType {
			kind = features.CartAdd
		} else if second == 1 {
			wait = 3 * 24 * 3_600_000
		}
		name, first := fmt.Sprint("u", u), rng.IntN(10)
		b.Add(name, fmt.Sprint(first), "", features.Interaction{Type: features.View, TimeMS: now, Quantity: 1})
		b.Add(name, fmt.Sprint((first+1+rng.IntN(9))%10), "", features.Interaction{Type: kind, TimeMS: now + wait, Quantity: 1})
		b.Add(name, fmt.Sprint(10+second), "", features.Interaction{Type: features.View, TimeMS: now + wait + 5_000, Quantity: 1})
	}
	return b.Build()
}

// Types and gaps decide what is predicted where they decide what follows, and
// cannot where they are not read.
func TestTypesAndGapsAreRead(t *testing.T) {
	rows := []features.Row{10, 11}
	for _, byType := range []bool{true, false} {
		d := told(byType)
		for _, kind := range networks() {
			for _, read := range []bool{true, false} {
				m := fit(t, kind, d, fmt.Sprintf(`{"dim": 16, "epochs": 20, "dropout": 0.1, "tokens": 128, "event_types": %t, "gaps": %t}`, read, read), 1)
				right, out := 0, make([]float32, 2)
				for u := range 100 {
					history := d.History(u)
					m.Score(&features.Request{Shopper: &features.Shopper{Recent: history[:2], Consent: features.AllPurposes}, Item: features.NoRow}, rows, out)
					if (out[1] > out[0]) == (history[2].Row == 11) {
						right++
					}
				}
				if read && right < 98 || !read && right > 75 {
					t.Errorf("%s, by type %t, read %t: got %d of 100 right", kind.Name, byType, read, right)
				}
			}
		}
	}
}
