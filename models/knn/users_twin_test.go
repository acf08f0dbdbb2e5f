package knn_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/knn"
	"github.com/attune-rec/attune/models/modeltest"
)

// What similar shoppers say of each item is worked out from the table in double
// precision: correlation over all items, what was not met counting 0.
func TestShoppersAgainstDumbTwin(t *testing.T) {
	d, table := crossing()
	var counts [goods]float64
	mean := 0.
	for u := range people {
		for i := range goods {
			counts[i] += table[u][i]
			mean += table[u][i] / people
		}
	}
	weigh := map[string]func(row [goods]float64) [goods]float64{
		"plain": func(row [goods]float64) [goods]float64 { return row },
		"tfidf": func(row [goods]float64) [goods]float64 {
			for i := range row {
				row[i] *= math.Max(math.Log(people/(1+counts[i])), .01)
			}
			return row
		},
	}
	weigh["bm25"] = func(row [goods]float64) [goods]float64 {
		length := 0.
		for _, v := range row {
			length += v
		}
		for i := range row {
			row[i] *= 2.2 / (1.2*(.25+.75*length/mean) + 1)
		}
		return weigh["tfidf"](row)
	}
	correlation := func(a, b [goods]float64, centred bool, shrink float64) float64 {
		var ma, mb, ab, aa, bb, both float64
		for i := range a {
			ma, mb, both = ma+a[i]/goods, mb+b[i]/goods, both+a[i]*b[i]
		}
		if both == 0 {
			return 0 // nobody is found by what both never met
		}
		if !centred {
			ma, mb = 0, 0
		}
		for i := range a {
			x, y := a[i]-ma, b[i]-mb
			ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
		}
		return ab / (math.Sqrt(aa*bb) + shrink)
	}
	for _, c := range []struct {
		similarity, weighting string
		shrink                float64
		neighbours            int
		reverse               bool
	}{
		{"cosine", "plain", 0, 800, false}, {"pearson", "plain", 0, 800, false}, {"pearson", "plain", 2, 800, false},
		{"pearson", "tfidf", 0, 800, false}, {"pearson", "bm25", 0, 800, false}, {"cosine", "bm25", 0, 6, false},
		{"pearson", "bm25", 0, 6, false}, {"pearson", "bm25", 0, 6, true}, {"pearson", "bm25", 0, 800, true},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			params := fmt.Sprintf(`{"similarity": %q, "weighting": %q, "shrink": %v, "neighbours": %d, "reverse": %t}`, c.similarity, c.weighting, c.shrink, c.neighbours, c.reverse)
			m, err := knn.User().Fit(context.Background(), models.FitInput{Train: d, Params: json.RawMessage(params), Seed: 1, Workers: 2})
			if err != nil {
				t.Fatal(err)
			}
			var near [people][people]float64
			for u := range people {
				for v := range people {
					near[u][v] = correlation(weigh[c.weighting](table[u]), weigh[c.weighting](table[v]), c.similarity == "pearson", c.shrink)
				}
			}
			// reach is the similarity of the last who counts for u.
			reach := func(u, n int) float64 {
				sorted := slices.Sorted(slices.Values(near[u][:]))
				return max(sorted[max(people-n, 0)], 0)
			}
			rows, got := make([]features.Row, goods), make([]float32, goods)
			for i := range rows {
				rows[i] = features.Row(i)
			}
			for u := range people {
				m.Score(modeltest.Request(d, u), rows, got)
				var want [goods]float64
				for v := range people {
					least := reach(u, c.neighbours)
					if c.reverse {
						least = reach(v, c.neighbours+1) // the nearest to v is v
					}
					if near[u][v] <= 0 || near[u][v] < least-1e-6 {
						continue
					}
					for i, w := range weigh[c.weighting](table[v]) {
						want[i] += near[u][v] * w
					}
				}
				for i := range want {
					if math.Abs(float64(got[i])-want[i]) > 1e-4*(1+math.Abs(want[i])) {
						t.Fatalf("shopper %d, item %d: got %v, want %v", u, i, got[i], want[i])
					}
				}
			}
		})
	}
}
