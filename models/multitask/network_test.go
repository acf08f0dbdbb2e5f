package multitask

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

func rng() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

func visits() []Visit {
	return []Visit{
		{Met: [Goals][]int32{{0, 4}, {2}, {1, 5}}, Items: []int32{5, 3, 2, 4, 0}, Own: []int32{1, -1, 0, 1, 0}, Level: []int8{3, 0, 2, 1, 1}},
		{Met: [Goals][]int32{nil, nil, {3}}, Items: []int32{3, 0}, Own: []int32{0, -1}, Level: []int8{3, 0}},
	}
}

func TestGradients(t *testing.T) {
	for _, s := range []Shape{
		{Dim: 2, Shared: 3, Experts: 1, Tower: 2},
		{Dim: 2, Shared: 3, Experts: 2, Tower: 2, Chain: true},
		{Dim: 2, Shared: 3, Experts: 2, Tower: 2, Chain: true, Uncertainty: true},
	} {
		t.Run(fmt.Sprintf("%+v", s), func(t *testing.T) {
			weight := [Goals]float64{.2, .5, 1}
			n, single := NewNetwork[float64](6, s, weight, rng()), NewNetwork[float32](6, s, weight, rng())
			for i, p := range n.Params() {
				p.Normal(rng(), .6)
				for j, w := range p.W {
					single.Params()[i].W[j] = float32(w)
				}
			}
			value := func() float64 { return n.Total(n.Step(visits(), 14, .5), .5) }
			value()
			single.Step(visits(), 14, .5)
			var want [][]float64
			for _, p := range n.Params() {
				want = append(want, append([]float64(nil), p.G...))
			}
			for i, p := range n.Params() {
				for j := range p.W {
					const h = 1e-5
					was := p.W[j]
					p.W[j] = was + h
					up := value()
					p.W[j] = was - h
					down := value()
					p.W[j] = was
					numeric := (up - down) / (2 * h)
					if math.Abs(numeric-want[i][j]) > 1e-6*(1+math.Abs(numeric)) {
						t.Fatalf("%s[%d]: got gradient %v, want %v", p.Name, j, want[i][j], numeric)
					}
					if got := float64(single.Params()[i].G[j]); math.Abs(got-numeric) > 1e-3*(1+math.Abs(numeric)) {
						t.Fatalf("float32: %s[%d]: got gradient %v, want %v", p.Name, j, got, numeric)
					}
				}
			}
		})
	}
}
