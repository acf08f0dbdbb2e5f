package graph_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/graph"
	"github.com/attune-rec/attune/models/knn"
	"github.com/attune-rec/attune/models/modeltest"
)

const people, goods = 60, 16

// crossing is purchases at random, each pair once, and the same as a table.
func crossing() (*dataset.Dataset, *mat.Dense) {
	rng := rand.New(rand.NewPCG(4, 9))
	var b dataset.Builder
	table := mat.NewDense(people, goods, nil)
	for i := range goods {
		b.Item(fmt.Sprint("i", i))
	}
	for u := range people {
		for i := range goods {
			if rng.Float64() < .1+.05*float64((u+i)%6) || i == u%goods {
				table.Set(u, i, 1)
				b.Add(fmt.Sprint("u", u), fmt.Sprint("i", i), "", features.Interaction{Type: features.Purchase, TimeMS: 1, Quantity: 1})
			}
		}
	}
	return b.Build(), table
}

// lowPass is the filter as its formula has it, over all eigenvectors of the
// normalised item-item matrix, by another library in double precision.
func lowPass(t *testing.T, table *mat.Dense, factors int, item, sharpen float64) *mat.Dense {
	t.Helper()
	var users [people]float64
	var items [goods]float64
	for u := range people {
		for i := range goods {
			users[u] += table.At(u, i)
			items[i] += table.At(u, i)
		}
	}
	normal := mat.NewDense(people, goods, nil)
	normal.Apply(func(u, i int, v float64) float64 { return v / math.Sqrt(math.Max(users[u], 1)*items[i]) }, table)
	var gram mat.SymDense
	gram.SymOuterK(1, normal.T())
	var eigen mat.EigenSym
	if !eigen.Factorize(&gram, true) {
		t.Fatal("no eigenvectors")
	}
	var vectors mat.Dense
	eigen.VectorsTo(&vectors)
	values := eigen.Values(nil) // ascending
	filter := mat.NewDense(goods, goods, nil)
	for k := goods - factors; k < goods; k++ {
		for i := range goods {
			for j := range goods {
				v := (1 - sharpen*values[k]) * vectors.At(i, k) * vectors.At(j, k)
				filter.Set(i, j, filter.At(i, j)+v*math.Pow(items[i], -item)*math.Pow(items[j], item))
			}
		}
	}
	var scores mat.Dense
	scores.Mul(table, filter)
	return &scores
}

// against compares the scores of a fitted model with want.
func against(t *testing.T, d *dataset.Dataset, m models.Model, want func(u, i int) float64) {
	t.Helper()
	rows, got := make([]features.Row, goods), make([]float32, goods)
	for i := range rows {
		rows[i] = features.Row(i)
	}
	for u := range d.Users {
		if len(d.History(u)) == 0 {
			continue
		}
		m.Score(modeltest.Request(d, u), rows, got)
		for i, v := range got {
			if w := want(u, i); math.Abs(float64(v)-w) > 1e-3*(1+math.Abs(w)) {
				t.Fatalf("user %d, item %d: got %v, want %v", u, i, v, w)
			}
		}
	}
}

func fit(t *testing.T, kind models.Kind, d *dataset.Dataset, params string) models.Model {
	t.Helper()
	m, err := kind.Fit(context.Background(), models.FitInput{Train: d, Params: json.RawMessage(params), Seed: 1, Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestLowPassAgainstDumbTwin(t *testing.T) {
	d, table := crossing()
	for _, c := range []struct {
		factors       int
		item, sharpen float64
	}{{3, .5, 0}, {3, .5, .4}, {6, .2, 1}, {8, 0, .3}} {
		m := fit(t, graph.LowPass(), d, fmt.Sprintf(`{"factors": %d, "item": %v, "sharpen": %v, "rounds": 60}`, c.factors, c.item, c.sharpen))
		want := lowPass(t, table, c.factors, c.item, c.sharpen)
		against(t, d, m, want.At)
	}
}

// gf-cf is the walks and the filter, each as it is by itself.
func TestGFCFIsTheSumOfItsFilters(t *testing.T) {
	d, table := crossing()
	m := fit(t, graph.GFCF(), d, `{"alpha": 0.7, "factors": 4, "rounds": 60, "sharpen": 0.2, "user": 1, "from": 0.5, "to": 0.5}`)
	linear, low := fit(t, knn.Path(), d, `{"user": 1, "from": 0.5, "to": 0.5}`), lowPass(t, table, 4, .5, .2)
	rows, part := make([]features.Row, goods), make([]float32, goods)
	for i := range rows {
		rows[i] = features.Row(i)
	}
	against(t, d, m, func(u, i int) float64 {
		linear.Score(modeltest.Request(d, u), rows, part)
		return float64(part[i]) + .7*low.At(u, i)
	})
}
