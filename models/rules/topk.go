package rules

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
)

// TopItemsets returns the k sets of at least two items (or fewer, when there are
// no more) that occur most often, without a threshold: the search raises its
// own minimum support as sets are found. They come by falling count, then
// rising size, then items. Options.MinSupport and MinCount still hold.
func TopItemsets(ctx context.Context, b *Baskets, k int, o Options) (*Itemsets, error) {
	if k < 1 {
		return nil, fmt.Errorf("top %d itemsets: ask for at least 1", k)
	}
	least, err := o.threshold(b)
	if err != nil {
		return nil, err
	}
	// Singles are found as well and are left out below; there are no more of them
	// than items, so that k + items sets hold k larger ones.
	count, err := kthCount(ctx, b, k+b.ItemLimit(), least, o)
	if err != nil {
		return nil, err
	}
	o.MinSupport, o.MinCount = Ratio{}, count
	all, err := Mine(ctx, b, o)
	if err != nil {
		return nil, err
	}
	order := make([]int, 0, all.Len())
	for i := range all.Len() {
		if len(all.At(i)) > 1 {
			order = append(order, i)
		}
	}
	slices.SortFunc(order, func(i, j int) int {
		return cmp.Or(
			cmp.Compare(all.Count(j), all.Count(i)),
			cmp.Compare(len(all.At(i)), len(all.At(j))),
			slices.Compare(all.At(i), all.At(j)))
	})
	out := &Itemsets{baskets: b.Len()}
	for _, i := range order[:min(k, len(order))] {
		out.add(all.At(i), all.counts[i])
	}
	return out, nil
}

// kthCount returns the count of the k-th most frequent set of b, or least when
// fewer than k sets reach it. It keeps no sets.
func kthCount(ctx context.Context, b *Baskets, k int, least int32, o Options) (int, error) {
	s := &search{
		options: o,
		tree:    plant(b, least, o.workers()),
		rise:    &riser{want: k, reached: make([]int32, b.Len()+1)},
	}
	s.min.Store(least)
	if _, err := s.run(ctx); err != nil {
		return 0, err
	}
	return int(s.min.Load()), nil
}

// riser raises a minimum count while a search runs: as soon as the wanted number
// of sets is found above it, lower counts cannot matter. Every set that counts
// in the end is seen whatever the order, so the end is the same for any number
// of workers.
type riser struct {
	mu      sync.Mutex
	want    int
	above   int     // sets seen with a count of at least the minimum
	reached []int32 // sets seen by count, held at the largest int32
}

func (r *riser) add(count int32, least *atomic.Int32) {
	if count < least.Load() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	low := least.Load()
	if count < low {
		return
	}
	r.reached[count]++
	r.above++
	for r.above-int(r.reached[low]) >= r.want {
		r.above -= int(r.reached[low])
		low++
	}
	least.Store(low)
}

// TopRules returns the k rules of highest support whose confidence is at least
// the minimum, without a support threshold: it mines at a support where rules
// are few and halves it until k stand or a single basket is enough. They come by
// falling support, then confidence, lift and items. Where k rules would need
// more sets than Options.MaxItemsets, it returns *TooManyError.
func TopRules(ctx context.Context, b *Baskets, k int, g RuleOptions, o Options) ([]Rule, error) {
	if k < 1 {
		return nil, fmt.Errorf("top %d rules: ask for at least 1", k)
	}
	floor, err := o.threshold(b)
	if err != nil {
		return nil, err
	}
	start, err := TopItemsets(ctx, b, k, o)
	if err != nil {
		return nil, err
	}
	least := floor
	if start.Len() > 0 {
		least = max(floor, start.counts[start.Len()-1])
	}
	for {
		o.MinSupport, o.MinCount = Ratio{}, int(least)
		sets, err := Mine(ctx, b, o)
		if err != nil {
			return nil, err
		}
		found, err := Generate(sets, g)
		if err != nil {
			return nil, err
		}
		if len(found) >= k || least <= floor {
			SortRules(found, BySupport)
			return found[:min(k, len(found))], nil
		}
		least = max(floor, least/2)
	}
}
