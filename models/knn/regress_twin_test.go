package knn_test

import (
	"context"
	"encoding/json"
	"math"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/knn"
	"github.com/attune-rec/attune/models/modeltest"
)

// voteAgainst fits kind and compares what each item alone says for each other
// with want, to within so much of the largest.
func voteAgainst(t *testing.T, kind models.Kind, params string, want [goods][goods]float64, within float64) {
	t.Helper()
	d, _ := crossing()
	m, err := kind.Fit(context.Background(), models.FitInput{Train: d, Params: json.RawMessage(params), Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	largest := 0.
	for _, row := range want {
		for _, v := range row {
			largest = max(largest, math.Abs(v))
		}
	}
	rows, out := make([]features.Row, goods), make([]float32, goods)
	for i := range rows {
		rows[i] = features.Row(i)
	}
	for i := range goods {
		r := modeltest.Request(d, 0)
		r.Shopper = &features.Shopper{Consent: features.AllPurposes, Recent: []features.Interaction{{Row: features.Row(i), Type: features.Purchase, TimeMS: 1, Quantity: 1}}}
		m.Score(r, rows, out)
		for j := range goods {
			if got := float64(out[j]); i != j && math.Abs(got-want[i][j]) > within*largest {
				t.Fatalf("%s: what item %d says for %d: got %v, want %v", params, i, j, got, want[i][j])
			}
		}
	}
}

// regression is each item's column on all others, by a descent in double
// precision that never stops early; users weigh n^-.5, columns n^-.2.
func regression(ridge, lasso float64, positive bool) (votes [goods][goods]float64) {
	_, table := crossing()
	var scale [goods]float64
	for i := range goods {
		n := 0.
		for u := range people {
			n += table[u][i]
		}
		scale[i] = math.Pow(n, -.2)
	}
	var gram [goods][goods]float64
	mean := 0.
	for u := range people {
		n := 0.
		for _, v := range table[u] {
			n += v
		}
		for i := range goods {
			for j := range goods {
				if table[u][i]*table[u][j] > 0 {
					gram[i][j] += scale[i] * scale[j] * math.Pow(n, -.5)
				}
			}
		}
	}
	for i := range goods {
		mean += gram[i][i] / goods
	}
	for j := range goods {
		var v [goods]float64
		for range 3000 {
			for i := range goods {
				if i == j {
					continue
				}
				rest := gram[i][j]
				for k := range goods {
					if k != i && k != j {
						rest -= gram[i][k] * v[k]
					}
				}
				rest = math.Copysign(math.Max(math.Abs(rest)-lasso*mean, 0), rest)
				if positive {
					rest = math.Max(rest, 0)
				}
				v[i] = rest / (gram[i][i] + ridge*mean)
			}
		}
		for i := range goods {
			votes[i][j] = v[i] * scale[i] / scale[j]
		}
	}
	return votes
}

func TestEASEAgainstDumbTwin(t *testing.T) {
	voteAgainst(t, knn.EASE(), `{"ridge": 0.5}`, regression(.5, 0, false), 1e-4)
	voteAgainst(t, knn.EASE(), `{"ridge": 4}`, regression(4, 0, false), 1e-4)
}

// With all items as candidates the sparse regression is the exact one; it takes
// those that share a user, as all of these do.
func TestSLIMAgainstDumbTwin(t *testing.T) {
	voteAgainst(t, knn.SLIM(), `{"ridge": 0.5, "sweeps": 1000}`, regression(.5, 0, false), 5e-3)
	voteAgainst(t, knn.SLIM(), `{"ridge": 0.5, "sweeps": 1000, "lasso": 0.05}`, regression(.5, .05, false), 5e-3)
	voteAgainst(t, knn.SLIM(), `{"ridge": 0.1, "sweeps": 1000, "lasso": 0.02, "non_negative": true}`, regression(.1, .02, true), 5e-3)
}
