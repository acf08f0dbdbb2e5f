package mf

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/attune-rec/attune/models/linalg"
)

// TestPrior holds a row that is drawn to a vector to the dumb sum of its loss:
// no step away from the solution is better, and the value is that of the sum.
func TestPrior(t *testing.T) {
	const dim, items = 6, 40
	for _, observed := range []int{0, 3, 20} {
		for _, steps := range []int{0, 60} {
			t.Run(fmt.Sprintf("%d observed, %d steps", observed, steps), func(t *testing.T) {
				rng := rand.New(rand.NewPCG(1, uint64(observed)))
				y := linalg.NewMatrix(items, dim)
				for i := range y.Data {
					y.Data[i] = float32(rng.NormFloat64())
				}
				const unobserved = .1
				sys, err := newSystem(y, unobserved, 1)
				if err != nil {
					t.Fatal(err)
				}
				seen := linalg.CSR{Rows: 1, Cols: items, Ptr: []int64{0, int64(observed)}, Idx: []int32{}, Val: []float32{}}
				for k := range observed {
					seen.Idx, seen.Val = append(seen.Idx, int32(k)), append(seen.Val, []float32{1, .5, -1}[k%3])
				}
				s := newSide(seen, dim)
				s.reg[0], s.prior = .7, linalg.NewMatrix(1, dim)
				for k := range s.prior.Data {
					s.prior.Data[k] = float32(rng.NormFloat64())
				}
				got, err := s.solveRow(new(worker), sys, 0, steps)
				if err != nil {
					t.Fatal(err)
				}
				x := s.vectors.Row(0)
				if observed == 0 {
					for k, v := range x {
						if v != s.prior.Data[k] {
							t.Fatalf("got %v, want the prior %v", x, s.prior.Data)
						}
					}
					return
				}
				loss := func(x []float32) float64 {
					total := 0.
					for i := range items {
						score := float64(linalg.Dot(x, y.Row(i)))
						total += unobserved * score * score
						if i < observed {
							w, target := math.Abs(float64(seen.Val[i])), 0.
							if seen.Val[i] > 0 {
								target = 1
							}
							total += w * (target - score) * (target - score)
						}
					}
					for k, v := range x {
						off := float64(v - s.prior.Data[k])
						total += .7 * off * off
					}
					return total
				}
				want := loss(x)
				if math.Abs(got-want) > 1e-3*want {
					t.Errorf("got value %v, want %v", got, want)
				}
				for k := range x {
					for _, step := range []float32{-.01, .01} {
						x[k] += step
						if v := loss(x); v < want-1e-6*want {
							t.Errorf("moving number %d by %v gives %v, below %v", k, step, v, want)
						}
						x[k] -= step
					}
				}
			})
		}
	}
}
