package linalg

import (
	"math"
	"testing"
)

func TestCGSolve(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		var cg CG
		for _, k := range []int{1, 5, 16, 33, 64} {
			s := &sample{r: newRand(uint64(k))}
			mat, rows := s.matrix(50, k), s.rows(21, 50)
			weights := make([]float32, len(rows))
			for i := range weights {
				weights[i] = s.r.Float32() * 3
			}
			g := randomSPD(s.r, k)
			b, x := s.vec(k), make([]float32, k)

			full := g.Clone()
			SyrkGather(mat, rows, weights, full, nil)
			if err := Cholesky(full); err != nil {
				t.Fatal(err)
			}
			want := append([]float32(nil), b...)
			CholeskySolve(full, want)

			steps := cg.Solve(g, mat, rows, weights, b, x, 4*k+8, 1e-12)
			for i := range x {
				if d := math.Abs(float64(x[i] - want[i])); d > 1e-4 {
					t.Fatalf("k=%d: element %d is off by %g after %d steps", k, i, d, steps)
				}
			}
			if again := cg.Solve(g, mat, rows, weights, b, x, 50, 1e-6); again > 2 {
				t.Errorf("k=%d: got %d steps from the solution, want at most 2", k, again)
			}
		}
	})
}

func TestCGWithoutRows(t *testing.T) {
	var cg CG
	g := MatrixOf(2, 2, []float32{2, 0, 0, 4})
	x := make([]float32, 2)
	cg.Solve(g, NewMatrix(0, 2), nil, nil, []float32{2, 8}, x, 5, 0)
	if math.Abs(float64(x[0]-1)) > 1e-6 || math.Abs(float64(x[1]-2)) > 1e-6 {
		t.Errorf("got %v, want [1 2]", x)
	}
}
