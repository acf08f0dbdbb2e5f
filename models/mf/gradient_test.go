package mf

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/attune-rec/attune/models/linalg"
)

// TestFewStepsTellTheirValue compares the value that is told after a few steps
// with one that is summed term by term where they end.
func TestFewStepsTellTheirValue(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	const dim, seen = 9, 14
	fixed, x, prior := linalg.NewMatrix(30, dim), make([]float32, dim), make([]float32, dim)
	spectrum, rows, weights := make([]float32, dim), make([]int32, seen), make([]float32, seen)
	for _, part := range [][]float32{fixed.Data, x, prior, weights} {
		for i := range part {
			part[i] = float32(rng.NormFloat64())
		}
	}
	for i := range spectrum {
		spectrum[i] = rng.Float32()
	}
	for i := range rows {
		rows[i] = int32(2 * i)
	}
	y := systemOf(fixed, spectrum)
	last := math.Inf(1)
	for steps := range 6 {
		for _, drawn := range [][]float32{nil, prior} {
			at := slices.Clone(x)
			got := new(worker).gradient(y, rows, weights, .3, at, drawn, steps)
			scores := make([]float32, seen)
			linalg.DotGather(at, fixed.Data, rows, scores)
			want := y.value(scores, weights, .3, at, drawn)
			if math.Abs(got-want) > 1e-5*want {
				t.Errorf("%d steps, drawn %t: got %v, want %v", steps, drawn != nil, got, want)
			}
			if drawn == nil && !(got < last) {
				t.Errorf("%d steps: got %v, want below %v of one step less", steps, got, last)
			}
			if drawn == nil {
				last = got
			}
		}
	}
}
