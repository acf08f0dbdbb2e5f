package hybrid

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
)

// TestFewCasesDoubtTheNewest expects less of leaning parts where few cases can
// show that they help, and nothing less of others.
func TestFewCasesDoubtTheNewest(t *testing.T) {
	for _, c := range []struct {
		cases int
		want  float64
	}{{20, .1}, {sure, 1}, {2 * sure, 1}} {
		var b dataset.Builder
		for u := range c.cases {
			b.Add(fmt.Sprint(u), "i", "", features.Interaction{Type: features.Purchase})
		}
		d := b.Build()
		tried := []candidate{
			{Choice: Choice{Kind: "ease", Params: json.RawMessage(`{"recency": 5}`)}, prior: 1},
			{Choice: Choice{Kind: "ease"}, prior: 1},
		}
		doubt(tried, d, d)
		if tried[0].prior != c.want || tried[1].prior != 1 {
			t.Errorf("%d cases: got priors %v and %v, want %v and 1", c.cases, tried[0].prior, tried[1].prior, c.want)
		}
	}
}
