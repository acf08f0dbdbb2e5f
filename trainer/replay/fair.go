package replay

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models/eval"
)

// Group is an attribute of shoppers by which their answers are compared.
type Group struct {
	By string
	Of func(context.Context, features.UserKey) (string, error) // nil: the market of the shopper's first session
}

// leastGroup is how many shoppers a group has at least.
const leastGroup = 20

// best is the share of the catalogue that counts as what sells most.
const best = .2

// fair compares the answers by each of the groups asked for.
func (p *player) fair(ctx context.Context, o *Options) ([]*eval.Fairness, error) {
	if len(o.Groups) == 0 {
		return nil, nil
	}
	var order []features.UserKey // shoppers, by first session
	of := map[features.UserKey]*sums{}
	levels := levels{items: p.subject.Items, by: map[string][]float32{}}
	popular := p.popular()
	for i, v := range p.tape.visits {
		c := &p.cases[i]
		if !c.asked {
			continue
		}
		s := of[v.user]
		if s == nil {
			s = &sums{market: v.market, shown: features.NewBitmap(p.subject.Items.Len())}
			of[v.user] = s
			order = append(order, v.user)
		}
		s.fold(c, v, p.subject.Items, popular, levels.in(v.market))
	}
	var out []*eval.Fairness
	for _, g := range o.Groups {
		shoppers := make([]eval.FairShopper, len(order))
		for i, who := range order {
			s := of[who]
			group := s.market
			if g.Of != nil {
				var err error
				if group, err = g.Of(ctx, who); err != nil {
					return nil, fmt.Errorf("%s of a shopper: %w", g.By, err)
				}
			}
			shoppers[i] = eval.FairShopper{
				Group: group, Quality: s.quality.mean(), Exposure: s.exposure.mean(), Price: s.price.mean(), Bought: s.bought.mean(), Shown: s.shown,
			}
		}
		out = append(out, eval.Fair(g.By, shoppers, leastGroup, p.subject.Items.Len()))
	}
	return out, nil
}

// mean of what was added with weights; NaN of nothing.
type mean struct{ sum, n float64 }

func (m *mean) add(v, weight float64) {
	if !math.IsNaN(v) {
		m.sum, m.n = m.sum+weight*v, m.n+weight
	}
}

func (m *mean) mean() float64 { return m.sum / m.n }

// sums is what a shopper was answered, over their sessions.
type sums struct {
	market                           string
	quality, exposure, price, bought mean
	shown                            *features.Bitmap
}

func (s *sums) fold(c *outcome, v *visit, items features.Catalog, popular *features.Bitmap, level []float32) {
	s.quality.add(eval.Metric{Name: eval.NDCG, K: limit}.Of(c.hits, c.bought), 1)
	for place, a := range c.answer {
		s.shown.Set(a.row)
		seen := 1 / math.Log2(float64(place)+2) // the discount of NDCG stands for how often a place is looked at
		less := 1.
		if popular.Has(a.row) {
			less = 0
		}
		s.exposure.add(less, seen)
		s.price.add(float64(level[a.row]), seen)
	}
	for _, id := range v.items {
		if row, ok := items.Row(id); ok {
			s.bought.add(float64(level[row]), 1)
		}
	}
}

// popular is the fifth of the catalogue that sold most before the sessions.
func (p *player) popular() *features.Bitmap {
	rows := make([]features.Row, len(p.tape.sold))
	for i := range rows {
		rows[i] = features.Row(i) // #nosec G115 -- rows are int32 by contract
	}
	slices.SortStableFunc(rows, func(a, b features.Row) int { return int(p.tape.sold[b]) - int(p.tape.sold[a]) })
	out := features.NewBitmap(len(rows))
	for _, row := range rows[:int(math.Ceil(best*float64(len(rows))))] {
		if p.tape.sold[row] > 0 {
			out.Set(row)
		}
	}
	return out
}

// levels are the percentiles of prices among all goods, by market.
type levels struct {
	items features.Catalog
	by    map[string][]float32
}

// in is by row, 0 to 1; NaN without a price.
func (l *levels) in(market string) []float32 {
	if known, ok := l.by[market]; ok {
		return known
	}
	out := make([]float32, l.items.Len())
	var all []float64
	price := func(row int) float64 {
		if it := l.items.Item(features.Row(row)); it != nil { // #nosec G115 -- rows are int32 by contract
			return it.PriceIn(market).Units()
		}
		return 0
	}
	for row := range out {
		if v := price(row); v > 0 {
			all = append(all, v)
		}
	}
	slices.Sort(all)
	for row := range out {
		v := price(row)
		if v <= 0 {
			out[row] = float32(math.NaN())
			continue
		}
		low, _ := slices.BinarySearch(all, v)
		high := low
		for high < len(all) && all[high] == v {
			high++
		}
		out[row] = float32((float64(low) + float64(high)) / 2 / float64(len(all)))
	}
	l.by[market] = out
	return out
}
