package together

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/modeltest"
)

func TestConformance(t *testing.T) {
	modeltest.Run(t, Kind(), modeltest.Options{Params: `{"hours": 24, "markets": 2}`})
}

// shop is baskets of bread with butter in Germany and with jam in France, tea
// alone, and long ago bread with milk.
func shop() *dataset.Dataset {
	const day = 86_400_000
	var b dataset.Builder
	for _, item := range []string{"bread", "butter", "jam", "tea", "milk"} {
		b.Item(item)
	}
	for n := range 20 {
		buy := func(days, hour int64, market string, items ...string) {
			for i, item := range items {
				b.Add(fmt.Sprint("user", n), item, market, features.Interaction{Type: features.Purchase, TimeMS: 1_700_000_000_000 + days*day + hour*3_600_000 + int64(i), Quantity: 1})
			}
		}
		buy(0, 0, "DE", "bread", "milk")
		buy(100, 0, "DE", "bread", "butter")
		buy(101, 0, "FR", "bread", "jam")
		buy(102, 0, "DE", "tea")
		buy(102, 20, "DE", "jam") // another basket
	}
	return b.Build()
}

func fit(t *testing.T, params string) models.Model {
	t.Helper()
	m, err := Fit(context.Background(), models.FitInput{Train: shop(), Params: json.RawMessage(params)})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestGoesWithTheCartByMarketAndTime(t *testing.T) {
	all := []features.Row{0, 1, 2, 3, 4}
	score := func(m models.Model, market string, cart ...features.Row) [5]float32 {
		var out [5]float32
		m.Score(&features.Request{Query: features.Query{Market: market}, Item: features.NoRow, Cart: cart}, all, out[:])
		return out
	}
	m := fit(t, `{"markets": 2, "lift": 0}`)
	if got := score(m, "", 0); got != [5]float32{0, 1. / 3, 1. / 3, 0, 1. / 3} {
		t.Errorf("with bread anywhere: got %v, want a third each of butter, jam and milk", got)
	}
	if got := score(m, "FR", 0); got != [5]float32{0, 0, 1, 0, 0} {
		t.Errorf("with bread in France: got %v, want jam alone", got)
	}
	if got := score(m, "IT", 1); got != [5]float32{1, 0, 0, 0, 0} {
		t.Errorf("with butter where there are no rules: got %v, want the whole shop's bread", got)
	}
	if got := score(fit(t, `{"days": 30, "lift": 0}`), "", 0); got[4] != 0 || got[1] != .5 {
		t.Errorf("of the last days: got %v, want no milk and half butter", got)
	}
	near := m.(models.Neighbourhood).Neighbours(0, 2, features.BitmapOf(5, 2, 4), nil)
	if len(near) != 2 || near[0].Row != 2 || near[1].Row != 4 {
		t.Errorf("beside bread, without butter: got %v, want jam and milk", near)
	}
}

func TestBadParams(t *testing.T) {
	for _, bad := range []string{`{"rules": 0}`, `{"confidence": 2}`, `{"lift": -1}`, `{"length": 1}`, `{"hours": -1}`, `{"support": 1}`, `[]`} {
		if _, err := parse(json.RawMessage(bad)); !errors.Is(err, models.ErrParams) {
			t.Errorf("%s: got %v, want ErrParams", bad, err)
		}
	}
}
