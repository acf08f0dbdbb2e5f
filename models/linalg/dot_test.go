package linalg

import (
	"testing"

	"pgregory.net/rapid"
)

func TestDot(t *testing.T) {
	check(t, func(t *rapid.T, s *sample) {
		n := size(t, "n", 700)
		a, b := s.vec(n), s.vec(n)
		checkDot(t, Dot(a, b), a, b)
	})
}

func TestDotRows(t *testing.T) {
	check(t, func(t *rapid.T, s *sample) {
		d, n := size(t, "d", 300), size(t, "n", 40)
		q, rows, out := s.vec(d), s.vec(n*d), s.guarded(n)
		DotRows(q, rows, out)
		for i, v := range out {
			checkDot(t, v, q, rows[i*d:][:d])
		}
		checkGuard(t, out)
	})
}

func TestDotGather(t *testing.T) {
	check(t, func(t *rapid.T, s *sample) {
		d, n, of := size(t, "d", 300), size(t, "n", 40), rapid.IntRange(1, 50).Draw(t, "of")
		d = max(d, 1)
		q, mat, rows, out := s.vec(d), s.vec(of*d), s.rows(n, of), s.guarded(n)
		DotGather(q, mat, rows, out)
		for i, v := range out {
			checkDot(t, v, q, mat[int(rows[i])*d:][:d])
		}
		checkGuard(t, out)
	})
}

// A row's product must not depend on which other rows a call has, nor on how it names them.
func TestDotRowsBits(t *testing.T) {
	check(t, func(t *rapid.T, s *sample) {
		s.strange = false
		d, n := size(t, "d", 300)+1, rapid.IntRange(1, 40).Draw(t, "n")
		q, rows, all := s.vec(d), s.vec(n*d), make([]float32, n)
		DotRows(q, rows, all)
		part := rapid.IntRange(0, n-1).Draw(t, "from")
		some, one := make([]float32, n-part), make([]float32, 1)
		DotRows(q, rows[part*d:], some)
		ids := s.rows(n, n)
		gathered := make([]float32, n)
		DotGather(q, rows, ids, gathered)
		DotGather(q, rows, ids[:1], one)
		if !equal32(some, all[part:]) || one[0] != gathered[0] {
			t.Fatalf("d=%d: %d of %d rows give other bits", d, n-part, n)
		}
		for i, r := range ids {
			if gathered[i] != all[r] {
				t.Fatalf("d=%d, row %d of %d: got %g gathered and %g in a row", d, r, n, gathered[i], all[r])
			}
		}
	})
}

// Long scans are cut into several calls; their seams must not show.
func TestLongScans(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		s := &sample{r: newRand(21)}
		const d = 40
		n := 2*rowsPerCall(d) + 13
		q, rows, out, gathered, ids := s.vec(d), s.vec(n*d), make([]float32, n), make([]float32, n), make([]int32, n)
		for i := range ids {
			ids[i] = int32(n - 1 - i)
		}
		DotRows(q, rows, out)
		DotGather(q, rows, ids, gathered)
		m := QuantiseRows(rows, d, 2)
		var qq QuantisedQuery
		QuantiseQuery(q, &qq)
		coarse, one := make([]float32, n), make([]float32, 1)
		DotInt8Rows(&qq, m, 0, coarse)
		sums := make([]float32, d)
		AxpyRows(out, rows, sums)
		want := make([]float64, d)
		for i, v := range out {
			row := rows[i*d:][:d]
			checkDot(t, v, q, row)
			DotInt8Rows(&qq, m, i, one)
			if gathered[n-1-i] != v || coarse[i] != one[0] {
				t.Fatalf("row %d of %d: got %g gathered, want %g; got %g in int8, want %g", i, n, gathered[n-1-i], v, coarse[i], one[0])
			}
			for j, x := range row {
				want[j] += float64(v) * float64(x)
			}
		}
		for j, got := range sums {
			if !near(got, want[j], 10*float64(n), 10) {
				t.Fatalf("column %d: got %g, want %g", j, got, want[j])
			}
		}
	})
}

func TestDotRowsMany(t *testing.T) {
	check(t, func(t *rapid.T, s *sample) {
		d, n, nq := size(t, "d", 150)+1, size(t, "n", 80), rapid.IntRange(0, 40).Draw(t, "nq")
		qs, rows, out := s.vec(nq*d), s.vec(n*d), s.guarded(nq*n)
		DotRowsMany(qs, nq, rows, d, out)
		for j := range nq {
			for i := range n {
				checkDot(t, out[j*n+i], qs[j*d:][:d], rows[i*d:][:d])
			}
		}
		checkGuard(t, out)
	})
}

func TestDotPanicsOnBadShape(t *testing.T) {
	for name, f := range map[string]func(){
		"length": func() { Dot(make([]float32, 3), make([]float32, 4)) },
		"rows":   func() { DotRows(make([]float32, 3), make([]float32, 7), make([]float32, 2)) },
		"outside": func() {
			DotGather(make([]float32, 3), make([]float32, 9), []int32{0, 3}, make([]float32, 2))
		},
		"negative": func() {
			DotGather(make([]float32, 3), make([]float32, 9), []int32{-1}, make([]float32, 1))
		},
	} {
		t.Run(name, func(t *testing.T) { mustPanic(t, f) })
	}
}

func mustPanic(t *testing.T, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Fatal("got no panic, want one")
		}
	}()
	f()
}
