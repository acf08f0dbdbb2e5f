package shopper

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"
)

// Backend is the API of the server that is judged.
type Backend interface {
	Stock(ctx context.Context, shop string, items []*attunev1.Item) error
	Recommend(ctx context.Context, r *attunev1.RecommendRequest) (*attunev1.RecommendResponse, error)
	Collect(ctx context.Context, shop string, events []*attunev1.Event) error
}

// visit is one session under way.
type visit struct {
	w        *World
	b        Backend
	random   *rand.Rand
	shopper  int
	user, id string // user "": nobody known
	bot      bool
	progress float64
	events   int
	has      map[string]bool
	out      *tally
}

// The chances of what follows a click.
const (
	intoCart   = .35
	buysCart   = .7
	returns    = .04
	returnsBad = .25 // what disappoints
)

// session goes through a shop once: home, an item's page, the cart, and home
// again.
func (w *World) session(ctx context.Context, b Backend, n int, progress float64, out *tally) error {
	random := rand.New(rand.NewPCG(w.o.Seed^0x5eed, uint64(w.o.Skip+n))) // #nosec G115 -- not negative
	v := &visit{
		w: w, b: b, random: random, shopper: random.IntN(w.o.Shoppers), bot: random.Float64() < w.o.Bots,
		id: fmt.Sprintf("%ssession-%d", w.o.Run, w.o.Skip+n), progress: progress, has: map[string]bool{}, out: out,
	}
	if v.bot {
		v.id = fmt.Sprintf("%sbot-%d", w.o.Run, w.o.Skip+n)
	} else if random.Float64() >= w.o.Anon {
		v.user = fmt.Sprintf("sim-%d", v.shopper)
	}
	out.sessions++
	if v.bot {
		out.bots++
	}
	return v.walk(ctx)
}

func (v *visit) walk(ctx context.Context) error {
	opened := ""
	home, err := v.look(ctx, &attunev1.RecommendRequest{Surface: "home"})
	if err != nil {
		return err
	}
	if home.clicked != "" {
		opened = home.clicked
	} else if home.unserved || v.random.Float64() < v.w.o.Organic {
		opened = v.w.ItemID(v.w.find(v.random, v.shopper, v.progress))
	}
	if opened == "" {
		return nil
	}
	began := time.Now()
	if err := v.did(ctx, attunev1.EventType_EVENT_TYPE_VIEW, opened, nil); err != nil {
		return err
	}
	if err := v.fresh(ctx, home, began); err != nil {
		return err
	}
	var cart []string
	take := func(item string, from *seen) error {
		if v.bot || v.random.Float64() >= v.w.Carts(v.shopper, item, v.progress) {
			return nil
		}
		cart = append(cart, item)
		return v.did(ctx, attunev1.EventType_EVENT_TYPE_CART_ADD, item, from)
	}
	if err := take(opened, home); err != nil {
		return err
	}
	page, err := v.look(ctx, &attunev1.RecommendRequest{Surface: "item", Item: opened})
	if err != nil {
		return err
	}
	if page.clicked != "" {
		if err := take(page.clicked, page); err != nil {
			return err
		}
	}
	if len(cart) == 0 {
		return nil
	}
	more, err := v.look(ctx, &attunev1.RecommendRequest{Surface: "cart", Cart: cart})
	if err != nil {
		return err
	}
	if more.clicked != "" {
		if err := take(more.clicked, more); err != nil {
			return err
		}
	}
	if v.random.Float64() >= buysCart {
		return nil
	}
	for _, item := range cart {
		if err := v.buys(ctx, item, home, page, more); err != nil {
			return err
		}
	}
	return nil
}

// buys is a purchase, credited to where the item was clicked, and perhaps its
// return.
func (v *visit) buys(ctx context.Context, item string, lists ...*seen) error {
	var from *seen
	for _, l := range lists {
		if l.clicked == item {
			from = l
			v.out.of(l.surface, l.release, l.source).Purchases++
		}
	}
	v.out.purchases++
	if err := v.did(ctx, attunev1.EventType_EVENT_TYPE_PURCHASE, item, from); err != nil {
		return err
	}
	back := returns
	if v.w.items[v.w.byID[item]].quality < -1 {
		back = returnsBad
	}
	if v.random.Float64() >= back {
		return nil
	}
	v.out.returns++
	if from != nil {
		v.out.of(from.surface, from.release, from.source).Returns++
	}
	return v.did(ctx, attunev1.EventType_EVENT_TYPE_RETURN, item, from)
}

// seen is an answer and what came of it.
type seen struct {
	surface, release, id string
	items                []*attunev1.RecommendedItem
	clicked, source      string
	position             int
	unserved             bool // the server had no release to answer with
}

// look asks, looks through the answer from the top, and clicks at most once;
// bots click all of it.
func (v *visit) look(ctx context.Context, r *attunev1.RecommendRequest) (*seen, error) {
	s := &seen{surface: r.GetSurface()}
	resp, err := v.ask(ctx, r)
	if err != nil {
		if status.Code(err) == codes.FailedPrecondition {
			s.unserved = true
			v.out.unserved++
			return s, nil
		}
		return nil, err
	}
	s.release, s.id, s.items = resp.GetRelease(), resp.GetRecommendationId(), resp.GetItems()
	if resp.GetDegraded() {
		v.out.degraded++
	}
	var events []*attunev1.Event
	chance := 0.
	for k, it := range s.items {
		likes := v.w.Likes(v.shopper, it.GetItem(), v.progress)
		examine := v.w.examine[min(k, len(v.w.examine)-1)]
		events = append(events, v.event(attunev1.EventType_EVENT_TYPE_IMPRESSION, it.GetItem(), s, k))
		row := v.out.of(s.surface, s.release, it.GetSource())
		clicks := v.random.Float64() < examine*likes // drawn for every place: what follows must not shift the rest
		if v.bot {
			events = append(events, v.event(attunev1.EventType_EVENT_TYPE_CLICK, it.GetItem(), s, k))
			continue
		}
		chance += examine * likes
		row.Impressions++
		row.chance += examine * likes
		if clicks && s.clicked == "" {
			s.clicked, s.source, s.position = it.GetItem(), it.GetSource(), k
			row.Clicks++
			events = append(events, v.event(attunev1.EventType_EVENT_TYPE_CLICK, it.GetItem(), s, k))
		}
	}
	if !v.bot {
		v.out.answer(s.surface, s.release, chance, v.w.Best(v.shopper, v.has, v.progress), s.clicked != "")
	}
	if len(events) == 0 {
		return s, nil
	}
	return s, v.b.Collect(ctx, v.w.o.Shop, events)
}

func (v *visit) ask(ctx context.Context, r *attunev1.RecommendRequest) (*attunev1.RecommendResponse, error) {
	r.Shop, r.User, r.Session, r.Limit = v.w.o.Shop, v.user, v.id, int32(v.w.o.Limit) // #nosec G115 -- at most 200
	r.Context = &attunev1.Context{Market: v.w.o.Markets[v.w.Market(v.shopper)]}
	return v.b.Recommend(ctx, r)
}

// fresh asks again for what was asked before the view, and notes how long it
// took from sending the event to holding an answer that it changed.
func (v *visit) fresh(ctx context.Context, before *seen, began time.Time) error {
	if before.unserved || v.bot {
		return nil
	}
	resp, err := v.ask(ctx, &attunev1.RecommendRequest{Surface: before.surface})
	if err != nil {
		return err
	}
	v.out.fresh(time.Since(began), !same(before.items, resp.GetItems()))
	return nil
}

func same(a, b []*attunev1.RecommendedItem) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].GetItem() != b[i].GetItem() || a[i].GetScore() != b[i].GetScore() {
			return false
		}
	}
	return true
}

// event is the next event of the session; position counts from 0.
func (v *visit) event(t attunev1.EventType, item string, from *seen, position int) *attunev1.Event {
	e := &attunev1.Event{
		Id: fmt.Sprintf("%s-%d", v.id, v.events), Type: t, User: v.user, Session: v.id, Item: item,
		Context: &attunev1.Context{Market: v.w.o.Markets[v.w.Market(v.shopper)]},
	}
	v.events++
	if from != nil {
		e.Surface, e.RecommendationId, e.Position = from.surface, from.id, int32(position+1) // #nosec G115 -- at most 200
	}
	if t == attunev1.EventType_EVENT_TYPE_PURCHASE || t == attunev1.EventType_EVENT_TYPE_RETURN {
		price := v.w.items[v.w.byID[item]].price
		e.Quantity, e.Price = 1, &attunev1.Money{Currency: "EUR", Micros: price * 10_000}
	}
	return e
}

// did collects one event; from is the list the item was clicked in, if any.
func (v *visit) did(ctx context.Context, t attunev1.EventType, item string, from *seen) error {
	if from != nil && from.clicked != item {
		from = nil
	}
	position := 0
	if from != nil {
		position = from.position
	}
	return v.b.Collect(ctx, v.w.o.Shop, []*attunev1.Event{v.event(t, item, from, position)})
}
