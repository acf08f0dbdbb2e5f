package recommend

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models/pipeline"
)

// Shadow has a release answer beside the one that is served, unseen: its
// answers go nowhere, what they are like is measured.
type Shadow struct {
	// Release is the shop's shadow, held until Done; false when there is none.
	// Nil: there never is one.
	Release func(shop features.ShopID) (Release, bool)
	Share   float64       // of the questions that it answers too
	Limit   time.Duration // of an answer; 0: 2 s
	Seen    func(Shadowed)
}

// Shadowed is an answer of a shadow beside the one that was given.
type Shadowed struct {
	Shop    features.ShopID
	Release string
	Surface string
	Took    time.Duration
	Overlap float64 // share of the items of the longer answer that both have; 1 when both are empty
	Empty   bool
	Missed  bool // it was not asked: one answer is under way already
	Err     error
}

// shadow has the shadow answer the same question off the request's path, one
// question at a time.
func (rec *Recommender) shadow(q *Query, surface string, rel Release, ans *Answer) {
	s := &rec.o.Shadow
	if s.Release == nil || s.Seen == nil || s.Share <= 0 || s.Share < 1 && rand.Float64() >= s.Share {
		return
	}
	shadow, ok := s.Release(q.Shop)
	if !ok {
		return
	}
	if shadow.Version() == rel.Version() {
		shadow.Done()
		return
	}
	out := Shadowed{Shop: q.Shop, Release: shadow.Version(), Surface: surface}
	select {
	case rec.shadowing <- struct{}{}:
	default:
		shadow.Done()
		out.Missed = true
		s.Seen(out)
		return
	}
	own := *q // the caller uses its memory again
	own.Cart, own.Exclude, own.Seen = slices.Clone(q.Cart), slices.Clone(q.Exclude), slices.Clone(q.Seen)
	limit := s.Limit
	if limit <= 0 {
		limit = 2 * time.Second
	}
	given := make([]string, len(ans.Items))
	for i := range ans.Items {
		given[i] = ans.Items[i].ID
	}
	rec.shadows.Go(func() {
		defer func() { <-rec.shadowing }()
		defer shadow.Done()
		began := time.Now()
		var found []string
		found, out.Err = rec.ask(context.Background(), &own, surface, shadow, limit)
		out.Took, out.Empty, out.Overlap = time.Since(began), len(found) == 0, overlap(given, found)
		s.Seen(out)
	})
}

// ask is what a release answers to a question within a time, and nothing else.
func (rec *Recommender) ask(ctx context.Context, q *Query, surface string, rel Release, limit time.Duration) (ids []string, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p) // nobody asked for this answer: nobody may miss theirs for it
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	p := rel.Pipeline(surface)
	if p == nil {
		return nil, &SurfaceError{Surface: surface, Known: rel.Surfaces()}
	}
	w := rec.pool.Get().(*work)
	defer rec.pool.Put(w)
	defer func() { w.req = features.Request{} }()
	items := rel.Catalog()
	who, _ := rec.shopper(ctx, q, rel, items)
	if err := rec.request(w, q, surface, rel, items, who); err != nil {
		return nil, err
	}
	var raw pipeline.Answer
	if err := p.Answer(ctx, &w.req, &raw); err != nil {
		return nil, err
	}
	ids = make([]string, len(raw.Items))
	for i := range raw.Items {
		ids[i] = items.ID(raw.Items[i].Row)
	}
	return ids, nil
}

// Close waits for the shadow's answers under way. Nothing may be asked after it.
func (rec *Recommender) Close() error {
	rec.shadows.Wait()
	return nil
}

func overlap(a, b []string) float64 {
	longer := max(len(a), len(b))
	if longer == 0 {
		return 1
	}
	both := 0
	for _, id := range b {
		if slices.Contains(a, id) {
			both++
		}
	}
	return float64(both) / float64(longer)
}
