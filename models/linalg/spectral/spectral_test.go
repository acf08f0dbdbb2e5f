package spectral_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/attune-rec/attune/models/linalg"
	"github.com/attune-rec/attune/models/linalg/spectral"
)

func random(rows, cols int, seed uint64) linalg.Matrix {
	rng := rand.New(rand.NewPCG(seed, 1))
	m := linalg.NewMatrix(rows, cols)
	for i := range m.Data {
		m.Data[i] = float32(rng.NormFloat64())
	}
	return m
}

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance) {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}

func TestSymmetric(t *testing.T) {
	for _, n := range []int{1, 2, 3, 17, 64, 130} {
		for name, a := range map[string]linalg.Matrix{
			"random": random(n, n, uint64(n)), "zero": linalg.NewMatrix(n, n), "diagonal": linalg.NewMatrix(n, n), "rank one": linalg.NewMatrix(n, n),
		} {
			for i := range n {
				for j := range i {
					a.Set(j, i, a.At(i, j))
				}
			}
			switch name {
			case "diagonal":
				for i := range n {
					a.Set(i, i, float32(i%5))
				}
			case "rank one":
				for i := range a.Data {
					a.Data[i] = 2
				}
			}
			values, vectors, err := spectral.Symmetric(a, 2)
			if err != nil {
				t.Fatalf("%s %d: %v", name, n, err)
			}
			for i := range n {
				if i > 0 && values[i] > values[i-1] {
					t.Fatalf("%s %d: values ascend at %d", name, n, i)
				}
				for j := range n {
					want := 0.
					if i == j {
						want = 1
					}
					near(t, name+": inner product of vectors", float64(linalg.Dot(vectors.Row(i), vectors.Row(j))), want, 1e-5)
					var sum float64
					for k := range n {
						sum += values[k] * float64(vectors.At(k, i)) * float64(vectors.At(k, j))
					}
					near(t, name+": product", sum, float64(a.At(i, j)), 1e-4*math.Sqrt(float64(n)))
				}
			}
		}
	}
}

func TestSymmetricRefusesNaN(t *testing.T) {
	a := random(8, 8, 1)
	a.Set(5, 3, float32(math.NaN()))
	if _, _, err := spectral.Symmetric(a, 1); !errors.Is(err, spectral.ErrNoConvergence) {
		t.Fatalf("got %v, want ErrNoConvergence", err)
	}
}

// sparse is a matrix of the given rank and its dense form.
func sparse(rows, cols, rank int) (linalg.CSR, linalg.Matrix) {
	dense := linalg.NewMatrix(rows, cols)
	linalg.Gemm(false, false, 1, random(rows, rank, 3), random(rank, cols, 4), 0, dense)
	m := linalg.CSR{Rows: rows, Cols: cols, Ptr: make([]int64, rows+1)}
	for i := range rows {
		for j, v := range dense.Row(i) {
			m.Idx, m.Val = append(m.Idx, int32(j)), append(m.Val, v)
		}
		m.Ptr[i+1] = int64(len(m.Idx))
	}
	return m, dense
}

func TestTruncate(t *testing.T) {
	for _, c := range []struct{ rows, cols, rank, k, want int }{
		{80, 60, 10, 30, 10}, {80, 60, 10, 4, 4}, {60, 80, 50, 40, 40}, {5, 7, 3, 100, 3},
	} {
		x, dense := sparse(c.rows, c.cols, c.rank)
		values, vectors, err := spectral.Truncate(context.Background(), x, c.k, 6, 1, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(values) != c.want || vectors.Rows != c.want || vectors.Cols != c.cols {
			t.Fatalf("%+v: got %d values and %d x %d vectors", c, len(values), vectors.Rows, vectors.Cols)
		}
		gram := linalg.NewMatrix(c.cols, c.cols)
		linalg.Gemm(true, false, 1, dense, dense, 0, gram)
		exact, _, err := spectral.Symmetric(gram, 1)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range values {
			near(t, "singular value", v, math.Sqrt(exact[i]), 2e-3*math.Sqrt(exact[0]))
			for j := range values {
				want := 0.
				if i == j {
					want = 1
				}
				near(t, "inner product of vectors", float64(linalg.Dot(vectors.Row(i), vectors.Row(j))), want, 1e-4)
			}
		}
	}
}

func TestWorkersDoNotMatter(t *testing.T) {
	x, _ := sparse(90, 70, 40)
	_, one, err := spectral.Truncate(context.Background(), x, 20, 3, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	_, two, err := spectral.Truncate(context.Background(), x, 20, 3, 1, 3)
	if err != nil {
		t.Fatal(err)
	}
	for i := range one.Data {
		if one.Data[i] != two.Data[i] {
			t.Fatalf("number %d: got %v and %v", i, one.Data[i], two.Data[i])
		}
	}
}

func BenchmarkSymmetric512(b *testing.B) {
	a := random(512, 512, 1)
	for b.Loop() {
		if _, _, err := spectral.Symmetric(a, linalg.Workers()); err != nil {
			b.Fatal(err)
		}
	}
}
