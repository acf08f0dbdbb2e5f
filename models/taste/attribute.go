package taste

import (
	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
)

// itemsOwner names the list that Items keeps in a request's scratch.
type itemsOwner struct{}

// Items is the distinct items of r's history below items, in the order in which
// they were first met. It is made once a request and belongs to r.Scratch.
func Items(r *features.Request) []features.Row {
	history := r.History()
	n := len(history)
	if n == 0 || r.Scratch == nil {
		return nil
	}
	// The rows' bits travel as numbers: the scratch shares vectors of those.
	list, _ := r.Scratch.Vector(itemsOwner{}, n+1, func(dst []float32) bool {
		size := 1
		for size < 2*n {
			size *= 2
		}
		slots, found := r.Scratch.Ints(size), 0
		for i := range history {
			row := history[i].Row
			if row < 0 {
				continue
			}
			at := int(uint32(row)*2654435769>>7) & (size - 1)
			for slots[at] != 0 && history[slots[at]-1].Row != row {
				at = (at + 1) & (size - 1)
			}
			if slots[at] == 0 {
				slots[at] = int32(i + 1)
				dst[1+found] = float32(i)
				found++
			}
		}
		dst[0] = float32(found)
		return true
	})
	rows := r.Scratch.Rows(int(list[0]))
	for i := range rows {
		rows[i] = history[int(list[1+i])].Row
	}
	return rows
}

// Weights is the weight of each of rows, which are Items of r, in the profile
// of r's history; 0 where an item has none, or lies at or past items. It is
// made once a request.
func (w *Weigher) Weights(r *features.Request, items int, rows []features.Row) []float32 {
	weights, _ := r.Scratch.Vector(w, len(rows), func(dst []float32) bool {
		p := w.Profile(r.History(), items, r.Scratch)
		at := 0
		for i, row := range p.Rows {
			at = Place(rows, features.Row(row), at)
			dst[at] = p.Weights[i]
		}
		return true
	})
	return weights
}

// Place is where row stands in rows, among which it is. It is looked for from
// hint on, where it is found at once as a rule: profiles and Items are ordered
// alike but for items that weighed nothing at first.
func Place(rows []features.Row, row features.Row, hint int) int {
	for rows[hint] != row {
		if hint++; hint == len(rows) {
			hint = 0
		}
	}
	return hint
}

// certain is the share of a score from which on a first-order account of what
// it rests on is believed; a smaller one is put to the test.
const certain = .002

// Attributed explains a score of m by what m itself attributes: the item of the
// history on which it rests most. It allocates nothing where r has a Scratch in
// use and the evidence is strong.
func (w *Weigher) Attributed(m AttributedScorer, r *features.Request, item features.Row) (models.Evidence, bool) {
	none := models.Evidence{Item: features.NoRow}
	history := r.History()
	if len(history) == 0 {
		return none, false
	}
	r = r.WithScratch()
	rows := Items(r)
	falls := r.Scratch.Floats(len(rows))
	if !m.Attribute(r, item, rows, 1, falls) {
		return none, false
	}
	best := Weightiest(rows, falls, item)
	if best < 0 {
		return none, false
	}
	items, score := r.Scratch.Rows(1), r.Scratch.Floats(1)
	items[0] = item
	m.Score(r, items, score)
	if falls[best] < certain*max(score[0], -score[0]) {
		return w.Confirm(m, r, item, rows[best:best+1])
	}
	return models.Evidence{Item: rows[best], Type: w.Strongest(history, rows[best]), Contribution: falls[best]}, true
}

// Weightiest is the place in rows of that, other than item, without which a
// score falls most, by falls; -1 where it falls without none.
func Weightiest(rows []features.Row, falls []float32, item features.Row) int {
	best := -1
	for i, fall := range falls {
		if fall > 0 && rows[i] != item && (best < 0 || fall > falls[best]) {
			best = i
		}
	}
	return best
}

// AttributedScorer is what Attributed explains.
type AttributedScorer interface {
	models.Scorer
	models.Attributor
}

// Did is what the shopper did with row that says most, the newest of
// equals.
func Did(history []features.Interaction, row features.Row) features.EventType {
	rank := func(t features.EventType) int {
		switch t {
		case features.Purchase:
			return 3
		case features.CartAdd, features.WishAdd, features.Like:
			return 2
		}
		return 1
	}
	best := features.EventUnknown
	for i := range history {
		if t := history[i].Type; history[i].Row == row && t.Interest() && (best == features.EventUnknown || rank(t) >= rank(best)) {
			best = t
		}
	}
	return best
}
