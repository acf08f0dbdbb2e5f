package recommend

import (
	"context"
	"fmt"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models/pipeline"
)

// Trial is how a query is answered under some rules.
type Trial struct {
	Items    []string
	Degraded []pipeline.Degradation
	Took     time.Duration
}

// Steered is a pipeline that can answer under other rules than its own.
type Steered interface {
	AnswerWith(ctx context.Context, r *features.Request, rules pipeline.Steerer, ans *pipeline.Answer) error
}

// Try answers a query once under each of the rules, by one release and for one
// state of the shopper, and passes the request they saw to look, which must not
// keep it. Nothing is recorded. It fails as Recommend does.
func (rec *Recommender) Try(ctx context.Context, q *Query, rules []pipeline.Steerer, look func(*features.Request)) ([]Trial, error) {
	key := q.User
	if key.IsZero() {
		key = q.Session
	}
	rel, err := rec.o.Releases.Acquire(ctx, q.Shop, key)
	if err != nil {
		return nil, err
	}
	defer rel.Done()
	surface := surfaceOf(q)
	p := rel.Pipeline(surface)
	if p == nil {
		return nil, &SurfaceError{Surface: surface, Known: rel.Surfaces()}
	}
	steered, ok := p.(Steered)
	if !ok {
		return nil, fmt.Errorf("pipeline of surface %q takes no rules", surface)
	}
	w := rec.pool.Get().(*work)
	defer rec.pool.Put(w)
	items := rel.Catalog()
	who, _ := rec.shopper(ctx, q, rel, items)
	if err := rec.request(w, q, surface, rel, items, who); err != nil {
		return nil, err
	}
	defer func() { w.req = features.Request{} }()
	rec.recall(w, rel)
	out := make([]Trial, len(rules))
	var ans pipeline.Answer
	for i := range rules {
		began := time.Now()
		if err := steered.AnswerWith(ctx, &w.req, rules[i], &ans); err != nil {
			return nil, err
		}
		out[i].Took = time.Since(began)
		out[i].Degraded = append(out[i].Degraded, ans.Degraded...)
		for j := range ans.Items {
			out[i].Items = append(out[i].Items, items.ID(ans.Items[j].Row))
		}
	}
	if look != nil {
		look(&w.req)
	}
	return out, nil
}

// recall adds to the request what was answered lately.
func (rec *Recommender) recall(w *work, rel Release) {
	if rec.o.Lately != nil {
		rec.o.Lately.Fill(&w.req, rel.Version(), &w.lately)
	}
}

// remember notes what was answered just now.
func (rec *Recommender) remember(w *work, rel Release, ans *Answer) {
	if rec.o.Lately == nil {
		return
	}
	w.rows = w.rows[:0]
	for i := range ans.raw.Items {
		w.rows = append(w.rows, ans.raw.Items[i].Row)
	}
	rec.o.Lately.Answered(&w.req, rel.Version(), w.rows)
}
