package risk

import (
	"fmt"
	"math"

	"github.com/attune-rec/attune/features"
)

// clicks finds subjects that look at one thing far more often than anyone does,
// in a machine's rhythm or without ever wanting anything, and crowds that come
// to one thing at once and to nothing else.
type clicks struct {
	things  names
	wants   map[pair]bool  // put into the cart or bought
	looks   map[look]int32 // clicks and views
	who     map[features.UserKey]*clicker
	began   int64
	ended   int64
	started bool
}

type pair struct {
	who   features.UserKey
	thing int32
}

type look struct {
	pair
	day int32
}

type clicker struct {
	span
	lastMS          int64
	n, sum, squares float64 // of the gaps within a visit
}

func newClicks() clicks {
	return clicks{things: names{}, wants: map[pair]bool{}, looks: map[look]int32{}, who: map[features.UserKey]*clicker{}}
}

// visitGapMS ends a visit.
const visitGapMS = 30 * 60 * 1000

func (c *clicks) fold(who features.UserKey, e *features.Event) {
	switch e.Type {
	case features.CartAdd, features.Purchase, features.WishAdd:
		c.wants[pair{who, c.things.of(e.Item)}] = true
		return
	case features.Click, features.View, features.AdClick:
	default:
		return
	}
	thing := e.Item
	if e.Type == features.AdClick {
		thing = "campaign " + e.Target
	}
	ms := e.Time.UnixMilli()
	if !c.started || ms < c.began {
		c.began = ms
	}
	c.started, c.ended = true, max(c.ended, ms)
	c.looks[look{pair{who, c.things.of(thing)}, int32(ms / dayMS)}]++ // #nosec G115 -- days since 1970
	w := c.who[who]
	if w == nil {
		w = &clicker{}
		c.who[who] = w
	}
	if gap := float64(ms - w.lastMS); w.events > 0 && gap >= 0 && gap < visitGapMS {
		w.n, w.sum, w.squares = w.n+1, w.sum+gap, w.squares+gap*gap
	}
	w.lastMS = ms
	w.add(e)
}

// habit is what one subject did at most to one thing.
type habit struct {
	day, all      int32 // on one day, and in all
	allOf         int32 // which thing
	looks, things int32
}

func (c *clicks) habits() map[features.UserKey]*habit {
	all := map[features.UserKey]*habit{}
	totals := map[pair]int32{}
	for l, n := range c.looks {
		h := all[l.who]
		if h == nil {
			h = &habit{}
			all[l.who] = h
		}
		h.looks += n
		h.day = max(h.day, n)
		totals[l.pair] += n
	}
	for p, n := range totals {
		h := all[p.who]
		h.things++
		if n > h.all || n == h.all && p.thing < h.allOf {
			h.all, h.allOf = n, p.thing
		}
	}
	return all
}

func (c *clicks) flags() (out []Flag) {
	habits := c.habits()
	days, totals := make([]float64, 0, len(habits)), make([]float64, 0, len(habits))
	for _, h := range habits {
		days, totals = append(days, float64(h.day)), append(totals, float64(h.all))
	}
	perDay, inAll := usualOf(days), usualOf(totals)
	found := map[features.UserKey][]Reason{}
	for who, h := range habits {
		w := c.who[who]
		doubt := 1.
		if c.wants[pair{who, h.allOf}] {
			doubt = .5 // who wants a thing looks again
		}
		found[who] = []Reason{
			{
				Signal: "same_item_in_a_day", Value: float64(h.day), Usual: perDay.count(), Weight: .85 * doubt * grade(perDay.deviations(float64(h.day)), 3, 5),
				Text: fmt.Sprintf("looked at one item %d times in a day where %.0f is usual", h.day, perDay.count()),
			},
			{
				Signal: "same_item_in_all", Value: float64(h.all), Usual: inAll.count(),
				Weight: .85 * doubt * grade(inAll.deviations(float64(h.all)), 3, 5) * grade(float64(h.all)/float64(h.looks), .3, .6),
				Text:   fmt.Sprintf("%d of %d looks were at one item, where %.0f is usual", h.all, h.looks, inAll.count()),
			},
			{
				Signal: "rhythm", Value: w.variation(), Usual: 1, Weight: .7 * doubt * grade(w.n, 8, 16) * grade(-w.variation(), -.3, -.15),
				Text: fmt.Sprintf("clicks come like a clock: the gaps vary by %.0f %%", 100*w.variation()),
			},
		}
	}
	c.crowds(habits, found)
	for who, reasons := range found {
		if f := c.who[who].flag(who, ClickFraud, reasons...); f.Score > 0 {
			out = append(out, f)
		}
	}
	return out
}

// variation is the coefficient of variation of the gaps; 1 where there are few.
func (w *clicker) variation() float64 {
	if w.n < 8 || w.sum == 0 {
		return 1
	}
	mean := w.sum / w.n
	return math.Sqrt(max(0, w.squares/w.n-mean*mean)) / mean
}

// few is how many things one of a crowd looks at, at most.
const few = 3

// crowds adds those that came to one thing at once, each for hardly anything
// else, and bought nothing of it.
func (c *clicks) crowds(habits map[features.UserKey]*habit, found map[features.UserKey][]Reason) {
	came := crowds{}
	for l := range c.looks {
		if habits[l.who].things <= few && !c.wants[l.pair] {
			came.add(l.thing, l.day, l.who)
		}
	}
	days := float64(c.ended-c.began)/dayMS + 1
	most := map[features.UserKey]Reason{}
	came.sudden(days, func(x crowd) {
		n := float64(len(x.who))
		for _, who := range x.who {
			if most[who].Value >= n {
				continue
			}
			most[who] = Reason{
				Signal: "crowd", Value: n, Usual: x.usual, Weight: .9 * (1 - x.usual/n),
				Text: fmt.Sprintf("one of %.0f who came on one day to one item and to hardly anything else, where %.1f are usual", n, x.usual),
			}
		}
	})
	for who, r := range most {
		found[who] = append(found[who], r)
	}
}
