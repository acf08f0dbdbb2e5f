package linalg

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// Each bit is that of its row, and what lies outside has none.
func TestBitsAt(t *testing.T) {
	check(t, func(t *rapid.T, s *sample) {
		words := make([]uint64, size(t, "words", 40))
		for i := range words {
			words[i] = s.r.Uint64()
		}
		rows := make([]int32, size(t, "rows", 300))
		for i := range rows {
			if rows[i] = int32(s.r.IntN(64*len(words) + 1)); s.r.IntN(20) == 0 {
				rows[i] = []int32{-1, math.MinInt32, math.MaxInt32, int32(64*len(words) + 70)}[s.r.IntN(4)]
			}
		}
		out := make([]uint64, (len(rows)+63)/64)
		for i := range out {
			out[i] = ^uint64(0)
		}
		BitsAt(words, rows, out)
		some := false
		for i := range 64 * len(out) {
			want := uint64(0)
			if i < len(rows) && rows[i] >= 0 && int(rows[i]) < 64*len(words) {
				want = words[rows[i]/64] >> (rows[i] % 64) & 1
				some = some || want == 1
			}
			if got := out[i/64] >> (i % 64) & 1; got != want {
				t.Fatalf("%d words, %d rows, bit %d: got %d, want %d", len(words), len(rows), i, got, want)
			}
		}
		if got := AnyBit(words, rows); got != some {
			t.Fatalf("%d words, %d rows: any: got %v, want %v", len(words), len(rows), got, some)
		}
	})
}

func BenchmarkBitsAt(b *testing.B) {
	const n = 1 << 19
	words, rows, out := make([]uint64, n/64), make([]int32, 4096), make([]uint64, 64)
	for i := range rows {
		rows[i] = int32(i * 7919 % n)
	}
	eachISABench(b, "rows=4096", 4096, func(b *testing.B) {
		for b.Loop() {
			BitsAt(words, rows, out)
		}
	})
	eachISABench(b, "any of 4096", 4096, func(b *testing.B) {
		for b.Loop() {
			AnyBit(words, rows)
		}
	})
}
