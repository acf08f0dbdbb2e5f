package replay

import (
	"context"
	"fmt"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/models/ltr"
)

// Shelf has the records of answers; features/store is one.
type Shelf interface {
	ScanServed(ctx context.Context, shop features.ShopID, from, to time.Time, f func(*store.Served) error) error
}

// led is what an answer led to, by the log.
type led struct {
	seq   int64           // of the first event that names the answer
	seen  map[string]bool // items of which an impression came; nil: none came, and all are taken to be seen
	taken map[string]bool
}

// placed is an item of an answer, at the place of its index.
type placed struct {
	item, source string
	seen         bool
}

// note takes an event in that an answer led to.
func (t *tape) note(e *features.Event) {
	l := t.led[e.Recommendation]
	if l == nil {
		l = &led{seq: e.Seq, taken: map[string]bool{}}
		t.led[e.Recommendation] = l
	}
	switch {
	case e.Type == features.Impression:
		if l.seen == nil {
			l.seen = map[string]bool{}
		}
		l.seen[e.Item] = true
	case e.Type.Interest():
		l.taken[e.Item] = true
	}
}

// shelve makes visits of the answers of a surface that were followed by
// something of theirs.
func (t *tape) shelve(ctx context.Context, shelf Shelf, shop features.ShopID, surface string, who *resolver, o *Options) error {
	err := shelf.ScanServed(ctx, shop, o.From, o.To, func(s *store.Served) error {
		l := t.led[s.Recommendation]
		if l == nil || len(l.taken) == 0 || s.Surface != surface || s.Page != "" || len(s.Cart) > 0 {
			return nil
		}
		user, err := who.of(&features.Event{User: s.User, Session: s.Session})
		if err != nil || user.IsZero() {
			return err
		}
		v := &visit{user: user, seq: l.seq, start: s.Time, last: s.Time, market: s.Market}
		for i := range s.Items {
			item := s.Items[i].Item
			if l.taken[item] {
				v.items = append(v.items, item)
			}
			v.shown = append(v.shown, placed{item: item, source: s.Items[i].Source, seen: l.seen == nil || l.seen[item] || l.taken[item]})
		}
		if len(v.items) > 0 {
			t.visits = append(t.visits, v)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read the answers of shop %s: %w", shop, err)
	}
	return nil
}

// placedList is what a ranker would have seen of the items that a shopper was
// shown, with their places, and which of them were taken. Inputs are worked out
// over all that is proposed now, as when it was answered.
func (w *worker) placedList(r *features.Request, v *visit, inputs *ltr.Inputs, sources []string) ltr.List {
	index := map[features.Row]int{}
	w.rows = w.rows[:0]
	var from []uint64
	for i, c := range w.found {
		index[c.Row] = i
		w.rows, from = append(w.rows, c.Row), append(from, c.From)
	}
	var list ltr.List
	var at []int
	for place, p := range v.shown {
		row, ok := w.p.subject.Items.Row(p.item)
		if !ok || !p.seen {
			continue
		}
		i, proposed := index[row]
		if !proposed { // it was found by what has changed since
			i = len(w.rows)
			w.rows, from = append(w.rows, row), append(from, bit(sources, p.source))
		}
		at = append(at, i)
		list.Position = append(list.Position, int32(place)) // #nosec G115 -- an answer is short
		gain := float32(0)
		for _, taken := range v.items {
			if taken == p.item {
				gain = 1
			}
		}
		list.Gain = append(list.Gain, gain)
	}
	width := inputs.Width()
	all := make([]float32, len(w.rows)*width)
	w.scratch.Reset()
	inputs.Fill(r, w.rows, from, all)
	for _, i := range at {
		list.X = append(list.X, all[i*width:(i+1)*width]...)
	}
	return list
}

// bit is that of a source in From; 0 where the recipe has it no more.
func bit(sources []string, name string) uint64 {
	for i, s := range sources {
		if s == name {
			return 1 << i
		}
	}
	return 0
}
