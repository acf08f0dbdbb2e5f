package neural

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
)

// loyal is shoppers who each keep to one brand of three; the last items of each
// brand nobody has met.
func loyal(t *testing.T, items, met int) *dataset.Dataset {
	t.Helper()
	var b dataset.Builder
	list := make([]features.Item, items)
	for i := range items {
		b.Item(fmt.Sprint(i))
		list[i] = features.Item{ID: fmt.Sprint(i), Brand: fmt.Sprint("brand", i%3)}
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for u := range 200 {
		for n := range 8 {
			b.Add(fmt.Sprint("u", u), fmt.Sprint(3*rng.IntN(met/3)+u%3), "", features.Interaction{Type: features.Purchase, TimeMS: int64(1 + n), Quantity: 1})
		}
	}
	d := b.Build()
	var err error
	if d.Catalog, err = catalog.Of(list); err != nil {
		t.Fatal(err)
	}
	return d
}

// Items that nobody met are known by their features: of those, the shopper's
// brand comes first. Without the features they are all the same. A shopper of
// whom training knew nothing is folded in all the same.
func TestItemFeaturesReachNewItems(t *testing.T) {
	d := loyal(t, 60, 54)
	right := func(m models.Model) (n int) {
		rows, out := []features.Row{54, 55, 56, 57, 58, 59}, make([]float32, 6)
		for u := range 60 {
			history := []features.Interaction{
				{Row: features.Row(u % 3), Type: features.Purchase, Quantity: 1}, {Row: features.Row(27 + u%3), Type: features.Purchase, Quantity: 1},
			}
			r := &features.Request{Shopper: &features.Shopper{Recent: history, Consent: features.AllPurposes}, Item: features.NoRow}
			m.Score(r, rows, out)
			best := 0
			for i, s := range out {
				if s > out[best] {
					best = i
				}
			}
			if int(rows[best])%3 == u%3 {
				n++
			}
		}
		return n
	}
	for _, kind := range []models.Kind{GMF(), NeuMF()} {
		for _, loss := range []string{Pointwise, Pairwise} {
			for _, on := range []bool{true, false} {
				params := fmt.Sprintf(`{"epochs": 6, "batch": 512, "rate": 0.01, "loss": %q, "item_features": %t}`, loss, on)
				m, err := kind.Fit(context.Background(), models.FitInput{Train: d, Params: json.RawMessage(params), Seed: 1, Workers: 2})
				if err != nil {
					t.Fatal(err)
				}
				if n := right(m); on && n < 54 || !on && n > 40 {
					t.Errorf("%s, %s, features %t: got the brand first for %d of 60 shoppers", kind.Name, loss, on, n)
				}
			}
		}
	}
}

func TestLossThatIsNone(t *testing.T) {
	_, err := NeuMF().Fit(context.Background(), models.FitInput{Train: loyal(t, 6, 6), Params: json.RawMessage(`{"loss": "hinge"}`), Seed: 1})
	if !errors.Is(err, models.ErrParams) {
		t.Errorf("got %v, want ErrParams", err)
	}
}
