package linalg

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"
)

func TestSVDAgainstDense(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for _, c := range []struct{ rows, cols, k int }{{40, 25, 8}, {25, 40, 8}, {30, 30, 30}, {5, 60, 9}} {
		m := CSR{Rows: c.rows, Cols: c.cols, Ptr: []int64{0}}
		dense := mat.NewDense(c.rows, c.cols, nil)
		for i := range c.rows {
			for j := range c.cols {
				if random.Float64() < .3 {
					v := random.NormFloat64()
					m.Idx, m.Val = append(m.Idx, int32(j)), append(m.Val, float32(v))
					dense.Set(i, j, float64(float32(v)))
				}
			}
			m.Ptr = append(m.Ptr, int64(len(m.Idx)))
		}
		u, s, v, err := SVD(m, m.Transpose(), c.k, SVDOptions{Iterations: 12, Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		var want mat.SVD
		if !want.Factorize(dense, mat.SVDNone) {
			t.Fatal("no reference")
		}
		for j, got := range s {
			if w := want.Values(nil)[j]; math.Abs(float64(got)-w) > 2e-3*(1+w) {
				t.Errorf("%v: singular value %d: got %v, want %v", c, j, got, w)
			}
		}
		for j := range s {
			for l := range s {
				uu, vv, unit := 0., 0., 0.
				for i := range c.rows {
					uu += float64(u.At(i, j)) * float64(u.At(i, l))
				}
				for i := range c.cols {
					vv += float64(v.At(i, j)) * float64(v.At(i, l))
				}
				if j == l && s[j] > 0 {
					unit = 1
				}
				if math.Abs(uu-unit) > 1e-3 || math.Abs(vv-unit) > 1e-3 {
					t.Fatalf("%v: columns %d and %d: got products %v and %v, want %v", c, j, l, uu, vv, unit)
				}
			}
		}
	}
}

func TestSVDIsTheSameForAnyNumberOfWorkers(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	m := CSR{Rows: 500, Cols: 300, Ptr: []int64{0}}
	for range m.Rows {
		for j := range m.Cols {
			if random.Float64() < .05 {
				m.Idx = append(m.Idx, int32(j))
			}
		}
		m.Ptr = append(m.Ptr, int64(len(m.Idx)))
	}
	one, _, _, err := SVD(m, m.Transpose(), 20, SVDOptions{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	four, _, _, err := SVD(m, m.Transpose(), 20, SVDOptions{Workers: 4})
	if err != nil {
		t.Fatal(err)
	}
	for i := range one.Data {
		if one.Data[i] != four.Data[i] {
			t.Fatalf("number %d: got %v with 4 workers, %v with 1", i, four.Data[i], one.Data[i])
		}
	}
}

func TestSVDOfLowRankHasZeroDirections(t *testing.T) {
	m := CSR{Rows: 6, Cols: 4, Ptr: []int64{0, 2, 4, 6, 8, 10, 12}, Idx: []int32{0, 1, 0, 1, 0, 1, 2, 3, 2, 3, 2, 3}}
	_, s, v, err := SVD(m, m.Transpose(), 4, SVDOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for j, x := range s {
		if (j < 2) != (x > 1) {
			t.Errorf("singular value %d: got %v", j, x)
		}
	}
	for _, x := range v.Data {
		if math.IsNaN(float64(x)) {
			t.Fatal("a direction that is nothing became NaN")
		}
	}
}
