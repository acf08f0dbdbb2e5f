package shop

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"time"

	"github.com/attune-rec/attune/features"
)

// Size is how large a shop is.
type Size struct {
	Items    int
	Shoppers int
	Events   int // of each shopper, at least; every other one has up to as many again
	Seed     uint64
	One      bool // its releases have what SurfaceOne needs, and no other surface
}

// act is one event, kept small.
type act struct {
	user, item int32
	at         int32 // minutes since begin
	kind       features.EventType
}

// begin is when the first event may have happened; days is how long it goes on.
var begin = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)

const days = 120

// goods are the shop's items: categories in two levels, brands, prices, words.
// New ones come all the time.
func (s Size) goods() []features.Item {
	rng := rand.New(rand.NewPCG(s.Seed, 1)) // #nosec G404 -- made again the same
	kinds := s.kinds()
	items := make([]features.Item, s.Items)
	for i := range items {
		kind := i % kinds
		price := math.Round(100*math.Exp(1+2*rng.Float64()+float64(kind%7)/7)) / 100
		made := begin.Add(-time.Duration(rng.IntN(300*24)) * time.Hour)
		if i%50 == 7 {
			made = begin.Add(time.Duration(rng.IntN((days-5)*24)) * time.Hour)
		}
		items[i] = features.Item{
			ID: fmt.Sprintf("item-%06d", i), Kind: features.Product,
			Title: fmt.Sprintf("%s %s %s number %d", words[kind%len(words)], words[(kind/len(words)+7)%len(words)], words[rng.IntN(len(words))], i/kinds),
			Brand: fmt.Sprintf("brand %d", rng.IntN(400)), Category: []string{fmt.Sprintf("hall %d", kind%20), fmt.Sprintf("shelf %d", kind)},
			Group: fmt.Sprintf("group %d", i/2), Rating: float32(2 + 3*rng.Float64()),
			Prices: map[string]features.Money{"": features.MoneyOf(price, "EUR")}, Created: made, Updated: made,
		}
	}
	return items
}

// kinds is how many shelves there are.
func (s Size) kinds() int { return max(10, min(500, s.Items/100)) }

var words = []string{
	"oak", "linen", "copper", "marble", "velvet", "pine", "wool", "glass", "cotton", "brass", "slate", "ivory", "amber", "cedar", "denim",
	"lamp", "chair", "bowl", "shirt", "candle", "basket", "mirror", "blanket", "kettle", "boots", "scarf", "clock", "vase", "apron", "stool",
}

// markets are where shoppers live.
var markets = []string{"DE", "FR", "GB"}

func market(user int32) string { return markets[int(user)%len(markets)] }

// acts are what everyone did, in the order of time: each shopper likes three
// shelves, takes well-known goods more often than others (Zipf's law), and
// looks before buying.
func (s Size) acts() []act {
	rng := rand.New(rand.NewPCG(s.Seed, 2)) // #nosec G404 -- made again the same
	kinds := s.kinds()
	each := (s.Items + kinds - 1) / kinds
	sums := make([]float64, each) // of 1/rank
	for i := range sums {
		sums[i] = 1 / float64(i+1)
		if i > 0 {
			sums[i] += sums[i-1]
		}
	}
	draw := func(kind int) int32 {
		for {
			rank := sort.SearchFloat64s(sums, rng.Float64()*sums[each-1])
			if item := rank*kinds + kind; item < s.Items {
				return int32(item) // #nosec G115 -- below Items
			}
		}
	}
	out := make([]act, 0, s.Shoppers*s.Events*5/4)
	for u := range s.Shoppers {
		likes := [3]int{rng.IntN(kinds), rng.IntN(kinds), rng.IntN(kinds)}
		n := s.Events
		if u%2 == 1 {
			n += rng.IntN(s.Events)
		}
		item := int32(0)
		for i := range n {
			kind := features.View
			switch i % 4 {
			case 3: // what was just looked at
				kind = features.Purchase
			case 2:
				kind = features.CartAdd
			default:
				like := likes[rng.IntN(3)]
				if rng.IntN(8) == 0 {
					like = rng.IntN(kinds)
				}
				item = draw(like)
			}
			// Half an hour a visit of four acts, visits anywhere.
			visit := rng.IntN(days * 24 * 60)
			if i%4 > 0 {
				visit = int(out[len(out)-1].at) + 1 + rng.IntN(9)
			}
			out = append(out, act{user: int32(u), item: item, at: int32(visit), kind: kind}) // #nosec G115 -- small
		}
	}
	slices.SortStableFunc(out, func(a, b act) int { return cmp.Compare(a.at, b.at) })
	return out
}
