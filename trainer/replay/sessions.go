package replay

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/history"
	"github.com/attune-rec/attune/features/profile"
)

// visit is one purchase session: what a shopper bought at once. The state in
// which it is answered is what the log held before its first event.
type visit struct {
	user   features.UserKey
	seq    int64 // of its first purchase
	start  time.Time
	last   time.Time
	market string
	order  string
	items  []string // distinct, in log order
	shown  []placed // of an answer that led to these items; nil: a purchase session
}

// pause ends a session where purchases name no order.
const pause = 30 * time.Minute

// past is one event of a shopper, kept small: what a history and a profile are
// folded from.
type past struct {
	seq           int64
	typ           features.EventType
	quantity      int32
	at            int64 // Unix milliseconds
	item          string
	order, market string
	device, list  string // list: the list price that it told
	price         features.Money
	value         float64
	withheld      bool // it says nothing of the shopper
}

// event is p as it was.
func (p *past) event() features.Event {
	e := features.Event{
		Seq: p.seq, Type: p.typ, Item: p.item, Time: time.UnixMilli(p.at).UTC(), Quantity: p.quantity, Order: p.order,
		Market: p.market, Device: p.device, Price: p.price, Value: p.value,
	}
	if p.list != "" {
		e.Attributes = map[string]string{profile.AttrListPrice: p.list}
	}
	return e
}

// tape is the part of a log that sessions are answered from.
type tape struct {
	visits []*visit                               // by start, ties by seq
	past   map[features.UserKey][]past            // of their shoppers, in log order
	off    map[features.UserKey]bool              // who does not want to be in figures
	agreed map[features.UserKey]features.Purposes // by shopper
	since  []time.Time                            // by row: from when the item was there
	newest []features.Row                         // by since, newest first
	sold   []int32                                // by row: purchases before the sessions
	led    map[string]*led                        // by answer; nil: answers are not read
}

// record reads the sessions that began in [from, to), and what their shoppers
// had done. Whoever did not agree to figures is left out, and so are purchases
// that are withheld.
func record(ctx context.Context, log Store, shop features.ShopID, items features.Catalog, o *Options) (*tape, error) {
	who := resolver{ctx: ctx, log: log, shop: shop, known: map[features.UserKey]features.UserKey{}}
	shelf, shown := log.(Shelf)
	shown = shown && o.shown != ""
	t := &tape{past: map[features.UserKey][]past{}, off: map[features.UserKey]bool{}, agreed: map[features.UserKey]features.Purposes{}}
	type basket struct {
		user  features.UserKey
		order string
	}
	open := map[basket]*visit{}
	if shown {
		t.led = map[string]*led{}
	}
	t.created(items)
	withheld, err := log.Withheld(ctx, shop)
	if err != nil {
		return nil, fmt.Errorf("read the sessions of shop %s: %w", shop, err)
	}
	holds := func(e *features.Event) bool { return withheld != nil && withheld(e) }
	err = log.Scan(ctx, shop, 0, 0, func(e *features.Event) error {
		if row, ok := items.Row(e.Item); ok && e.Time.Before(t.since[row]) {
			t.since[row] = e.Time
		}
		if row, ok := items.Row(e.Item); ok && e.Type == features.Purchase && e.Time.Before(o.From) && !holds(e) {
			t.sold[row]++
		}
		if shown && e.Recommendation != "" && !e.Time.Before(o.From) && e.Time.Before(o.To) && !holds(e) {
			t.note(e)
		}
		if e.Type != features.Purchase || e.Item == "" || e.Time.Before(o.From) || !e.Time.Before(o.To) || holds(e) {
			return nil
		}
		user, err := who.of(e)
		if err != nil || user.IsZero() {
			return err
		}
		in := basket{user, e.Order}
		v := open[in]
		if v == nil || !v.goesOn(e) {
			v = &visit{user: user, seq: e.Seq, start: e.Time, market: e.Market, order: e.Order}
			open[in] = v
			t.visits = append(t.visits, v)
		}
		v.last = e.Time
		if !slices.Contains(v.items, e.Item) {
			v.items = append(v.items, e.Item)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the sessions of shop %s: %w", shop, err)
	}
	if shown {
		if err := t.shelve(ctx, shelf, shop, o.shown, &who, o); err != nil {
			return nil, err
		}
	}
	for row := range t.since {
		if t.since[row].After(o.From) {
			t.newest = append(t.newest, features.Row(row)) // #nosec G115 -- rows are int32 by contract
		}
	}
	slices.SortFunc(t.newest, func(a, b features.Row) int { return t.since[b].Compare(t.since[a]) })
	if err := t.agree(ctx, log, shop); err != nil {
		return nil, err
	}
	t.sample(o)
	wanted := map[features.UserKey]int64{} // up to which event
	for _, v := range t.visits {
		wanted[v.user] = max(wanted[v.user], v.seq)
	}
	err = log.Scan(ctx, shop, 0, 0, func(e *features.Event) error {
		if e.Type == features.Impression || e.Type == features.EventUnknown || !e.Time.Before(o.To) {
			return nil
		}
		user, err := who.of(e)
		if err != nil || e.Seq >= wanted[user] {
			return err
		}
		item := e.Item
		if row, ok := items.Row(item); ok {
			item = items.ID(row) // shared
		}
		t.past[user] = append(t.past[user], past{
			seq: e.Seq, typ: e.Type, quantity: e.Quantity, at: e.Time.UnixMilli(), item: item, order: e.Order, market: e.Market,
			device: e.Device, list: e.Attributes[profile.AttrListPrice], price: e.Price, value: e.Value, withheld: holds(e),
		})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the histories of shop %s: %w", shop, err)
	}
	return t, nil
}

// created is when the catalogue says that items were made; the log may know of
// an earlier time. Items of an unknown time were always there.
func (t *tape) created(items features.Catalog) {
	t.since, t.sold = make([]time.Time, items.Len()), make([]int32, items.Len())
	for row := range t.since {
		if it := items.Item(features.Row(row)); it != nil { // #nosec G115 -- rows are int32 by contract
			t.since[row] = it.Created
		}
	}
}

// goesOn reports whether a purchase of the same order belongs to the session.
func (v *visit) goesOn(e *features.Event) bool {
	return v.order != "" || !e.Time.Before(v.start) && e.Time.Sub(v.last) <= pause
}

func (t *tape) agree(ctx context.Context, log Store, shop features.ShopID) error {
	for _, v := range t.visits {
		if _, asked := t.agreed[v.user]; asked {
			continue
		}
		c, err := log.Consent(ctx, shop, v.user)
		if err != nil {
			return fmt.Errorf("read the consent of a shopper: %w", err)
		}
		t.agreed[v.user] = c
		if !c.Has(features.Analytics) {
			t.off[v.user] = true
		}
	}
	t.visits = slices.DeleteFunc(t.visits, func(v *visit) bool { return t.off[v.user] })
	return nil
}

// sample keeps a seeded sample of the sessions, by the time they began.
func (t *tape) sample(o *Options) {
	if o.Max > 0 && o.Max < len(t.visits) {
		r := rand.New(rand.NewPCG(o.Seed, 0x5e5510)) // #nosec G404 -- a sample that can be drawn again
		r.Shuffle(len(t.visits), func(i, j int) { t.visits[i], t.visits[j] = t.visits[j], t.visits[i] })
		t.visits = t.visits[:o.Max]
	}
	slices.SortFunc(t.visits, func(a, b *visit) int {
		return cmp.Or(a.start.Compare(b.start), cmp.Compare(a.seq, b.seq))
	})
}

// shopper is the state before the session: what stands before it in the log and
// happened before it, by the book and the profile that serving keeps. An event
// that was imported early and happened later is no part of it. Ref is what the
// shop's goods are measured against.
func (t *tape) shopper(v *visit, items features.Catalog, ref *profile.Reference) *features.Shopper {
	var b history.Book
	var state profile.State
	for i := range t.past[v.user] {
		p := &t.past[v.user][i]
		if p.seq >= v.seq {
			break
		}
		if p.at >= v.start.UnixMilli() {
			continue
		}
		e := p.event()
		b.Fold(&e)
		if !p.withheld {
			state.Update(&e)
		}
	}
	s := b.Shopper(items)
	s.Key, s.Consent = v.user, t.agreed[v.user]
	if state.Seq() > 0 && s.Consent.Has(features.Personalisation) {
		s.Profile = state.Profile(ref, v.start)
	}
	return s
}

// resolver finds whose history an event belongs to.
type resolver struct {
	ctx   context.Context
	log   Store
	shop  features.ShopID
	known map[features.UserKey]features.UserKey
}

func (r *resolver) of(e *features.Event) (features.UserKey, error) {
	key := e.Subject()
	if key.IsZero() {
		return key, nil
	}
	user, ok := r.known[key]
	if !ok {
		var err error
		if user, err = r.log.Resolve(r.ctx, r.shop, key); err != nil {
			return user, err
		}
		r.known[key] = user
	}
	return user, nil
}
