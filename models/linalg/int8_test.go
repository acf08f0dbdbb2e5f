package linalg

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestInt8(t *testing.T) {
	check(t, func(t *rapid.T, s *sample) {
		d, n := size(t, "d", 300)+1, size(t, "n", 30)
		rows, q := s.vec(n*d), s.vec(d)
		m := QuantiseRows(rows, d, 2)
		for i, v := range rows {
			got := float64(m.Scale[i/d]) * (float64(m.Codes[i]) - 128)
			want := float64(v)
			if math.IsNaN(want) || math.IsInf(want, 0) {
				want = 0
			}
			if math.Abs(got-want) > 0.501*float64(m.Scale[i/d]) {
				t.Fatalf("value %d: got %g back, want %g within half of %g", i, got, want, m.Scale[i/d])
			}
		}
		var qq QuantisedQuery
		QuantiseQuery(q, &qq)
		var left float64
		for j, v := range q {
			e := float64(v) - float64(qq.scale)*float64(qq.codes[j])
			left += e * e
			if !s.strange && math.Abs(e) > 0.501*float64(qq.scale) {
				t.Fatalf("query, value %d: got %g left out, want at most half of %g", j, e, qq.scale)
			}
		}
		if got := qq.Left(q); got != left && !math.IsNaN(left) {
			t.Fatalf("query: got %g left out, want %g", got, left)
		}
		lo := 0
		if n > 0 {
			lo = rapid.IntRange(0, n).Draw(t, "lo")
		}
		out := s.guarded(n - lo)
		DotInt8Rows(&qq, m, lo, out)
		for i, got := range out {
			var sum int64
			for j, c := range qq.codes {
				sum += int64(c) * (int64(m.Codes[(lo+i)*d+j]) - 128)
			}
			if want := float32(sum) * (qq.scale * m.Scale[lo+i]); got != want {
				t.Fatalf("row %d of %d, d=%d: got %g, want exactly %g", lo+i, n, d, got, want)
			}
		}
		checkGuard(t, out)
		if n == 0 {
			return
		}
		var self QuantisedQuery
		m.Query(lo%n, &self)
		for j, c := range self.codes {
			if want := int(m.Codes[lo%n*d+j]) - 128; int(c) != want || self.scale != m.Scale[lo%n] {
				t.Fatalf("row as a query, code %d: got %d, want %d", j, c, want)
			}
		}
		named := make([]int32, size(t, "named", 40))
		for i := range named {
			named[i] = int32(rapid.IntRange(0, n-1).Draw(t, "row"))
		}
		gathered, one := s.guarded(len(named)), make([]float32, 1)
		DotInt8Gather(&qq, m, named, gathered)
		for i, got := range gathered {
			DotInt8Rows(&qq, m, int(named[i]), one)
			if got != one[0] {
				t.Fatalf("named row %d of %d, d=%d: got %g, want exactly %g", i, len(named), d, got, one[0])
			}
		}
		checkGuard(t, gathered)
	})
}

// The largest codes at the largest dimension are the most an int32 has to hold.
func TestInt8Extreme(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		rows, q := make([]float32, 2*maxInt8Dim), make([]float32, maxInt8Dim)
		for i := range q {
			q[i], rows[i], rows[maxInt8Dim+i] = 1, 1, -1
		}
		m := QuantiseRows(rows, maxInt8Dim, 1)
		var qq QuantisedQuery
		QuantiseQuery(q, &qq)
		out := make([]float32, 2)
		DotInt8Rows(&qq, m, 0, out)
		for i, want := range []float64{maxInt8Dim, -maxInt8Dim} {
			if math.Abs(float64(out[i])-want) > 1 {
				t.Errorf("row %d: got %g, want %g", i, out[i], want)
			}
		}
	})
}

func TestQuantiseZeroAndTiny(t *testing.T) {
	m := QuantiseRows([]float32{0, 0, 1e-45, 0}, 2, 1)
	for i, c := range m.Codes {
		if c != 128 {
			t.Errorf("code %d: got %d, want 128", i, c)
		}
	}
	if m.Scale[0] != 0 || m.Scale[1] != 0 {
		t.Errorf("got scales %v, want zeros", m.Scale)
	}
}
