package recommend

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/pace"
)

const (
	rehearsed = 512 // questions of a shop that a release answers before it is served
	remembers = 8   // one question in so many is among them
)

// asked is the newest of what a shop was asked, one in some. It is safe for
// concurrent use.
type asked struct {
	mu   sync.Mutex
	all  []Query
	next int // where the next goes, once all is full
}

// note keeps a question now and then, to be asked again of another release.
func (rec *Recommender) note(q *Query, surface string) {
	if rand.Uint32()%remembers != 0 { // #nosec G404 -- which ones does not matter
		return
	}
	v, ok := rec.asked.Load(q.Shop)
	if !ok {
		v, _ = rec.asked.LoadOrStore(q.Shop, new(asked))
	}
	own := *q // the caller uses its memory again
	own.Surface, own.Text, own.Seen = surface, "", nil
	own.Cart, own.Exclude, own.Categories = slices.Clone(q.Cart), slices.Clone(q.Exclude), slices.Clone(q.Categories)
	a := v.(*asked)
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.all) < rehearsed {
		a.all = append(a.all, own)
		return
	}
	a.all[a.next] = own
	a.next = (a.next + 1) % len(a.all)
}

// Forget forgets what a shopper asked.
func (rec *Recommender) Forget(shop features.ShopID, key features.UserKey) {
	v, ok := rec.asked.Load(shop)
	if !ok {
		return
	}
	a := v.(*asked)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = slices.DeleteFunc(a.all, func(q Query) bool { return q.User == key || q.Session == key })
	a.next = 0
}

// Rehearse has a release answer what its shop was asked lately, at the pace of a
// job, so that what it keeps of shoppers and items is there before anyone waits
// for it. The answers go nowhere: they are neither recorded nor remembered. It
// ends with ctx, and returns how many questions were answered.
func (rec *Recommender) Rehearse(ctx context.Context, shop features.ShopID, rel Release, job *pace.Job) (answered int) {
	v, ok := rec.asked.Load(shop)
	if !ok {
		return 0
	}
	a := v.(*asked)
	a.mu.Lock()
	all := slices.Clone(a.all)
	a.mu.Unlock()
	rec.pages.Add(rel.Version(), newRowsByHash(rel.Catalog(), job))
	for i := range all {
		if ctx.Err() != nil {
			break
		}
		if _, err := rec.ask(ctx, &all[i], all[i].Surface, rel, rehearsal); err == nil {
			answered++
		}
		job.Look()
	}
	return answered
}

// rehearsal is how long one answer may take.
const rehearsal = time.Second
