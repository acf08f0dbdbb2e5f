package recommend

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/models/pipeline"
	"github.com/attune-rec/attune/server/breaker"
	"github.com/attune-rec/attune/server/lately"
	"github.com/attune-rec/attune/server/reason"
	"github.com/attune-rec/attune/server/shopper"
)

// Options are what a Recommender works with. Releases and Shoppers are needed.
type Options struct {
	Releases Releases
	Shoppers Shoppers
	Journal  Journal          // nil: nothing is recorded
	Lately   Lately           // nil: nothing is remembered of earlier answers
	States   States           // nil: no signal remembers anything
	Words    *reason.Words    // nil: made
	Observe  func(Outcome)    // told what became of every question to Recommend; nil: nobody
	Shadow   Shadow           // scores beside what is served; the zero value: nothing does
	Parallel int              // requests of a batch answered at once; 0: 4
	Clock    func() time.Time // nil: time.Now
	Logger   *slog.Logger     // nil: slog.Default
}

// Recommender answers. It is safe for concurrent use.
type Recommender struct {
	o     Options
	pool  sync.Pool // of *work
	pages *lru.Cache[string, *rowsByHash]

	asked     sync.Map      // features.ShopID -> *asked
	shadowing chan struct{} // has a place for each question under way
	shadows   sync.WaitGroup
}

// work is the memory of one request.
type work struct {
	req     features.Request
	scratch features.Scratch
	cart    []features.Row
	exclude []features.Row
	rows    []features.Row
	lately  lately.View
}

// New returns a recommender.
func New(o Options) (*Recommender, error) {
	if o.Releases == nil || o.Shoppers == nil {
		return nil, errors.New("recommender: releases and shoppers are needed")
	}
	if o.Words == nil {
		o.Words = reason.New()
	}
	if o.Parallel <= 0 {
		o.Parallel = 4
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	pages, err := lru.New[string, *rowsByHash](releasesIndexed)
	if err != nil {
		return nil, err
	}
	r := &Recommender{o: o, pages: pages, shadowing: make(chan struct{}, 1)}
	r.pool.New = func() any { return new(work) }
	return r, nil
}

// Recommend fills ans with the items that suit the query best. It fails with
// ErrNoRelease, a SurfaceError, ErrPage, or the context's error; whatever else
// goes wrong degrades the answer.
func (rec *Recommender) Recommend(ctx context.Context, q *Query, ans *Answer) (err error) {
	key := q.User
	if key.IsZero() {
		key = q.Session
	}
	rel, err := rec.o.Releases.Acquire(ctx, q.Shop, key)
	if err != nil {
		return err
	}
	defer rel.Done()
	if rec.o.Observe != nil {
		began := time.Now()
		defer func() { rec.observe(q, rel.Version(), time.Since(began), ans, err) }()
	}
	surface := surfaceOf(q)
	p := rel.Pipeline(surface)
	if p == nil {
		return &SurfaceError{Surface: surface, Known: rel.Surfaces()}
	}
	w := rec.pool.Get().(*work)
	defer rec.pool.Put(w)
	items := rel.Catalog()
	who, lost := rec.shopper(ctx, q, rel, items)
	if err := rec.request(w, q, surface, rel, items, who); err != nil {
		return err
	}
	rec.recall(w, rel)
	if err := p.Answer(ctx, &w.req, &ans.raw); err != nil {
		return err
	}
	rec.remember(w, rel, ans)
	ans.ID, ans.Release = newID(w.req.Now), rel.Version()
	ans.Degraded = append(ans.Degraded[:0], ans.raw.Degraded...)
	if lost != "" {
		ans.Degraded = append(ans.Degraded, pipeline.Degradation{Component: "shopper", Why: lost})
	}
	if q.Item != "" && w.req.Item == features.NoRow {
		ans.Degraded = append(ans.Degraded, pipeline.Degradation{Component: "item", Why: "missing"})
	}
	rec.word(ans, q, items)
	ans.Seen, ans.Of = next(q, ans), of(q, who)
	rec.record(q, surface, who, w.req.Now, ans)
	rec.shadow(q, surface, rel, ans)
	rec.note(q, surface)
	w.req = features.Request{}
	return nil
}

func surfaceOf(q *Query) string {
	switch {
	case q.Surface != "":
		return q.Surface
	case q.Item != "":
		return features.SurfaceItem
	case len(q.Cart) > 0:
		return features.SurfaceCart
	}
	return features.SurfaceHome
}

// shopper is who asks; lost is why the store could not tell: the answer is then
// one for nobody.
func (rec *Recommender) shopper(ctx context.Context, q *Query, rel Release, items features.Catalog) (who *features.Shopper, lost string) {
	who, err := rec.o.Shoppers.Get(ctx, q.Shop, q.User, q.Session, shopper.View{Release: rel.Version(), Items: items, Market: q.Market})
	switch {
	case err == nil:
		return who, ""
	case errors.Is(err, breaker.ErrOpen):
		return nil, "open" // it was said when it opened
	case ctx.Err() == nil:
		rec.o.Logger.ErrorContext(ctx, "shopper's state could not be read; the answer is not personal", "shop", q.Shop, "error", err)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, "timeout"
	}
	return nil, "error"
}

func (rec *Recommender) request(w *work, q *Query, surface string, rel Release, items features.Catalog, who *features.Shopper) error {
	w.cart, w.exclude = appendRows(w.cart[:0], items, q.Cart), appendRows(w.exclude[:0], items, q.Exclude)
	if q.Seen != nil {
		var err error
		if w.exclude, err = rec.appendSeen(w.exclude, q.Seen, rel.Version(), items); err != nil {
			return err
		}
	}
	row := features.NoRow
	if q.Item != "" {
		if found, ok := items.Row(q.Item); ok {
			row = found
		}
	}
	w.req = features.Request{
		Query: features.Query{
			Shop: q.Shop, Surface: surface, Market: q.Market, Locale: q.Locale, Currency: q.Currency, Channel: q.Channel, Device: q.Device,
			Text: q.Text, Now: rec.o.Clock().UTC(), Limit: q.Limit, PriceFrom: q.PriceFrom, PriceTo: q.PriceTo, Categories: q.Categories,
		},
		Shopper: who, Item: row, Cart: w.cart, Exclude: w.exclude, Catalog: items, Scratch: &w.scratch,
	}
	if rec.o.States != nil {
		w.req.State = rec.o.States.State(q.Shop)
	}
	return nil
}

func appendRows(dst []features.Row, items features.Catalog, ids []string) []features.Row {
	for _, id := range ids {
		if row, ok := items.Row(id); ok {
			dst = append(dst, row)
		}
	}
	return dst
}

// word says what was answered in ids and words.
func (rec *Recommender) word(ans *Answer, q *Query, items features.Catalog) {
	ans.Items = ans.Items[:0]
	lang := rec.o.Words.Language(q.Locale)
	for i := range ans.raw.Items {
		a := &ans.raw.Items[i]
		out := Item{ID: items.ID(a.Row), Score: a.Score, Source: a.Source, Reason: a.Reason, Sponsored: a.Sponsored}
		if it := items.Item(a.Row); it != nil {
			out.Title, out.Price = it.TitleIn(q.Locale), it.PriceIn(q.Market)
			out.Sponsored = a.Sponsored || it.Sponsor != "" // wherever it stands, and whatever put it there
		}
		if a.Reason.Kind != "" {
			title := ""
			if a.Reason.Item != features.NoRow {
				out.Because = items.ID(a.Reason.Item)
				title = out.Because
				if it := items.Item(a.Reason.Item); it != nil && it.TitleIn(q.Locale) != "" {
					title = it.TitleIn(q.Locale)
				}
			}
			out.Text = rec.o.Words.Text(lang, a.Reason, title)
		}
		ans.Items = append(ans.Items, out)
	}
}

// of is whose history or profile an answer could rest on.
func of(q *Query, who *features.Shopper) features.UserKey {
	switch {
	case who == nil || !who.Consent.Has(features.Personalisation) || len(who.Recent) == 0 && who.Hidden == nil && who.Profile == nil:
		return features.UserKey{}
	case q.User.IsZero():
		return q.Session
	}
	return q.User
}

// record writes down what was answered. Whoever did not agree to figures is
// not named.
func (rec *Recommender) record(q *Query, surface string, who *features.Shopper, now time.Time, ans *Answer) {
	if rec.o.Journal == nil {
		return
	}
	s := store.Served{
		Recommendation: ans.ID, Time: now, Surface: surface, Market: q.Market, Release: ans.Release, Page: q.Item, Cart: q.Cart,
		Items: make([]store.ServedItem, len(ans.Items)),
	}
	if who != nil && who.Consent.Has(features.Analytics) {
		s.User, s.Session = q.User, q.Session
	}
	for i := range ans.Items {
		it := &ans.Items[i]
		s.Items[i] = store.ServedItem{Item: it.ID, Source: it.Source, Score: it.Score, Propensity: ans.raw.Items[i].Propensity}
	}
	rec.o.Journal.Put(q.Shop, s)
}
