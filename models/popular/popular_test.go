package popular

import (
	"context"
	"encoding/json"
	"math"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/modeltest"
)

func TestConformance(t *testing.T) {
	modeltest.Run(t, Kind(), modeltest.Options{Impersonal: true})
}

func TestCounts(t *testing.T) {
	const day = 24 * 60 * 60 * 1000
	var b dataset.Builder
	add := func(user, item, market string, kind features.EventType, days int64) {
		b.Add(user, item, market, features.Interaction{Type: kind, TimeMS: 1e12 + days*day})
	}
	add("a", "mug", "DE", features.Purchase, 0)
	add("a", "lamp", "DE", features.Purchase, 10)
	add("b", "mug", "FR", features.View, 10)
	add("b", "vase", "FR", features.Purchase, 10)
	add("b", "vase", "FR", features.Return, 10)
	add("c", "mug", "", features.Purchase, 10)
	fit := func(params string) models.Model {
		t.Helper()
		m, err := Fit(context.Background(), models.FitInput{Train: b.Build(), Params: json.RawMessage(params)})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	for _, c := range []struct {
		params, market string
		want           [4]float32 // mug, lamp, vase, past the end
	}{
		{`{"half_life_days": 10, "prior": 0}`, "", [4]float32{.5 + .2 + 1, 1, 0}},
		{`{"half_life_days": 0, "prior": 0}`, "", [4]float32{2.2, 1, 0}},
		{`{"half_life_days": 10, "prior": 0}`, "DE", [4]float32{.5, 1, 0}},
		{`{"half_life_days": 10, "prior": 2.7}`, "FR", [4]float32{.2 + 1.7, 1, 0}},
		{`{"half_life_days": 10, "prior": 0}`, "IT", [4]float32{1.7, 1, 0}},
		{`{"half_life_days": 10, "prior": 0, "max_markets": 1}`, "FR", [4]float32{.2, 0, 0}},
	} {
		var got [4]float32
		fit(c.params).Score(&features.Request{Query: features.Query{Market: c.market}}, []features.Row{0, 1, 2, 3}, got[:])
		for i := range 3 {
			if math.Abs(float64(got[i]-c.want[i])) > 1e-6 {
				t.Errorf("%s in %q: got %v, want %v", c.params, c.market, got, c.want)
				break
			}
		}
		if !math.IsNaN(float64(got[3])) {
			t.Errorf("row past the end: got %v, want NaN", got[3])
		}
	}
}

func TestBadParams(t *testing.T) {
	for _, bad := range []string{`{"half_life_days": -1}`, `{"prior": -1}`, `{"max_markets": -1}`, `[]`} {
		if _, err := parse(json.RawMessage(bad)); err == nil {
			t.Errorf("%s: got no error", bad)
		}
	}
}
