// Package shape has data sets of many shapes, public and invented, and draws
// small ones of them, so that what a recipe was never made for can be tried.
//
// It imports features/dataset and what lies below. Start reading at All.
package shape

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
)

// Shape is a data set and what is asked of it.
type Shape struct {
	Name  string
	About string // for readers
	Ask   Ask
	// Chosen marks the shapes whose draws, of other seeds than 1 to 99, the
	// recipe's rules for scant data were made on.
	Chosen bool
	read   func(folder string) (*table, error)
}

// Ask is what is held out of a drawn data set to be found.
type Ask string

// What may be asked.
const (
	Next   Ask = "next"   // all that each user had at their newest time
	Good   Ask = "good"   // each user's newest rating of 4 stars or more
	Fifth  Ask = "fifth"  // a random fifth of each user's
	Coming Ask = "coming" // what anybody had in the newest tenth of all
)

// Data reads the whole data set from a folder of public ones; invented ones
// need none. The error wraps fs.ErrNotExist where the folder lacks it.
func (s *Shape) Data(folder string) (*Source, error) {
	t, err := s.read(folder)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.Name, err)
	}
	return newSource(t), nil
}

// event is a row of a table.
type event struct {
	user, item string
	features.Interaction
}

// table is events by user, each user's in order of time.
type table struct {
	events []event
	words  string // file of the items' words; "" for none
}

// Source is a data set that draws are made of.
type Source struct {
	table *table
	users [][]event
}

func newSource(t *table) *Source {
	s := &Source{table: t}
	number := map[string]int{}
	for _, e := range t.events {
		u, ok := number[e.user]
		if !ok {
			u = len(s.users)
			number[e.user], s.users = u, append(s.users, nil)
		}
		s.users[u] = append(s.users[u], e)
	}
	for _, own := range s.users {
		slices.SortStableFunc(own, func(a, b event) int { return int(min(max(a.TimeMS-b.TimeMS, -1), 1)) })
	}
	return s
}

// Pairs is the number of all events.
func (s *Source) Pairs() int { return len(s.table.events) }

// Draw takes users at random until they have size events, with the items that
// they have; size 0 takes everybody. Items are numbered at random: in the order
// of the events, the numbers would tell whose items are whose wherever equal
// scores are told apart by them.
func (s *Source) Draw(size int, seed uint64) (*dataset.Dataset, error) {
	rng := rand.New(rand.NewPCG(seed, 0x5a4e))
	var b dataset.Builder
	var drawn []event
	for _, u := range rng.Perm(len(s.users)) {
		if size > 0 && len(drawn) >= size {
			break
		}
		drawn = append(drawn, s.users[u]...)
	}
	for _, at := range rng.Perm(len(drawn)) {
		b.Item(drawn[at].item)
	}
	for _, e := range drawn {
		b.Add(e.user, e.item, "", e.Interaction)
	}
	d := b.Build()
	if s.table.words == "" {
		return d, nil
	}
	return d, described(d, s.table.words)
}

// Part holds out of d what is asked; seed is that of chance. What nobody has in
// train is not asked for, unless the items have words: nothing but chance could
// find it.
func (a Ask) Part(d *dataset.Dataset, seed uint64) (train, test *dataset.Dataset) {
	held, wanted := make([]bool, len(d.Log)), make([]bool, len(d.Log))
	weights := models.DefaultWeights()
	rng := rand.New(rand.NewPCG(seed, 0xa5c))
	aim := aimOf(d, &weights)
	cut := d.LastTimeMS()
	if a == Coming {
		times := make([]int64, len(d.Log))
		for i := range d.Log {
			times[i] = d.Log[i].TimeMS
		}
		slices.Sort(times)
		cut = times[len(times)*9/10]
	}
	for u := range d.Users {
		lo, hi := d.Ptr[u], d.Ptr[u+1]
		switch a {
		case Coming:
			for at := lo; at < hi; at++ {
				held[at] = d.Log[at].TimeMS >= cut
				wanted[at] = held[at] && aim(&d.Log[at])
			}
		case Fifth:
			n := int(.2*float64(hi-lo) + rng.Float64())
			for _, k := range rng.Perm(int(hi - lo))[:min(n, int(hi-lo))] {
				held[lo+int64(k)], wanted[lo+int64(k)] = true, aim(&d.Log[lo+int64(k)])
			}
		default:
			newest := hi - 1
			for newest >= lo && !aim(&d.Log[newest]) {
				newest--
			}
			if newest < lo {
				continue
			}
			from := newest
			for a == Next && from > lo && d.Log[from-1].TimeMS == d.Log[newest].TimeMS {
				from--
			}
			if from == lo {
				continue
			}
			held[newest], wanted[newest] = true, true
			for at := from; a == Next && at < hi; at++ {
				held[at], wanted[at] = true, aim(&d.Log[at])
			}
		}
	}
	train = d.Keep(func(_ int, at int64) bool { return !held[at] })
	met := features.NewBitmap(d.NumItems())
	for i := range train.Log {
		met.Set(train.Log[i].Row)
	}
	return train, d.Keep(func(_ int, at int64) bool { return wanted[at] && (d.Catalog != nil || met.Has(d.Log[at].Row)) })
}

// aimOf is what answers are for: purchases where there are any beside other
// events, good ratings among ratings, else what speaks for its item.
func aimOf(d *dataset.Dataset, w *models.EventWeights) func(*features.Interaction) bool {
	sales, other := false, false
	for i := range d.Log {
		if d.Log[i].Type == features.Purchase {
			sales = true
		} else {
			other = true
		}
	}
	return func(it *features.Interaction) bool {
		switch {
		case sales && other:
			return it.Type == features.Purchase
		case it.Type == features.Rating:
			return it.Value >= 4
		}
		return w.Of(it) > 0
	}
}

func in(folder string, path ...string) string {
	return filepath.Join(append([]string{folder}, path...)...)
}
