package shape

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// world is a shop whose shoppers choose by taste, by what everyone buys and, as
// far as drift says, by what they bought last.
type world struct {
	users, items, events int
	taste, drift, sells  float64 // how much each says
	timed                bool
}

func invented() []Shape {
	shop := func(name, about string, ask Ask, w world) Shape {
		return Shape{Name: name, About: "invented: " + about, Ask: ask, Chosen: true, read: func(string) (*table, error) { return w.table(), nil }}
	}
	return []Shape{
		shop("few-items", "60 items, many users; a fifth", Fifth, world{users: 6000, items: 60, events: 9, taste: 5, sells: 1}),
		shop("popular-only", "no taste at all; a fifth", Fifth, world{users: 3000, items: 800, events: 12, sells: 1}),
		shop("strong-taste", "taste is nearly all; a fifth", Fifth, world{users: 3000, items: 1500, events: 14, taste: 12, sells: .3}),
		shop("drifting", "the last item leads to the next; the last", Next, world{users: 3000, items: 500, events: 14, taste: 3, drift: 9, sells: .6, timed: true}),
		shop("two-each", "three events each; the last", Next, world{users: 12000, items: 400, events: 3, taste: 6, sells: 1, timed: true}),
	}
}

// table draws the histories: each choice is the best of all items not yet had
// by taste, popularity and chance, which is a softmax over them.
func (w world) table() *table {
	const dim = 6
	rng := rand.New(rand.NewPCG(21, 23))
	draw := func() (v [dim]float64) {
		for k := range v {
			v[k] = rng.NormFloat64() / math.Sqrt(dim)
		}
		return v
	}
	dot := func(a, b [dim]float64) (sum float64) {
		for k := range a {
			sum += a[k] * b[k]
		}
		return sum
	}
	likes, base := make([][dim]float64, w.items), make([]float64, w.items)
	for i := range likes {
		likes[i], base[i] = draw(), -w.sells*math.Log(float64(1+i))
	}
	t := &table{}
	for u := range w.users {
		own, last, had := draw(), -1, map[int]bool{}
		for k := range max(2, w.events/2+rng.IntN(w.events)) {
			best, top := -1, math.Inf(-1)
			for i := range base {
				if had[i] {
					continue
				}
				v := base[i] + w.taste*dot(own, likes[i]) - math.Log(rng.ExpFloat64())
				if last >= 0 && w.drift > 0 {
					v += w.drift * dot(likes[last], likes[i])
				}
				if v > top {
					best, top = i, v
				}
			}
			last, had[best] = best, true
			it := bought(0)
			if w.timed {
				it.TimeMS = 1_600_000_000_000 + int64(u)*1000 + int64(k)*86_400_000
			}
			t.events = append(t.events, event{fmt.Sprint("u", u), fmt.Sprint("i", best), it})
		}
	}
	return t
}
