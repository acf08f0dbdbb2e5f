package replay

import (
	"context"
	"fmt"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models/ltr"
)

// Lists puts the sessions to the subject's sources and works out, of every
// candidate, what a ranker would have seen of it and whether it was bought: what
// a ranker learns from. Where inputs has signals, they are those of the time.
// Where the log is a Shelf too, answers of the surface that something was taken
// of are lists as well, with the place of each item that was seen; answers to
// pages and carts are not. The lists come in the order of the log.
func Lists(ctx context.Context, log Store, shop features.ShopID, s Subject, inputs *ltr.Inputs, o Options) ([]ltr.List, error) {
	if surface := s.Recipe.Surface; surface != features.SurfaceItem && surface != features.SurfaceCart {
		o.shown = surface
	}
	t, err := record(ctx, log, shop, s.Items, &o)
	if err != nil {
		return nil, err
	}
	if len(t.visits) == 0 {
		return nil, fmt.Errorf("%w: shop %s has no purchase to learn a ranker from", ErrNothing, shop)
	}
	p, err := newPlayer(s, t)
	if err != nil {
		return nil, err
	}
	defer p.close()
	w := worker{p: p, allowed: features.NewBitmap(s.Items.Len())}
	var lists []ltr.List
	n := 0
	err = t.walk(ctx, log, shop, s.Items, inputs.Set(), func(i int, k known) error {
		if n++; o.Progress != nil && n%64 == 0 {
			o.Progress(n, len(t.visits))
		}
		list, err := w.list(ctx, shop, t.visits[i], k, inputs)
		if len(list.Gain) > 0 {
			lists = append(lists, list)
		}
		return err
	})
	return lists, err
}

// list is one session's; without candidates where none of them was bought.
func (w *worker) list(ctx context.Context, shop features.ShopID, v *visit, k known, inputs *ltr.Inputs) (ltr.List, error) {
	r, given := w.request(shop, v, k)
	if r == nil {
		return ltr.List{}, nil
	}
	wanted := map[features.Row]bool{}
	for _, id := range v.items[given:] {
		if row, ok := w.p.subject.Items.Row(id); ok {
			wanted[row] = true
		}
	}
	w.scratch.Reset()
	var err error
	if w.found, err = w.p.pipe.Propose(ctx, r, &w.ans, w.found[:0]); err != nil {
		return ltr.List{}, fmt.Errorf("propose: %w", err)
	}
	if v.shown != nil {
		names := make([]string, len(w.p.subject.Recipe.Sources))
		for i := range names {
			names[i] = w.p.subject.Recipe.Sources[i].Name
		}
		return w.placedList(r, v, inputs, names), nil
	}
	list := ltr.List{Gain: make([]float32, len(w.found))}
	w.rows = w.rows[:0]
	from, taken := make([]uint64, len(w.found)), 0
	for i, c := range w.found {
		w.rows = append(w.rows, c.Row)
		from[i] = c.From
		if wanted[c.Row] {
			list.Gain[i] = 1
			taken++
		}
	}
	if taken == 0 || taken == len(w.found) {
		return ltr.List{}, nil
	}
	list.X = make([]float32, len(w.found)*inputs.Width())
	w.scratch.Reset()
	inputs.Fill(r, w.rows, from, list.X)
	return list, nil
}
