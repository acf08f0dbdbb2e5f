package knn_test

import (
	"context"
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/knn"
	"github.com/attune-rec/attune/models/modeltest"
	"github.com/attune-rec/attune/models/taste"
)

// Some items score what they score among all, to the bit, and what a sum of them
// rests on is the sum of what each rests on.
func TestSomeOfTheItems(t *testing.T) {
	d := modeltest.Board(200, nil)
	fitted, err := knn.Item().Fit(context.Background(), models.FitInput{Train: d, Params: json.RawMessage(`{"neighbours": 40}`), Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	m := fitted.(*knn.Items)
	all := make([]features.Row, d.NumItems())
	for i := range all {
		all[i] = features.Row(i)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for u := range 40 {
		whole := make([]float32, len(all))
		r := modeltest.Request(d, u)
		r.Scratch = new(features.Scratch)
		m.Score(r, all, whole)
		items := []features.Row{-1, features.Row(len(all)), 5, 5}
		for len(items) < 20 {
			items = append(items, features.Row(rng.IntN(len(all))))
		}
		got := make([]float32, len(items))
		r.Scratch.Reset()
		m.Score(r, items, got)
		for i, row := range items {
			want := float32(math.NaN())
			if row >= 0 && int(row) < len(all) {
				want = whole[row]
			}
			if math.Float32bits(got[i]) != math.Float32bits(want) {
				t.Fatalf("user %d, item %d: got %v, want %v", u, row, got[i], want)
			}
		}
		rows := taste.Items(r)
		items, weights := append([]features.Row(nil), all[u:u+15]...), make([]float32, 15)
		want, sum := make([]float32, len(rows)), make([]float32, len(rows))
		for i, row := range items {
			weights[i] = rng.Float32()
			m.Attribute(r, row, rows, weights[i], want)
		}
		if !m.AttributeSum(r, items, weights, rows, sum) {
			t.Fatal("nothing attributed")
		}
		for i := range want {
			if math.Abs(float64(sum[i]-want[i])) > 1e-5 {
				t.Fatalf("user %d: got %v, want %v", u, sum, want)
			}
		}
		most := append([]features.Row{-1, features.Row(len(all))}, all...) // too many to be looked for one by one
		one, other := make([]float32, len(most)), make([]float32, len(most))
		for i := range most {
			one[i], other[i] = rng.Float32(), rng.Float32()
		}
		sums := [4][]float32{}
		for i := range sums {
			sums[i] = make([]float32, len(rows))
		}
		if !m.AttributeSum(r, most, one, rows, sums[0]) || !m.AttributeSum(r, most, other, rows, sums[1]) || !m.AttributeSums(r, most, one, other, rows, sums[2], sums[3]) {
			t.Fatal("nothing attributed")
		}
		if !slices.Equal(sums[0], sums[2]) || !slices.Equal(sums[1], sums[3]) {
			t.Fatalf("user %d: got %v and %v together, want %v and %v", u, sums[2], sums[3], sums[0], sums[1])
		}
	}
}
