package dataset

import (
	"math"
	"sort"
	"strconv"

	"github.com/attune-rec/attune/features"
)

// table is the rows of a file by column, in file order. A column that the file
// does not have is nil.
type table struct {
	user, item      []int32
	timeMS          []int64
	value           []float32
	kind            []features.EventType
	quantity, price []float32
	market          []uint16
	kindOfAll       features.EventType // where kind is nil
	ordered         bool               // there are no times, and the file is in order of time
}

// dataset is the table over the given users and items: by user, then by time
// where there is one, then in file order. Where that is the order of time, the
// events are numbered.
func (t *table) dataset(users, items, markets []string) *Dataset {
	d := &Dataset{Users: users, Items: items, Ptr: make([]int64, len(users)+1), Log: make([]features.Interaction, len(t.user))}
	if t.market != nil {
		d.Markets, d.Market = markets, make([]uint16, len(t.user))
	}
	for _, u := range t.user {
		d.Ptr[u+1]++
	}
	for u := range users {
		d.Ptr[u+1] += d.Ptr[u]
	}
	next := append([]int64(nil), d.Ptr[:len(users)]...)
	for i, u := range t.user {
		at := next[u]
		next[u]++
		d.Log[at] = t.interaction(i)
		if t.market != nil {
			d.Market[at] = t.market[i]
		}
	}
	if t.timeMS != nil {
		for u := range users {
			h := byTime{log: d.History(u)}
			if d.Market != nil {
				h.market = d.Market[d.Ptr[u]:d.Ptr[u+1]]
			}
			if !sort.IsSorted(h) {
				sort.Stable(h)
			}
		}
	}
	if t.ordered {
		for u := range users {
			enumerate(d.History(u))
		}
	}
	return d
}

func (t *table) interaction(i int) features.Interaction {
	it := features.Interaction{Row: features.Row(t.item[i]), Type: t.kindOfAll, Quantity: 1}
	if t.kind != nil {
		it.Type = t.kind[i]
	}
	if t.timeMS != nil {
		it.TimeMS = t.timeMS[i]
	}
	if t.value != nil {
		it.Value = t.value[i]
	}
	if t.quantity != nil {
		it.Quantity = t.quantity[i]
	}
	if t.price != nil {
		it.Price = t.price[i]
	}
	return it
}

// byTime sorts a history and its markets together.
type byTime struct {
	log    []features.Interaction
	market []uint16
}

func (h byTime) Len() int           { return len(h.log) }
func (h byTime) Less(i, j int) bool { return h.log[i].TimeMS < h.log[j].TimeMS }
func (h byTime) Swap(i, j int) {
	h.log[i], h.log[j] = h.log[j], h.log[i]
	if h.market != nil {
		h.market[i], h.market[j] = h.market[j], h.market[i]
	}
}

// decimal reads a finite number; plain short ones without an allocation.
func decimal(b []byte) (float64, bool) {
	n, scale, point, i := 0, 1, false, 0
	if len(b) > 0 && b[0] == '-' {
		i = 1
	}
	start := i
	for ; i < len(b) && i < 15; i++ {
		switch c := b[i]; {
		case c >= '0' && c <= '9':
			n = 10*n + int(c-'0')
			if point {
				scale *= 10
			}
		case c == '.' && !point:
			point = true
		default:
			return slowDecimal(b)
		}
	}
	if i < len(b) || i == start || (point && i == start+1) {
		return slowDecimal(b)
	}
	v := float64(n) / float64(scale)
	if start == 1 {
		v = -v
	}
	return v, true
}

func slowDecimal(b []byte) (float64, bool) {
	v, err := strconv.ParseFloat(string(b), 64)
	return v, err == nil && !math.IsNaN(v) && !math.IsInf(v, 0)
}

// unixMS is a Unix time in milliseconds, given in seconds or, from 10¹¹ on, in
// milliseconds already.
func unixMS(v float64) (int64, bool) {
	if v < 0 || v > 1e14 {
		return 0, false
	}
	if v >= 1e11 {
		return int64(v), true
	}
	return int64(math.Round(v * 1000)), true
}
