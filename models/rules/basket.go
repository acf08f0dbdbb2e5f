package rules

import (
	"fmt"
	"math"
	"slices"
)

// Baskets is a list of baskets, each a set of items. The zero value is empty and
// ready for Add. Reading from several goroutines is safe once adding has ended.
type Baskets struct {
	items []int32 // one basket after another, ascending and distinct within each
	ends  []int   // ends[i] is where basket i stops in items
	max   int32   // one more than the largest item
}

// Add appends one basket. Items may come in any order and repeat; the basket
// keeps each once. A negative item or one above MaxItem is an error, and then
// nothing is added. An empty basket counts as a basket.
func (b *Baskets) Add(items ...int32) error {
	start := len(b.items)
	b.items = append(b.items, items...)
	own := b.items[start:]
	slices.Sort(own)
	if len(own) > 0 && (own[0] < 0 || own[len(own)-1] > MaxItem) {
		bad := own[0]
		if bad >= 0 {
			bad = own[len(own)-1]
		}
		b.items = b.items[:start]
		return fmt.Errorf("basket %d: item %d is outside 0..%d", b.Len(), bad, MaxItem)
	}
	own = slices.Compact(own)
	b.items = b.items[:start+len(own)]
	b.ends = append(b.ends, len(b.items))
	if len(own) > 0 {
		b.max = max(b.max, own[len(own)-1]+1)
	}
	return nil
}

// MaxItem is the largest item number. Counters are kept per item number, so
// numbers should be dense.
const MaxItem = 1<<28 - 1

// Len is the number of baskets.
func (b *Baskets) Len() int { return len(b.ends) }

// Occurrences is the number of items over all baskets.
func (b *Baskets) Occurrences() int { return len(b.items) }

// ItemLimit is one more than the largest item number, 0 when there is none.
func (b *Baskets) ItemLimit() int { return int(b.max) }

// At returns basket i, ascending. The slice belongs to b and must not be changed.
func (b *Baskets) At(i int) []int32 {
	start := 0
	if i > 0 {
		start = b.ends[i-1]
	}
	return b.items[start:b.ends[i]]
}

// Where returns the baskets whose index keep accepts, in order: the way to mine
// one market or one time window, from columns that the caller holds by index.
func (b *Baskets) Where(keep func(i int) bool) *Baskets {
	out := &Baskets{}
	for i := range b.ends {
		if !keep(i) {
			continue
		}
		own := b.At(i)
		out.items = append(out.items, own...)
		out.ends = append(out.ends, len(out.items))
		if len(own) > 0 {
			out.max = max(out.max, own[len(own)-1]+1)
		}
	}
	return out
}

// itemCounts returns in how many baskets each item occurs.
func (b *Baskets) itemCounts() []int32 {
	counts := make([]int32, b.max)
	for _, item := range b.items {
		counts[item]++
	}
	return counts
}

// check refuses inputs whose counts would not fit the 32-bit counters.
func (b *Baskets) check() error {
	if b.Len() > math.MaxInt32 || len(b.items) > math.MaxInt32 {
		return fmt.Errorf("%d baskets with %d items exceed the limit of %d: mine a time window or a market at a time",
			b.Len(), len(b.items), math.MaxInt32)
	}
	return nil
}
