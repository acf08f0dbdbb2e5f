package replay

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models/linalg"
	"github.com/attune-rec/attune/models/pipeline"
)

// outcome is what became of one session.
type outcome struct {
	asked      bool // it has something to be found
	cold       bool // nothing was known of the shopper
	stage      string
	bought     int // items that were to be found
	missing    int // of them, those that the subject does not know
	fresh      int // of them, those not bought before
	hits       []bool
	hitsFresh  []bool
	answer     []answered
	degraded   []string
	considered int
	tested     int     // reasons that rest on the history
	held       int     // of them, those without which the score is lower
	reach      float64 // share of the ranker's best that were candidates; NaN: undefined
}

type answered struct {
	row    features.Row
	source string
	reason pipeline.ReasonKind
}

// player's worker is the memory of one goroutine.
type worker struct {
	p       *player
	scratch features.Scratch
	ans     pipeline.Answer
	allowed *features.Bitmap
	bits    features.Bitmap
	rows    []features.Row
	all     []pipeline.Candidate
	found   []pipeline.Candidate
	scores  []float32
}

func (p *player) play(ctx context.Context, log Store, shop features.ShopID, o *Options) error {
	workers := o.Workers
	if workers <= 0 {
		workers = linalg.Workers()
	}
	ws := make([]worker, workers)
	for i := range ws {
		ws[i] = worker{p: p, allowed: features.NewBitmap(p.subject.Items.Len())}
	}
	done := 0
	told := func(n int) {
		done += n
		if o.Progress != nil && (done%64 == 0 || n > 1) {
			o.Progress(done, len(p.cases))
		}
	}
	if p.set != nil { // signals are those of the session's time: one after the other
		return p.tape.walk(ctx, log, shop, p.subject.Items, p.set, func(i int, k known) error {
			told(1)
			return ws[0].play(ctx, shop, p.tape.visits[i], k, &p.cases[i])
		})
	}
	var batch []int // of visits that know the same
	var of known
	flush := func() error {
		err := p.together(ctx, shop, batch, of, ws)
		told(len(batch))
		batch = batch[:0]
		return err
	}
	err := p.tape.walk(ctx, log, shop, p.subject.Items, nil, func(i int, k known) error {
		if k.ref != of.ref {
			if err := flush(); err != nil {
				return err
			}
			of = k
		}
		batch = append(batch, i)
		return nil
	})
	if err != nil {
		return err
	}
	return flush()
}

// together answers visits, by number, all at once.
func (p *player) together(ctx context.Context, shop features.ShopID, visits []int, k known, ws []worker) error {
	var mu sync.Mutex
	var failed error
	linalg.ParallelN(len(visits), 8, len(ws), func(id, lo, hi int) {
		for _, i := range visits[lo:hi] {
			if ctx.Err() != nil {
				return
			}
			if err := ws[id].play(ctx, shop, p.tape.visits[i], k, &p.cases[i]); err != nil {
				mu.Lock()
				failed = err
				mu.Unlock()
				return
			}
		}
	})
	if err := ctx.Err(); err != nil {
		return err
	}
	return failed
}

// play answers one session. What stands in the request beside the shopper
// depends on the surface: on an item page the first item bought, at a cart the
// first half; only the rest is then to be found.
func (w *worker) play(ctx context.Context, shop features.ShopID, v *visit, k known, out *outcome) error {
	items := w.p.subject.Items
	r, given := w.request(shop, v, k)
	if r == nil {
		return nil
	}
	out.asked, out.cold, out.stage = true, len(r.Shopper.Recent) == 0, noStage
	if p := r.Shopper.Profile; p != nil && p.Lifecycle != "" {
		out.stage = p.Lifecycle
	}
	before := map[features.Row]bool{}
	for i := range r.Shopper.Recent {
		if r.Shopper.Recent[i].Type == features.Purchase {
			before[r.Shopper.Recent[i].Row] = true
		}
	}
	wanted := map[features.Row]bool{} // and whether it is new to the shopper
	for _, id := range v.items[given:] {
		out.bought++
		row, ok := items.Row(id)
		if !ok {
			out.missing++
			out.fresh++
			continue
		}
		wanted[row] = !before[row]
		if !before[row] {
			out.fresh++
		}
	}
	if err := w.reach(ctx, r, out); err != nil {
		return err
	}
	w.scratch.Reset()
	if err := w.p.pipe.Answer(ctx, r, &w.ans); err != nil {
		return fmt.Errorf("answer a session of %s: %w", v.start.Format("2006-01-02"), err)
	}
	out.considered = w.ans.Considered
	for _, d := range w.ans.Degraded {
		out.degraded = append(out.degraded, d.Component+" "+d.Why)
	}
	for i := range w.ans.Items {
		a := &w.ans.Items[i]
		fresh, hit := wanted[a.Row]
		out.hits, out.hitsFresh = append(out.hits, hit), append(out.hitsFresh, hit && fresh)
		out.answer = append(out.answer, answered{row: a.Row, source: a.Source, reason: a.Reason.Kind})
	}
	if w.p.reasons.Load() > 0 {
		return w.test(ctx, r, out)
	}
	return nil
}

// test takes the evidence of each reason out of the history and ranks the same
// candidates again: the reason holds where the item's score is lower.
func (w *worker) test(ctx context.Context, r *features.Request, out *outcome) error {
	given := slices.Clone(w.ans.Items)
	var err error
	if w.found, err = w.p.pipe.Propose(ctx, r, &w.ans, w.found[:0]); err != nil {
		return fmt.Errorf("propose: %w", err)
	}
	place := map[features.Row]int{}
	for i, c := range w.found {
		place[c.Row] = i
	}
	before := slices.Clone(w.found)
	if err := w.p.pipe.Score(ctx, r, before); err != nil {
		return err
	}
	without := map[features.Row][]pipeline.Candidate{} // by evidence
	for _, a := range given {
		why := a.Reason.Item
		at, proposed := place[a.Row]
		if why == features.NoRow || why == a.Row || a.Reason.Kind == "" || !proposed ||
			!slices.ContainsFunc(r.Shopper.Recent, func(it features.Interaction) bool { return it.Row == why }) || w.p.reasons.Add(-1) < 0 {
			continue
		}
		after := without[why]
		if after == nil {
			again, shopper := *r, *r.Shopper
			shopper.Recent = slices.DeleteFunc(slices.Clone(shopper.Recent), func(it features.Interaction) bool { return it.Row == why })
			again.Shopper = &shopper
			after = slices.Clone(w.found)
			if err := w.p.pipe.Score(ctx, &again, after); err != nil {
				return err
			}
			without[why] = after
		}
		out.tested++
		if b, c := before[at].Score, after[at].Score; c < b || c != c {
			out.held++
		}
	}
	return nil
}

// request is what a session asks, with the number of its items that stand in
// the request; nil where nothing is left to be found.
func (w *worker) request(shop features.ShopID, v *visit, k known) (*features.Request, int) {
	items := w.p.subject.Items
	given := 0
	switch w.p.subject.Recipe.Surface {
	case features.SurfaceItem:
		given = 1
	case features.SurfaceCart:
		given = (len(v.items) + 1) / 2
	}
	if given >= len(v.items) {
		return nil, 0
	}
	r := &features.Request{
		Query: features.Query{Shop: shop, Surface: w.p.subject.Recipe.Surface, Market: v.market, Now: v.start, Limit: limit},
		Item:  features.NoRow, Catalog: items, Scratch: &w.scratch, Eligible: w.made(v), State: k.state,
	}
	r.Shopper = w.p.tape.shopper(v, items, k.ref)
	for _, id := range v.items[:given] {
		row, ok := items.Row(id)
		if !ok {
			continue
		}
		if r.Surface == features.SurfaceItem {
			r.Item = row
		} else {
			r.Cart = append(r.Cart, row)
		}
	}
	return r, given
}

// made is the items that were there when the session began.
func (w *worker) made(v *visit) *features.Bitmap {
	w.allowed.Fill()
	for _, row := range w.p.tape.newest {
		if w.p.tape.since[row].Before(v.start) {
			break
		}
		w.allowed.Clear(row)
	}
	return w.allowed
}

// reach compares the candidates with the best of all eligible items by the same
// ranker: the share of its first ten that the sources brought. Items of equal
// score stand for one another.
func (w *worker) reach(ctx context.Context, r *features.Request, out *outcome) error {
	out.reach = math.NaN()
	if w.p.ranker == nil {
		return nil
	}
	w.p.subject.Items.Eligible(r.Market, r.Now, &w.bits)
	w.bits.And(r.Eligible)
	all := *r
	all.Eligible = &w.bits
	w.scratch.Reset()
	for _, f := range w.p.filters {
		f.Mask(&all, &w.bits)
	}
	w.rows = w.bits.AppendRows(w.rows[:0])
	if len(w.rows) == 0 {
		return nil
	}
	w.all = w.all[:0]
	for _, row := range w.rows {
		w.all = append(w.all, pipeline.Candidate{Row: row})
	}
	if err := w.p.ranker.Rank(ctx, &all, w.all); err != nil {
		return fmt.Errorf("rank every item: %w", err)
	}
	score := make(map[features.Row]float32, len(w.all))
	w.scores = w.scores[:0]
	for i := range w.all {
		if s := w.all[i].Score; s == s {
			score[w.all[i].Row] = s
			w.scores = append(w.scores, s)
		}
	}
	slices.Sort(w.scores)
	best := min(limit, len(w.scores))
	if best == 0 {
		return nil
	}
	least := w.scores[len(w.scores)-best]
	w.scratch.Reset()
	var err error
	if w.found, err = w.p.pipe.Propose(ctx, r, &w.ans, w.found[:0]); err != nil {
		return fmt.Errorf("propose: %w", err)
	}
	n := 0
	for i := range w.found {
		if s, ok := score[w.found[i].Row]; ok && s >= least {
			n++
		}
	}
	out.reach = float64(min(n, best)) / float64(best)
	return nil
}
