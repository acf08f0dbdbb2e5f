package pace_test

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/attune-rec/attune/features/pace"
)

func TestSortFuncIsAStableSort(t *testing.T) {
	type pair struct{ key, at int }
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 2, 511, 512, 513, 1024, 5000, 20000} {
		s := make([]pair, n)
		for i := range s {
			s[i] = pair{r.IntN(1 + n/3), i}
		}
		want := slices.Clone(s)
		slices.SortStableFunc(want, func(a, b pair) int { return cmp.Compare(a.key, b.key) })
		pace.SortFunc(nil, s, func(a, b pair) int { return cmp.Compare(a.key, b.key) })
		if !slices.Equal(s, want) {
			t.Errorf("%d elements: not what slices.SortStableFunc gives", n)
		}
	}
}
