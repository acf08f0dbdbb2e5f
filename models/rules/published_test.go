package rules_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/attune-rec/attune/models/rules"
)

const groceries = "groceries/groceries_baskets.csv.xz"

// The counts that the arules authors and others published for Groceries.
func TestGroceriesPublished(t *testing.T) {
	b, d := readData(t, groceries, ";")
	if got := fmt.Sprint(b.Len(), d.Len(), b.Occurrences()); got != "9835 169 43367" {
		t.Fatalf("baskets, items, occurrences: got %s, want 9835 169 43367", got)
	}
	for _, c := range []struct {
		support     string
		itemsets    int
		rules, half int // half: rules of confidence exactly one half; -1 where none is published
		sizes       []int
		top         string
	}{
		{".001", 13492, 5668, 452, []int{0, 0, 11, 1461, 3211, 939, 46},
			"[Instant food products soda] [hamburger meat] 0.00122 0.631579 18.9957"},
		{".01", 333, 15, -1, []int{0, 0, 0, 15},
			"[citrus fruit root vegetables] [other vegetables] 0.01037 0.586207 3.0296"},
	} {
		t.Run(c.support, func(t *testing.T) {
			sets, err := rules.Mine(t.Context(), b, rules.Options{MinSupport: ratio(t, c.support)})
			if err != nil {
				t.Fatal(err)
			}
			if sets.Len() != c.itemsets {
				t.Errorf("itemsets: got %d, want %d", sets.Len(), c.itemsets)
			}
			found, err := rules.Generate(sets, rules.RuleOptions{MinConfidence: ratio(t, ".5")})
			if err != nil {
				t.Fatal(err)
			}
			sizes := make([]int, len(c.sizes))
			half := 0
			for _, r := range found {
				sizes[len(r.Antecedent)+len(r.Consequent)]++
				if 2*r.Count == r.AntecedentCount {
					half++
				}
			}
			if len(found) != c.rules || !slices.Equal(sizes, c.sizes) {
				t.Errorf("rules: got %d of sizes %v, want %d of %v", len(found), sizes, c.rules, c.sizes)
			}
			if c.half >= 0 && half != c.half {
				t.Errorf("rules of confidence exactly .5: got %d, want %d", half, c.half)
			}
			rules.SortRules(found, rules.ByLift)
			r := found[0]
			got := fmt.Sprintf("%v %v %.5f %.6f %.4f",
				sorted(d.Names(r.Antecedent)), d.Names(r.Consequent), r.Support(), r.Confidence(), r.Lift())
			if got != c.top {
				t.Errorf("top rule: got %s, want %s", got, c.top)
			}
		})
	}
}

func sorted(names []string) []string {
	slices.Sort(names)
	return names
}

func BenchmarkMineT10I4(b *testing.B) {
	baskets, _ := readData(b, "fimi-t10i4d100k/T10I4D100K.dat.xz", "")
	for _, workers := range []int{1, 2} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			for b.Loop() {
				sets, err := rules.Mine(b.Context(), baskets, rules.Options{MinSupport: ratio(b, ".001"), Workers: workers})
				if err != nil {
					b.Fatal(err)
				}
				if sets.Len() != 27532 {
					b.Fatalf("got %d itemsets, want 27532", sets.Len())
				}
			}
		})
	}
}
