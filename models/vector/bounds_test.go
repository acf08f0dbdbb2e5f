package vector

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/attune-rec/attune/models/linalg"
)

// No score by codes is further off than the bounds say, however small the query is, and
// where its codes are exact nothing but rounding is allowed for.
func TestQueryBounds(t *testing.T) {
	const n, dim = 500, 13
	rng := rand.New(rand.NewPCG(3, 1))
	rows := heap(n, dim, 8)
	m := linalg.QuantiseRows(rows, dim, 1)
	q, scores := make([]float32, dim), make([]float32, n)
	var codes linalg.QuantisedQuery
	for _, size := range []float64{0, 1e-44, 1e-38, 1e-35, 1e-33, 1e-10, 1, 1e20} {
		for j := range q {
			q[j] = float32(size * rng.NormFloat64())
		}
		b := queryBounds(q, &codes)
		linalg.DotInt8Rows(&codes, m, 0, scores)
		for i, score := range scores {
			var want, off, norm, coded float64
			for j, v := range rows[i*dim:][:dim] {
				c := float64(m.Scale[i]) * float64(int(m.Codes[i*dim+j])-128)
				want += float64(q[j]) * float64(v)
				off += (float64(v) - c) * (float64(v) - c)
				norm, coded = norm+float64(v)*float64(v), coded+c*c
			}
			most := float64(b.off)*math.Sqrt(off) + float64(b.norm)*math.Sqrt(max(norm, coded))
			if got := math.Abs(float64(score) - want); got > most*(1+1e-6)+1e-44 {
				t.Errorf("query of about %g, row %d: %g off, bound %g", size, i, got, most)
			}
		}
	}
	for j := range q {
		q[j] = float32(j*20 - 113)
	}
	q[0] = 127
	if b := queryBounds(q, &codes); b.norm > 1e-5*b.off {
		t.Errorf("a query that is its codes: got %g allowed for, want rounding of %g", b.norm, b.off)
	}
}
