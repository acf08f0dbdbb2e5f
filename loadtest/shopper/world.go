// Package shopper simulates a shop's customers, whose true preferences are
// known: they look at what is recommended, click by position and by taste, open
// items, fill carts, buy and return. It speaks to a server through the public
// API alone, so that what a server recommends can be judged against the truth,
// which no log of a real shop holds.
//
// Every decision of a session follows from the seed, the session's number and
// what was recommended in it. It imports proto.
// Start reading at Run; the truth is in world.go.
package shopper

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sort"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"
)

// Options are the shop and its shoppers. The zero value of a number is its
// default.
type Options struct {
	Shop     string
	Seed     uint64
	Items    int      // 1000
	Shoppers int      // 500
	Markets  []string // DE, FR, GB
	Factors  int      // of taste; 8
	Anon     float64  // share of sessions of nobody known
	Bots     float64  // share of sessions of bots: they click everything and buy nothing
	Organic  float64  // share of sessions that begin with an item found without help
	Drift    float64  // 0 … 1: how much of a taste is another one at the end of the run
	Choosy   float64  // 0 … 1: how far taste decides what of the clicked goes into the cart
	Skip     int      // sessions of an earlier run, whose shoppers' decisions are not to be repeated
	Limit    int      // items an answer; 10
	Examine  float64  // the chance to look at position k is 1/k^Examine; 0.7
	New      int      // the last items are new: nobody knows them when the run begins
	Good     int      // so many of those almost everybody likes
	Appeal   float64  // how much, in logits; 6
	Run      string   // stands before the ids of events and sessions, so that a second run is not taken for a retry
}

// ErrOptions is returned for a shop that cannot be.
var ErrOptions = errors.New("bad simulation")

func (o *Options) complete() error {
	set := func(n *int, v int) {
		if *n == 0 {
			*n = v
		}
	}
	set(&o.Items, 1000)
	set(&o.Shoppers, 500)
	set(&o.Factors, 8)
	set(&o.Limit, 10)
	if o.Appeal == 0 {
		o.Appeal = 6
	}
	if len(o.Markets) == 0 {
		o.Markets = []string{"DE", "FR", "GB"}
	}
	if o.Examine == 0 {
		o.Examine = .7
	}
	for name, share := range map[string]float64{"anonymous": o.Anon, "bots": o.Bots, "organic": o.Organic, "drift": o.Drift, "choosy": o.Choosy} {
		if !(share >= 0 && share <= 1) {
			return fmt.Errorf("%w: share of %s: got %v, want 0 to 1", ErrOptions, name, share)
		}
	}
	if o.Good < 0 || o.New < o.Good || o.New > o.Items-o.Limit {
		return fmt.Errorf("%w: %d new items, %d of them good: expected no more good ones than new ones, and enough others for an answer", ErrOptions, o.New, o.Good)
	}
	if o.Items < o.Limit || o.Shoppers < 1 || o.Factors < 1 || o.Limit < 1 || o.Limit > 200 || o.Examine < 0 {
		return fmt.Errorf("%w: expected at least one shopper, factor and item an answer, at most 200 items an answer, and as many items as that", ErrOptions)
	}
	return nil
}

// World is the truth. It is immutable and safe for concurrent use.
type World struct {
	o       Options
	items   []item
	byID    map[string]int
	now     [][]float64 // shoppers by factors, when the run begins
	later   [][]float64 // and when a drift is complete
	examine []float64   // by position
}

type item struct {
	taste   []float64
	appeal  []float64 // by market; NaN: not sold there
	quality float64   // below 0: it disappoints, and comes back
	price   int64     // hundredths
	sort    int
}

// NewWorld draws a shop; the same for the same options.
func NewWorld(o Options) (*World, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	w := &World{o: o, byID: map[string]int{}}
	random := rand.New(rand.NewPCG(o.Seed, 1))
	vector := func() []float64 {
		v, sum := make([]float64, o.Factors), 0.
		for i := range v {
			v[i] = random.NormFloat64()
			sum += v[i] * v[i]
		}
		for i := range v {
			v[i] /= math.Sqrt(sum)
		}
		return v
	}
	for i := range o.Items {
		it := item{taste: vector(), quality: random.NormFloat64(), price: 100 + random.Int64N(10_000), appeal: make([]float64, len(o.Markets))}
		for f, v := range it.taste {
			if v > it.taste[it.sort] {
				it.sort = f
			}
		}
		fame := .5 * random.NormFloat64()
		for m := range it.appeal {
			it.appeal[m] = fame + .3*random.NormFloat64()
			if random.Float64() < .1 && m != i%len(it.appeal) { // each is sold somewhere
				it.appeal[m] = math.NaN()
			}
		}
		if w.Planted(i) {
			for m := range it.appeal {
				it.appeal[m] = o.Appeal + .3*random.NormFloat64()
			}
		}
		w.items = append(w.items, it)
		w.byID[w.ItemID(i)] = i
	}
	for range o.Shoppers {
		w.now, w.later = append(w.now, vector()), append(w.later, vector())
	}
	for k := range o.Limit {
		w.examine = append(w.examine, math.Pow(float64(k+1), -o.Examine))
	}
	return w, nil
}

// New reports whether nobody knows an item when the run begins.
func (w *World) New(i int) bool { return i >= w.o.Items-w.o.New }

// Planted reports whether an item is a new one that almost everybody likes.
func (w *World) Planted(i int) bool { return w.New(i) && i < w.o.Items-w.o.New+w.o.Good }

// Options are what the world was made of.
func (w *World) Options() Options { return w.o }

// Examine is the chance that a place, from 0, is looked at.
func (w *World) Examine(place int) float64 { return w.examine[place] }

// LikesItem is Likes by an item's number.
func (w *World) LikesItem(shopper, i int, progress float64) float64 {
	return w.likes(shopper, i, progress)
}

// Sort is what sort of thing an item is.
func (w *World) Sort(i int) string { return sorts[w.items[i].sort%len(sorts)] }

// ItemID is the id of an item.
func (w *World) ItemID(i int) string { return fmt.Sprintf("sim-%05d", i) }

// Market is a shopper's market.
func (w *World) Market(shopper int) int { return shopper % len(w.o.Markets) }

// Likes is the chance that a shopper who looks at an item clicks it, when the
// run has come so far (0 … 1): 0 where it is not sold, or not known.
func (w *World) Likes(shopper int, id string, progress float64) float64 {
	i, ok := w.byID[id]
	if !ok {
		return 0
	}
	return w.likes(shopper, i, progress)
}

func (w *World) likes(shopper, i int, progress float64) float64 {
	it := &w.items[i]
	appeal := it.appeal[w.Market(shopper)]
	if math.IsNaN(appeal) {
		return 0
	}
	moved, dot := w.o.Drift*progress, 0.
	for f, q := range it.taste {
		dot += q * ((1-moved)*w.now[shopper][f] + moved*w.later[shopper][f])
	}
	return 1 / (1 + math.Exp(3-5*dot-appeal))
}

// Carts is the chance that what a shopper clicked goes into the cart.
func (w *World) Carts(shopper int, id string, progress float64) float64 {
	if w.o.Choosy == 0 {
		return intoCart
	}
	return (1-w.o.Choosy)*intoCart + w.o.Choosy*w.Likes(shopper, id, progress)
}

// Buys is the chance that what is in the cart is bought.
func (w *World) Buys() float64 { return buysCart }

// Shown is the chance that a shopper clicks an item at a place drawn evenly, in
// an answer of items drawn evenly: at most one item of an answer is clicked.
func (w *World) Shown(shopper int, id string, progress float64) float64 {
	mean, sold := 0., 0.
	for i := range w.items {
		mean += w.likes(shopper, i, progress)
		sold++
	}
	mean /= sold
	chance, open := 0., 1.
	for _, examine := range w.examine {
		chance += open * examine
		open *= 1 - examine*mean
	}
	return chance / float64(len(w.examine)) * w.Likes(shopper, id, progress)
}

// Best is the chance of a click summed over the places of the best answer that
// there is, without what the shopper has.
func (w *World) Best(shopper int, has map[string]bool, progress float64) float64 {
	best := make([]float64, 0, len(w.items))
	for i := range w.items {
		if !has[w.ItemID(i)] {
			best = append(best, w.likes(shopper, i, progress))
		}
	}
	sort.Sort(sort.Reverse(sort.Float64Slice(best)))
	sum := 0.
	for k := range min(len(best), len(w.examine)) {
		sum += best[k] * w.examine[k]
	}
	return sum
}

// find is an item that a shopper comes upon without help, mostly one they like.
func (w *World) find(random *rand.Rand, shopper int, progress float64) int {
	at, most := 0, -1.
	for range 20 { // of what they came across, what they like best
		i := random.IntN(len(w.items))
		if l := w.likes(shopper, i, progress); l > most {
			at, most = i, l
		}
	}
	return at
}

// Catalogue is the shop's items as the API takes them.
func (w *World) Catalogue() []*attunev1.Item {
	out := make([]*attunev1.Item, len(w.items))
	for i := range w.items {
		it := &w.items[i]
		p := &attunev1.Item{
			Id: w.ItemID(i), Title: fmt.Sprintf("%s thing %d", sorts[it.sort%len(sorts)], i), Category: []string{sorts[it.sort%len(sorts)]},
			Prices: map[string]*attunev1.Money{"": {Currency: "EUR", Micros: it.price * 10_000}},
		}
		for m, appeal := range it.appeal {
			if !math.IsNaN(appeal) {
				p.Markets = append(p.Markets, w.o.Markets[m])
			}
		}
		out[i] = p
	}
	return out
}

var sorts = []string{"garden", "kitchen", "paper", "toy", "light", "wool", "glass", "travel", "sport", "music", "tea", "party"}
