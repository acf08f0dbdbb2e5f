package sequence

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
)

// sorted is shoppers who go from sort to sort, 0, 1, 2, 0 …, each time to any
// item of it; the last items of each sort nobody has met.
func sorted(t *testing.T, items, met int) *dataset.Dataset {
	t.Helper()
	var b dataset.Builder
	list := make([]features.Item, items)
	for i := range items {
		b.Item(fmt.Sprint(i))
		list[i] = features.Item{ID: fmt.Sprint(i), Category: []string{"all", fmt.Sprint("sort", i%3)}, Attributes: map[string]string{"x": "y", "u": fmt.Sprint(i)}}
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for u := range 200 {
		for n := range 12 {
			item := 3*rng.IntN(met/3) + (u+n)%3
			b.Add(fmt.Sprint("u", u), fmt.Sprint(item), "", features.Interaction{Type: features.Purchase, TimeMS: int64(1 + n), Quantity: 1})
		}
	}
	d := b.Build()
	var err error
	if d.Catalog, err = catalog.Of(list); err != nil {
		t.Fatal(err)
	}
	return d
}

// Items that nobody met are known by what is said of them: of those, the sort
// that comes next is put first. Without the features they are all the same.
func TestItemFeaturesReachNewItems(t *testing.T) {
	d := sorted(t, 30, 24)
	right := func(m models.Model) (n int) {
		rows, out := []features.Row{24, 25, 26, 27, 28, 29}, make([]float32, 6)
		for u := range 60 {
			r := &features.Request{Shopper: &features.Shopper{Recent: d.History(u), Consent: features.AllPurposes}, Item: features.NoRow}
			m.Score(r, rows, out)
			best := 0
			for i, s := range out {
				if s > out[best] {
					best = i
				}
			}
			if int(rows[best])%3 == (u+12)%3 {
				n++
			}
		}
		return n
	}
	for _, kind := range []models.Kind{GRU(), LSTM(), SASRec()} {
		for _, on := range []bool{true, false} {
			params := fmt.Sprintf(`{"dim": 16, "epochs": 12, "dropout": 0.1, "tokens": 256, "item_features": %t}`, on)
			m, err := kind.Fit(context.Background(), models.FitInput{Train: d, Params: json.RawMessage(params), Seed: 1, Workers: 2})
			if err != nil {
				t.Fatal(err)
			}
			if n := right(m); on && n < 54 || !on && n > 40 {
				t.Errorf("%s, features %t: got the sort that comes next first for %d of 60 shoppers", kind.Name, on, n)
			}
		}
	}
}
