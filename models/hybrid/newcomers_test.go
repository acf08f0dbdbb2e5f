package hybrid

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/popular"
)

// TestNewcomersChooseHowSalesFade has shoppers who come once, for what has sold
// all year or for what is in this week: the half-life of popularity follows.
func TestNewcomersChooseHowSalesFade(t *testing.T) {
	const day = 24 * 60 * 60 * 1000
	for name, c := range map[string]struct {
		item func(d, u int) int // of the second purchase of shopper u on day d
		want func(days string) bool
	}{
		"a new season each week": {func(d, u int) int { return 30 + d/7*10 + u%10 }, func(days string) bool { return strings.Contains(days, "after 7 days") }},
		"a burst at the end of a long year": {func(d, u int) int {
			if d >= 290 && d < 321 { // a fad that is over when the newcomers come
				return 500 + u%25
			}
			return 30 + u%25
		}, func(days string) bool {
			return !strings.Contains(days, "after 7 days") && !strings.Contains(days, "after 14 days")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var b dataset.Builder
			for d := range 360 {
				for u := range 4 {
					user := fmt.Sprintf("u%d-%d", d, u)
					for k, item := range []int{u % 3, c.item(d, u*7+d), c.item(d, u*3+d+1)} {
						b.Add(user, fmt.Sprint("i", item), "", features.Interaction{Type: features.Purchase, TimeMS: int64(d+1)*day + int64(k), Quantity: 1})
					}
				}
			}
			in := models.FitInput{Train: b.Build(), Seed: 1, Workers: 2, Kinds: func(string) (models.Kind, error) { return popular.Kind(), nil }}
			events := models.DefaultWeights()
			params, why, err := fading(context.Background(), in, survey(in.Train), &events)
			if err != nil {
				t.Fatal(err)
			}
			if len(params) == 0 || !c.want(why) {
				t.Errorf("got %s: %s", params, why)
			}
		})
	}
}
