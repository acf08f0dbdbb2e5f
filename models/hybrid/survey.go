package hybrid

import (
	"fmt"
	"math/rand/v2"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
)

// Facts is what the choice of parts rests on.
type Facts struct {
	Users   int     `json:"users"` // with a history
	Items   int     `json:"items"`
	Pairs   int     `json:"interactions"`
	Density float64 `json:"density"`
	Timed   bool    `json:"timed"` // most interactions have times, and not all the same
	Stars   bool    `json:"stars"` // most are ratings or reviews with stars, of which some are good
	Sales   bool    `json:"sales"` // there are purchases beside other events
	Words   bool    `json:"words"` // the catalogue says something of the items
	Order   float64 `json:"order"` // share of interactions that followed another of the user's
}

func survey(d *dataset.Dataset) Facts {
	f := Facts{Items: d.NumItems(), Pairs: len(d.Log)}
	for u := range d.Users {
		if len(d.History(u)) > 0 {
			f.Users++
		}
	}
	timed, stars, good, sales := 0, 0, 0, 0
	most := float32(0)
	var first, last int64
	for i := range d.Log {
		it := &d.Log[i]
		if it.TimeMS > 0 {
			timed++
			if first == 0 {
				first = it.TimeMS
			}
			first, last = min(first, it.TimeMS), max(last, it.TimeMS)
		}
		if starred(it) {
			stars++
			most = max(most, it.Value)
			if it.Value >= liked {
				good++
			}
		}
		if it.Type == features.Purchase {
			sales++
		}
	}
	n := max(len(d.Log), 1)
	f.Timed = 2*timed > n && last > first
	f.Order = following(d)
	f.Stars = 2*stars > n && most <= scale && 100*good >= fewGood*stars
	f.Sales = sales > 0 && sales < n
	f.Density = float64(n) / (float64(max(f.Users, 1)) * float64(max(f.Items, 1)))
	if d.Catalog != nil {
		for row := range d.Items {
			if it := d.Catalog.Item(features.Row(row)); it != nil && (it.Title != "" || it.Description != "" || len(it.Category) > 0 || len(it.Tags) > 0 || len(it.Attributes) > 0) { // #nosec G115 -- rows are int32 by contract
				f.Words = true
				break
			}
		}
	}
	return f
}

func starred(it *features.Interaction) bool {
	return (it.Type == features.Rating || it.Type == features.Review) && it.Value > 0
}

const (
	liked = 4 // stars from which on an item is one to be found
	scale = 5 // stars at most; a larger number counts something else, such as plays
	// fewGood is the good ratings in a hundred below which ratings are no opinion:
	// a file whose third column is always 1 says only that something happened.
	fewGood = 5
)

// aim reports whether it is what answers are for: a purchase where there are
// any beside other events, a good rating among ratings, else what speaks for
// its item.
func (f Facts) aim(it *features.Interaction, w *models.EventWeights) bool {
	switch {
	case f.Sales:
		return it.Type == features.Purchase
	case f.Stars && starred(it):
		return it.Value >= liked
	}
	return w.Of(it) > 0
}

// aims is d with what answers are for only.
func (f Facts) aims(d *dataset.Dataset, w *models.EventWeights) *dataset.Dataset {
	return d.Keep(func(_ int, at int64) bool { return f.aim(&d.Log[at], w) })
}

// sparse is the density below which what few share decides.
const sparse = .005

// holdOut parts d into what the parts are tried on and what they are to find,
// and says how. With times it is what each user did last: the newest good
// rating, or everything from the newest purchase (or event) on, so that nothing
// of the same basket is left to give it away. Without times it is a random
// share of each user's, a fifth of sparse data, since users of few items would
// hardly take part with less, and a tenth of dense data. Users of two events
// take part where too few have more. What nobody has in train is not to be
// found, unless the catalogue says something of it: nothing else could.
func (f Facts) holdOut(d *dataset.Dataset, w *models.EventWeights, seed uint64) (train, truth *dataset.Dataset, how string) {
	held, target := make([]bool, len(d.Log)), make([]bool, len(d.Log))
	switch {
	case f.Timed && f.Stars:
		how = fmt.Sprintf("each user's newest rating of %d stars or more", liked)
	case f.Timed:
		how = "each user's interactions from the newest to be found on"
	case f.Density < sparse:
		how = "a random fifth of each user's interactions"
	default:
		how = "a random tenth of each user's interactions"
	}
	share := .1
	if f.Density < sparse {
		share = .2
	}
	rng := rand.New(rand.NewPCG(seed, 0xb01d))
	shortest := shortest(d)
	for u := range d.Users {
		lo, hi := d.Ptr[u], d.Ptr[u+1]
		if hi-lo < shortest {
			continue
		}
		if !f.Timed {
			want := int(share*float64(hi-lo) + rng.Float64()) // the rounding is by chance, so that short histories take part
			for _, k := range rng.Perm(int(hi - lo))[:min(want, int(hi-lo)-1)] {
				at := lo + int64(k)
				held[at], target[at] = true, f.aim(&d.Log[at], w)
			}
			continue
		}
		newest := hi - 1
		for newest >= lo && !f.aim(&d.Log[newest], w) {
			newest--
		}
		if newest <= lo {
			continue
		}
		if f.Stars {
			held[newest], target[newest] = true, true
			continue
		}
		from := newest
		for from > lo && d.Log[from-1].TimeMS == d.Log[newest].TimeMS {
			from--
		}
		if from == lo {
			continue
		}
		for at := from; at < hi; at++ {
			held[at], target[at] = true, f.aim(&d.Log[at], w)
		}
	}
	train = d.Keep(func(_ int, at int64) bool { return !held[at] })
	truth = d.Keep(func(_ int, at int64) bool { return target[at] })
	return train, f.findable(train, truth), how
}

// shortest is the fewest events of a user who takes part in what is held out.
func shortest(d *dataset.Dataset) int64 {
	n := 0
	for u := range d.Users {
		if len(d.History(u)) >= 3 {
			n++
		}
	}
	if n < sure {
		return 2
	}
	return 3
}

// findable is truth without the items that nobody has in train, unless there
// are words.
func (f Facts) findable(train, truth *dataset.Dataset) *dataset.Dataset {
	if f.Words {
		return truth
	}
	met := features.NewBitmap(train.NumItems())
	for i := range train.Log {
		met.Set(train.Log[i].Row)
	}
	return truth.Keep(func(_ int, at int64) bool { return met.Has(truth.Log[at].Row) })
}
