package multitask

import (
	"math/rand/v2"
	"slices"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models/taste"
)

// levelOf is how far an event goes: 0 for one that reaches no goal.
func levelOf(w *taste.Weigher, it *features.Interaction) int8 {
	switch {
	case it.Type == features.Impression || w.Of(it) <= 0:
		return 0
	case it.Type == features.Purchase || it.Type == features.Rating || it.Type == features.Review:
		return Purchase + 1
	case it.Type == features.CartAdd || it.Type == features.WishAdd:
		return Cart + 1
	}
	return Click + 1
}

// funnel is what one shopper did, an item at the farthest goal it came to.
type funnel struct {
	met   [Goals][]int32 // ascending
	shown []int32        // impressions that led to nothing; ascending
}

// read fills f from a history; rows past items are left out. level is work.
func (f *funnel) read(w *taste.Weigher, history []features.Interaction, items int, level map[int32]int8) {
	clear(level)
	for i := range history {
		it := &history[i]
		if it.Row < 0 || int(it.Row) >= items {
			continue
		}
		l := levelOf(w, it)
		if before, ok := level[int32(it.Row)]; l > 0 || it.Type == features.Impression {
			if !ok || l > before {
				level[int32(it.Row)] = l
			}
		}
	}
	for g := range f.met {
		f.met[g] = f.met[g][:0]
	}
	f.shown = f.shown[:0]
	for row, l := range level {
		if l == 0 {
			f.shown = append(f.shown, row)
		} else {
			f.met[l-1] = append(f.met[l-1], row)
		}
	}
	for g := range f.met {
		slices.Sort(f.met[g])
	}
	slices.Sort(f.shown)
}

func (f *funnel) total() int { return len(f.met[0]) + len(f.met[1]) + len(f.met[2]) }

// size is about how many candidates a visit has.
func (f *funnel) size(negatives int) int {
	if len(f.shown) == 0 {
		return min(f.total(), most) * (1 + negatives)
	}
	return min(f.total(), most) + len(f.shown)*most/max(f.total(), most)
}

func (f *funnel) has(row int32) bool {
	for _, met := range f.met {
		if _, ok := slices.BinarySearch(met, row); ok {
			return true
		}
	}
	return false
}

// most is about how many of the items that a shopper met are candidates of one
// visit.
const most = 64

// visit is what the shopper met and saw as candidates, a sample of it where
// that is much; where they have no impressions, negatives are drawn, a number
// for each item met.
func (f *funnel) visit(items, negatives int, rng *rand.Rand) Visit {
	v := Visit{Met: f.met}
	keep := min(1, float64(most)/float64(max(f.total(), 1)))
	for g, met := range f.met {
		for at, row := range met {
			if keep == 1 || rng.Float64() < keep {
				v.Items, v.Own, v.Level = append(v.Items, row), append(v.Own, int32(at)), append(v.Level, int8(g+1))
			}
		}
	}
	positives := len(v.Items)
	add := func(row int32) { v.Items, v.Own, v.Level = append(v.Items, row), append(v.Own, -1), append(v.Level, 0) }
	if len(f.shown) > 0 {
		// The same share of both, so that probabilities stay those of impressions.
		for _, row := range f.shown {
			if keep == 1 || rng.Float64() < keep {
				add(row)
			}
		}
		return v
	}
	if f.total() >= items {
		return v
	}
	for range negatives * positives {
		row := int32(rng.IntN(items))
		for f.has(row) {
			row = int32(rng.IntN(items))
		}
		add(row)
	}
	return v
}

// funnels are those of all users of d who met anything.
func funnels(w *taste.Weigher, d *dataset.Dataset) []*funnel {
	var all []*funnel
	level := map[int32]int8{}
	for u := range d.Users {
		f := &funnel{}
		if f.read(w, d.History(u), d.NumItems(), level); f.total()+len(f.shown) > 0 {
			all = append(all, f)
		}
	}
	return all
}
