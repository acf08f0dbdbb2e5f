package rules_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"math/bits"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/attune-rec/attune/models/rules"
)

// drawBaskets draws baskets of the given kind: few items give dense data and
// masks, many give deep conditional trees.
func drawBaskets(t *rapid.T, items, longest, most int) *rules.Baskets {
	b := &rules.Baskets{}
	for range rapid.IntRange(0, most).Draw(t, "baskets") {
		own := rapid.SliceOfN(rapid.Int32Range(0, int32(items-1)), 0, longest).Draw(t, "basket")
		if err := b.Add(own...); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// countAll counts every subset of every basket: the dumb twin of Mine.
func countAll(b *rules.Baskets, least, longest int) map[string]int {
	counts := map[string]int{}
	for i := range b.Len() {
		own := b.At(i)
		for set := 1; set < 1<<len(own); set++ {
			var items []int32
			for j, item := range own {
				if set>>j&1 == 1 {
					items = append(items, item)
				}
			}
			if longest == 0 || len(items) <= longest {
				counts[fmt.Sprint(items)]++
			}
		}
	}
	maps.DeleteFunc(counts, func(_ string, n int) bool { return n < least })
	return counts
}

func asMap(t interface{ Fatalf(string, ...any) }, sets *rules.Itemsets) map[string]int {
	got := map[string]int{}
	for i := range sets.Len() {
		key := fmt.Sprint(sets.At(i))
		if _, twice := got[key]; twice {
			t.Fatalf("itemset %s is found twice", key)
		}
		got[key] = sets.Count(i)
	}
	return got
}

func TestMineEqualsCounting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := drawBaskets(t, rapid.IntRange(1, 14).Draw(t, "items"), 10, 60)
		o := rules.Options{
			MinCount:  rapid.IntRange(1, 8).Draw(t, "count"),
			MaxLength: rapid.IntRange(0, 4).Draw(t, "length"),
			Workers:   rapid.IntRange(1, 3).Draw(t, "workers"),
		}
		sets, err := rules.Mine(context.Background(), b, o)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := asMap(t, sets), countAll(b, o.MinCount, o.MaxLength); !maps.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	})
}

// Baskets that share a long stretch of frequent items have conditional bases
// wider than a mask, which go through conditional trees.
func TestMineWideBases(t *testing.T) {
	const items, baskets, least = 100, 12, 4
	random := rand.New(rand.NewPCG(1, 2))
	b := &rules.Baskets{}
	for range baskets {
		var own []int32
		for item := range int32(items) {
			if random.IntN(4) > 0 {
				own = append(own, item)
			}
		}
		if err := b.Add(own...); err != nil {
			t.Fatal(err)
		}
	}
	sets, err := rules.Mine(t.Context(), b, rules.Options{MinCount: least, MaxLength: 3})
	if err != nil {
		t.Fatal(err)
	}
	var in [items]uint // the baskets of each item, as bits
	for i := range b.Len() {
		for _, item := range b.At(i) {
			in[item] |= 1 << i
		}
	}
	want := map[string]int{}
	keep := func(held uint, set ...int) {
		if n := bits.OnesCount(held); n >= least {
			want[fmt.Sprint(set)] = n
		}
	}
	for x := range items {
		keep(in[x], x)
		for y := x + 1; y < items; y++ {
			keep(in[x]&in[y], x, y)
			for z := y + 1; z < items; z++ {
				keep(in[x]&in[y]&in[z], x, y, z)
			}
		}
	}
	if got := asMap(t, sets); !maps.Equal(got, want) {
		t.Errorf("got %d itemsets, want %d, or other counts", len(got), len(want))
	}
}

func containsAll(basket, items []int32) bool {
	for _, item := range items {
		if _, ok := slices.BinarySearch(basket, item); !ok {
			return false
		}
	}
	return true
}

func TestMineIsTheSameForAnyWorkers(t *testing.T) {
	b, _ := readData(t, groceries, ";")
	var first string
	for _, workers := range []int{1, 2, 5} {
		sets, err := rules.Mine(t.Context(), b, rules.Options{MinSupport: ratio(t, ".002"), Workers: workers})
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		for i := range sets.Len() {
			fmt.Fprintln(&text, sets.At(i), sets.Count(i))
		}
		if first == "" {
			first = text.String()
		}
		if text.String() != first {
			t.Errorf("%d workers give other sets or another order than 1", workers)
		}
	}
}

func TestMinePermutedItems(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := drawBaskets(t, 9, 7, 40)
		order := rapid.Permutation([]int32{0, 1, 2, 3, 4, 5, 6, 7, 8}).Draw(t, "order")
		other := &rules.Baskets{}
		for i := range b.Len() {
			var own []int32
			for _, item := range b.At(i) {
				own = append(own, order[item])
			}
			if err := other.Add(own...); err != nil {
				t.Fatal(err)
			}
		}
		o := rules.Options{MinCount: 2}
		x, errX := rules.Mine(context.Background(), b, o)
		y, errY := rules.Mine(context.Background(), other, o)
		if err := errors.Join(errX, errY); err != nil {
			t.Fatal(err)
		}
		got := map[string]int{}
		for i := range x.Len() {
			var set []int32
			for _, item := range x.At(i) {
				set = append(set, order[item])
			}
			slices.Sort(set)
			got[fmt.Sprint(set)] = x.Count(i)
		}
		if want := asMap(t, y); !maps.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	})
}

func TestMineLimitNamesASupportThatWorks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := drawBaskets(t, 10, 8, 50)
		limit := rapid.IntRange(1, 40).Draw(t, "limit")
		o := rules.Options{MinCount: 1, MaxItemsets: limit}
		all := countAll(b, 1, 0)
		sets, err := rules.Mine(context.Background(), b, o)
		if len(all) <= limit {
			if err != nil || sets.Len() != len(all) {
				t.Fatalf("%d itemsets within a limit of %d: got error %v", len(all), limit, err)
			}
			return
		}
		var many *rules.TooManyError
		if !errors.As(err, &many) || !errors.Is(err, rules.ErrTooMany) {
			t.Fatalf("%d itemsets above a limit of %d: got error %v, want *TooManyError", len(all), limit, err)
		}
		if got := len(countAll(b, many.TryCount, 0)); got > limit {
			t.Fatalf("count %d is advised and gives %d itemsets, above %d", many.TryCount, got, limit)
		}
		if got := len(countAll(b, many.TryCount-1, 0)); got <= limit {
			t.Fatalf("count %d is advised, but %d gives only %d itemsets", many.TryCount, many.TryCount-1, got)
		}
		o.MinCount = many.TryCount
		if _, err := rules.Mine(context.Background(), b, o); err != nil {
			t.Fatalf("at the advised count: %v", err)
		}
	})
}

func TestMineStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b := &rules.Baskets{}
	if err := b.Add(1, 2, 3); err != nil {
		t.Fatal(err)
	}
	if _, err := rules.Mine(ctx, b, rules.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want %v", err, context.Canceled)
	}
}

func TestTopItemsetsEqualsSorting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := drawBaskets(t, 9, 7, 40)
		k := rapid.IntRange(1, 30).Draw(t, "k")
		top, err := rules.TopItemsets(context.Background(), b, k, rules.Options{Workers: 2})
		if err != nil {
			t.Fatal(err)
		}
		all, err := rules.Mine(context.Background(), b, rules.Options{})
		if err != nil {
			t.Fatal(err)
		}
		var want, got []int
		for i := range all.Len() {
			if len(all.At(i)) > 1 {
				want = append(want, all.Count(i))
			}
		}
		slices.SortFunc(want, func(x, y int) int { return cmp.Compare(y, x) })
		for i := range top.Len() {
			got = append(got, top.Count(i))
		}
		if !slices.Equal(got, want[:min(k, len(want))]) {
			t.Fatalf("counts: got %v, want the first %d of %v", got, k, want)
		}
	})
}

func TestTopItemsetsSmall(t *testing.T) {
	b := &rules.Baskets{}
	for _, own := range [][]int32{{0, 1}, {0, 1, 2}, {1, 2}, {0, 1, 3}} {
		if err := b.Add(own...); err != nil {
			t.Fatal(err)
		}
	}
	top, err := rules.TopItemsets(t.Context(), b, 2, rules.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(top.At(0), top.Count(0), top.At(1), top.Count(1)); got != "[0 1] 3 [1 2] 2" {
		t.Errorf("got %s, want [0 1] 3 [1 2] 2", got)
	}
}

func TestWhereSelectsAMarket(t *testing.T) {
	b := &rules.Baskets{}
	market := []string{"de", "fr", "de", "fr"}
	for _, own := range [][]int32{{0, 1}, {2, 3}, {0, 1, 2}, {2, 3}} {
		if err := b.Add(own...); err != nil {
			t.Fatal(err)
		}
	}
	de := b.Where(func(i int) bool { return market[i] == "de" })
	sets, err := rules.Mine(t.Context(), de, rules.Options{MinSupport: ratio(t, "1")})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := asMap(t, sets), map[string]int{"[0]": 2, "[1]": 2, "[0 1]": 2}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestRatioCountsExactly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		den := rapid.Int64Range(1, 1_000_000_000).Draw(t, "den")
		num := rapid.Int64Range(0, den).Draw(t, "num")
		n := rapid.IntRange(0, 1<<40).Draw(t, "n")
		r, err := rules.ParseRatio(fmt.Sprintf("%d/%d", num, den))
		if err != nil {
			t.Fatal(err)
		}
		want := big.NewInt(num)
		want.Mul(want, big.NewInt(int64(n))).Add(want, big.NewInt(den-1)).Div(want, big.NewInt(den))
		if got := r.Count(n); int64(got) != want.Int64() {
			t.Fatalf("%d/%d of %d: got %d, want %d", num, den, n, got, want)
		}
		if c := r.Count(n); n > 0 && (!r.Reached(c, n) || c > 0 && r.Reached(c-1, n)) {
			t.Fatalf("%d/%d of %d: %d is not the least count that reaches it", num, den, n, c)
		}
		text, _ := r.MarshalText()
		var back rules.Ratio
		if err := back.UnmarshalText(text); err != nil || back != r {
			t.Fatalf("%v reads back as %v (%v)", r, back, err)
		}
	})
}

func TestRatioRefuses(t *testing.T) {
	for _, text := range []string{"", "x", "-.1", "1.5", "1/0", "3/2", "1e-400", "0x1p-3", strings.Repeat("0", 70), "nan"} {
		if r, err := rules.ParseRatio(text); err == nil {
			t.Errorf("ratio %q: got %v, want an error", text, r)
		}
	}
	if r, err := rules.RatioOf(0.1); err != nil || r.Count(10) != 1 || r.Count(11) != 2 {
		t.Errorf("ratio 0.1: got %v (%v), want one tenth", r, err)
	}
}
