package risk

import (
	"fmt"
	"math"
	"slices"

	"github.com/attune-rec/attune/features"
)

// reviews finds rings: accounts that gave the same items the same extreme stars
// within days of each other, more often than chance would have it.
type reviews struct {
	things names
	by     map[int32][]stars // of an item, in log order
	who    map[features.UserKey]*span
}

type stars struct {
	who  features.UserKey
	ms   int64
	side int8 // 1 praise, -1 the opposite
}

func newReviews() reviews {
	return reviews{things: names{}, by: map[int32][]stars{}, who: map[features.UserKey]*span{}}
}

func (r *reviews) fold(who features.UserKey, e *features.Event) {
	if e.Type != features.Review && e.Type != features.Rating || e.Value <= 0 {
		return
	}
	s := r.who[who]
	if s == nil {
		s = &span{}
		r.who[who] = s
	}
	s.add(e)
	x := stars{who: who, ms: e.Time.UnixMilli()}
	switch {
	case e.Value >= 4.5:
		x.side = 1
	case e.Value <= 1.5:
		x.side = -1
	}
	at := r.things.of(e.Item)
	r.by[at] = append(r.by[at], x)
}

const (
	ringWindowMS = 3 * dayMS
	ringItems    = 3  // that two of a ring have in common at least
	ringSize     = 3  // accounts
	crowdedAt    = 60 // more within the window say nothing of who belongs together
)

type couple struct{ a, b features.UserKey }

type together struct {
	items  int
	weight float64 // -log of the chance, item by item
}

// couples are pairs that agree. A pair's weight on an item is how rare it is, at
// the item's own rate of such reviews over all of its time, that one falls
// within the window of another.
func (r *reviews) couples() map[couple]*together {
	all := map[couple]*together{}
	began, ended := int64(math.MaxInt64), int64(0)
	for _, list := range r.by {
		for _, x := range list {
			began, ended = min(began, x.ms), max(ended, x.ms)
		}
	}
	length := float64(max(ended-began, dayMS))
	things := make([]int32, 0, len(r.by))
	for t := range r.by {
		things = append(things, t)
	}
	slices.Sort(things)
	for _, t := range things {
		list := r.by[t]
		slices.SortStableFunc(list, func(x, y stars) int { return int(min(1, max(-1, x.ms-y.ms))) })
		for i := range list {
			x := &list[i]
			if x.side == 0 {
				continue
			}
			near := 0
			for j := i + 1; j < len(list) && list[j].ms-x.ms <= ringWindowMS; j++ {
				near++
			}
			if near > crowdedAt {
				continue
			}
			chance := min(1, float64(len(list))*ringWindowMS/length)
			for j := i + 1; j <= i+near; j++ {
				y := &list[j]
				if y.side != x.side || y.who == x.who {
					continue
				}
				c := couple{x.who, y.who}
				if slices.Compare(c.a[:], c.b[:]) > 0 {
					c.a, c.b = c.b, c.a
				}
				if all[c] == nil {
					all[c] = &together{}
				}
				all[c].items++
				all[c].weight += -math.Log(max(chance, 1e-6))
			}
		}
	}
	return all
}

func (r *reviews) flags() (out []Flag) {
	circle := map[features.UserKey]map[features.UserKey]*together{}
	join := func(a, b features.UserKey, t *together) {
		if circle[a] == nil {
			circle[a] = map[features.UserKey]*together{}
		}
		circle[a][b] = t
	}
	for c, t := range r.couples() {
		fewer := float64(min(r.who[c.a].events, r.who[c.b].events))
		if t.items >= ringItems && t.weight >= 4 && float64(t.items)/fewer >= .25 {
			join(c.a, c.b, t)
			join(c.b, c.a, t)
		}
	}
	for who, others := range circle {
		if len(others)+1 < ringSize {
			continue
		}
		best := &together{}
		closed := 0 // pairs of friends that agree too
		for a, t := range others {
			if t.items > best.items || t.items == best.items && t.weight > best.weight {
				best = t
			}
			for b := range others {
				if a != b && circle[a][b] != nil {
					closed++
				}
			}
		}
		n := float64(len(others))
		dense := float64(closed) / max(1, n*(n-1))
		f := r.who[who].flag(who, ReviewRing,
			Reason{
				Signal: "same_reviews", Value: float64(best.items), Usual: 0, Weight: .8 * grade(best.weight, 3, 9),
				Text: fmt.Sprintf("gave %d items the same stars within three days as another account", best.items),
			},
			Reason{
				Signal: "ring", Value: n + 1, Usual: 1, Weight: .8 * grade(n, 1, 4) * grade(dense, .2, .6),
				Text: fmt.Sprintf("one of %.0f accounts that do so, %.0f %% of them with each other", n+1, 100*dense),
			})
		if f.Score > 0 {
			out = append(out, f)
		}
	}
	return out
}
