package knn_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/knn"
	"github.com/attune-rec/attune/models/modeltest"
)

const people, goods = 40, 12

// crossing is purchases at random, each pair once, and the same as a table.
func crossing() (*dataset.Dataset, [people][goods]float64) {
	rng := rand.New(rand.NewPCG(3, 8))
	var b dataset.Builder
	var table [people][goods]float64
	for i := range goods {
		b.Item(fmt.Sprint("i", i))
	}
	for u := range people {
		for i := range goods {
			if rng.Float64() < .15+.05*float64(i%6) || i == u%goods {
				table[u][i] = 1
				b.Add(fmt.Sprint("u", u), fmt.Sprint("i", i), "", features.Interaction{Type: features.Purchase, TimeMS: 1, Quantity: 1})
			}
		}
	}
	return b.Build(), table
}

// What one item says for the others is its similarity as the formulas have it,
// worked out from the table in double precision.
func TestSimilaritiesAgainstDumbTwin(t *testing.T) {
	d, table := crossing()
	var users [people]float64 // items of each
	var counts [goods]float64 // users of each
	for u := range people {
		for i := range goods {
			users[u] += table[u][i]
			counts[i] += table[u][i]
		}
	}
	dot := func(i, j int, exponent float64) float64 {
		s := 0.
		for u := range people {
			if table[u][i]*table[u][j] > 0 {
				s += math.Pow(users[u], -exponent)
			}
		}
		return s
	}
	// Items are documents of users: rarity of a user, and BM25's factor of a count of 1.
	rarity := func(u int) float64 { return math.Max(math.Log(goods/(1+users[u])), .01) }
	saturated := func(i int) float64 {
		mean := 0.
		for _, n := range counts {
			mean += n / goods
		}
		return 2.2 / (1.2*(.25+.75*counts[i]/mean) + 1)
	}
	weighed := func(i, j int, factor func(i int) float64) float64 {
		var ij, ii, jj float64
		for u := range people {
			r := rarity(u)
			a, b := table[u][i]*factor(i)*r, table[u][j]*factor(j)*r
			ij, ii, jj = ij+a*b, ii+a*a, jj+b*b
		}
		return ij / math.Sqrt(ii*jj)
	}
	for name, c := range map[string]struct {
		kind   models.Kind
		params string
		want   func(i, j int) float64
	}{
		"tf-idf": {knn.Item(), `{"similarity": "cosine", "weighting": "tfidf", "user": 0, "from": 0.5, "norm": 1, "shrink": 0}`,
			func(i, j int) float64 { return weighed(i, j, func(int) float64 { return 1 }) }},
		"bm25": {knn.Item(), `{"similarity": "cosine", "weighting": "bm25", "user": 0, "from": 0.5, "norm": 1, "shrink": 0}`,
			func(i, j int) float64 { return saturated(i) * weighed(i, j, saturated) }},
		"cosine": {knn.Item(), `{"similarity": "cosine", "weighting": "plain", "user": 0, "from": 0.5, "norm": 1, "shrink": 0}`,
			func(i, j int) float64 { return dot(i, j, 0) / math.Sqrt(counts[i]*counts[j]) }},
		"shrunk": {knn.Item(), `{"similarity": "cosine", "weighting": "plain", "user": 0, "from": 0.5, "norm": 1, "shrink": 5}`,
			func(i, j int) float64 { return dot(i, j, 0) / (math.Sqrt(counts[i]*counts[j]) + 5) }},
		"asymmetric": {knn.Item(), `{"similarity": "cosine", "weighting": "plain", "user": 0, "from": 0.8, "norm": 1, "shrink": 0}`,
			func(i, j int) float64 { return dot(i, j, 0) / (math.Pow(counts[i], .8) * math.Pow(counts[j], .2)) }},
		"jaccard": {knn.Item(), `{"similarity": "jaccard", "weighting": "plain", "user": 0, "shrink": 0}`,
			func(i, j int) float64 { return dot(i, j, 0) / (counts[i] + counts[j] - dot(i, j, 0)) }},
		"euclidean": {knn.Item(), `{"similarity": "euclidean", "weighting": "plain", "user": 0, "shrink": 0}`,
			func(i, j int) float64 { return 1 / (1 + math.Sqrt(counts[i]+counts[j]-2*dot(i, j, 0))) }},
		"p3alpha": {knn.Path(), `{"preset": "p3alpha", "alpha": 0.9}`,
			func(i, j int) float64 { return dot(i, j, .9) * math.Pow(counts[i], -.9) }},
		"rp3beta": {knn.Path(), `{"preset": "rp3beta", "alpha": 0.9, "beta": 0.3}`,
			func(i, j int) float64 { return dot(i, j, .9) * math.Pow(counts[i], -.9) * math.Pow(counts[j], -.3) }},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := c.kind.Fit(context.Background(), models.FitInput{Train: d, Params: json.RawMessage(c.params), Workers: 2})
			if err != nil {
				t.Fatal(err)
			}
			rows, out := make([]features.Row, goods), make([]float32, goods)
			for i := range rows {
				rows[i] = features.Row(i)
			}
			factor := 0. // of a history of one item, the same for all
			for i := range goods {
				r := modeltest.Request(d, 0)
				r.Shopper = &features.Shopper{Consent: features.AllPurposes, Recent: []features.Interaction{{Row: features.Row(i), Type: features.Purchase, TimeMS: 1, Quantity: 1}}}
				m.Score(r, rows, out)
				for j := range goods {
					if i == j || dot(i, j, 0) == 0 {
						continue
					}
					want := c.want(i, j)
					if factor == 0 {
						factor = float64(out[j]) / want
					}
					if got := float64(out[j]); !(math.Abs(got-factor*want) <= 1e-4*math.Abs(factor*want)) {
						t.Fatalf("what item %d says for %d: got %v, want %v", i, j, got, factor*want)
					}
				}
			}
		})
	}
}
