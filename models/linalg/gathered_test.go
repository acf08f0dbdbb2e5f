package linalg

import (
	"math"
	"testing"
)

// Rows that are read where they are give what copied ones do, and both what one
// row at a time gives.
func TestGatheredRowsInPlace(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for _, k := range []int{1, 16, 33} {
			s := &sample{r: newRand(uint64(k))}
			mat, rows := s.matrix(50, k), s.rows(21, 50)
			x, weights := s.vec(k), s.vec(len(rows))
			var copied Gathered
			copied.Set(mat, rows)
			placed := copied
			placed.own = nil
			for name, g := range map[string]*Gathered{"copied": &copied, "in place": &placed} {
				scores, sum, want := make([]float32, len(rows)), make([]float32, k), make([]float64, k)
				g.Dots(x, scores)
				g.Sum(weights, sum)
				for i, r := range rows {
					if d := math.Abs(float64(scores[i] - Dot(x, mat.Row(int(r))))); d > 1e-4 {
						t.Errorf("k=%d, %s: row %d gives %g", k, name, i, scores[i])
					}
					for j, v := range mat.Row(int(r)) {
						want[j] += float64(weights[i]) * float64(v)
					}
				}
				for j := range want {
					if math.Abs(float64(sum[j])-want[j]) > 1e-3 {
						t.Errorf("k=%d, %s: number %d of the sum is %g, want %g", k, name, j, sum[j], want[j])
					}
				}
			}
		}
	})
}

// More rows than stay in a cache are read where they are, and a kept one forgets
// those it had before.
func TestGatheredKeepsNothing(t *testing.T) {
	mat := NewMatrix(3, 2)
	copy(mat.Data, []float32{1, 0, 0, 1, 5, 5})
	many := make([]int32, gatherLimit/2+1)
	many[0] = 2
	var g Gathered
	g.Set(mat, []int32{1})
	for _, rows := range [][]int32{many, {2, 0}, nil} {
		g.Set(mat, rows)
		scores := make([]float32, len(rows))
		g.Dots([]float32{1, 2}, scores)
		for i, r := range rows {
			if want := Dot([]float32{1, 2}, mat.Row(int(r))); scores[i] != want {
				t.Fatalf("row %d of %d: got %g, want %g", i, len(rows), scores[i], want)
			}
		}
	}
}
