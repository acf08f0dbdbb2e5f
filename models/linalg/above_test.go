package linalg

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestIndexOf(t *testing.T) {
	check(t, func(t *rapid.T, s *sample) {
		x := make([]int32, size(t, "n", 300))
		for i := range x {
			x[i] = int32(s.r.IntN(200) - 100)
		}
		v := int32(s.r.IntN(202) - 101)
		want := slices.Index(x, v)
		if want < 0 {
			want = len(x)
		}
		if got := IndexOf(x, v); got != want {
			t.Fatalf("%d in %v: got place %d, want %d", v, x, got, want)
		}
	})
}
