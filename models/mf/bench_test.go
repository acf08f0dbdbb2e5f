package mf_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/mf"
)

// crowd is pairs drawn by popularity at the shape of a large film site: items
// by a power law, users by a log-normal.
func crowd(users, items, pairs int) *dataset.Dataset {
	rng := rand.New(rand.NewPCG(20, 26))
	d := &dataset.Dataset{Users: make([]string, users), Items: make([]string, items), Ptr: make([]int64, users+1)}
	for i := range d.Users {
		d.Users[i] = strconv.Itoa(i)
	}
	for i := range d.Items {
		d.Items[i] = strconv.Itoa(i)
	}
	mean := float64(pairs) / float64(users) * 1.15 // repeats fall away
	for u := range users {
		seen := map[features.Row]bool{}
		for range int(mean * math.Exp(rng.NormFloat64()*.9-.4)) {
			row := features.Row(float64(items) * math.Pow(rng.Float64(), 3))
			if !seen[row] {
				seen[row] = true
				d.Log = append(d.Log, features.Interaction{Row: row, Type: features.Purchase, Quantity: 1})
			}
		}
		d.Ptr[u+1] = int64(len(d.Log))
	}
	return d
}

// BenchmarkIALS reports the CPU-bound wall time of an epoch at 138k users x 27k
// items and 5 M pairs.
func BenchmarkIALS(b *testing.B) {
	if testing.Short() {
		b.Skip("takes minutes")
	}
	d := crowd(138_000, 27_000, 5_000_000)
	for _, factors := range []int{64, 128} {
		for _, solver := range []string{"cholesky", "cg"} {
			b.Run(fmt.Sprintf("%s/factors=%d/pairs=%d", solver, factors, len(d.Log)), func(b *testing.B) {
				params := fmt.Sprintf(`{"factors": %d, "solver": %q, "epochs": %d}`, factors, solver, b.N)
				if _, err := mf.IALS().Fit(context.Background(), models.FitInput{Train: d, Seed: 1, Params: []byte(params)}); err != nil {
					b.Fatal(err)
				}
			})
		}
	}
}

func BenchmarkFoldIn(b *testing.B) {
	d := crowd(3000, 3000, 100_000)
	for _, factors := range []int{64, 256} {
		m, err := mf.IALS().Fit(context.Background(), models.FitInput{Train: d, Seed: 1, Params: []byte(fmt.Sprintf(`{"factors": %d, "epochs": 1}`, factors))})
		if err != nil {
			b.Fatal(err)
		}
		for _, n := range []int{5, 50, 500} {
			b.Run(fmt.Sprintf("factors=%d/history=%d", factors, n), func(b *testing.B) {
				history := make([]features.Interaction, n)
				for i := range history {
					history[i] = features.Interaction{Row: features.Row(i * 5), Type: features.Purchase}
				}
				r := &features.Request{Shopper: &features.Shopper{Recent: history, Consent: features.AllPurposes}, Scratch: new(features.Scratch)}
				x := make([]float32, factors)
				b.ReportAllocs()
				for b.Loop() {
					r.Scratch.Reset()
					m.(models.Embedder).Embed(r, x)
				}
			})
		}
	}
}
