package dataset

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/history"
)

// Log is where a shop's events are read from; features/store is one.
type Log interface {
	Scan(ctx context.Context, shop features.ShopID, from, to int64, f func(*features.Event) error) error
	Resolve(ctx context.Context, shop features.ShopID, key features.UserKey) (features.UserKey, error)
	Consent(ctx context.Context, shop features.ShopID, key features.UserKey) (features.Purposes, error)
	// Withheld tells the events that nothing may be learnt from; nil: there are none.
	Withheld(ctx context.Context, shop features.ShopID) (func(*features.Event) bool, error)
}

// Agreed reads a shop's whole log and calls f with every event whose person
// agreed to the purposes, save what is withheld, and that person: of a session who it was found to be,
// the zero key where an event names nobody. What the others did is left out as
// if it had never been. The event is reused after f returns.
func Agreed(ctx context.Context, log Log, shop features.ShopID, need features.Purposes, f func(person features.UserKey, e *features.Event) error) error {
	type who struct {
		key   features.UserKey
		agree bool
	}
	people := map[features.UserKey]who{}
	withheld, err := log.Withheld(ctx, shop)
	if err != nil {
		return err
	}
	return log.Scan(ctx, shop, 0, 0, func(e *features.Event) error {
		if withheld != nil && withheld(e) {
			return nil
		}
		key := e.Subject()
		p, ok := people[key]
		if !ok {
			person, err := log.Resolve(ctx, shop, key)
			if err != nil {
				return err
			}
			consent, err := log.Consent(ctx, shop, person)
			if err != nil {
				return err
			}
			p = who{person, consent.Has(need)}
			people[key] = p
		}
		if !p.agree {
			return nil
		}
		return f(p.key, e)
	})
}

// Window is a part of a log, as a dataset.
type Window struct {
	Data     *Dataset
	Events   int64     // read, those without an item or a shopper included
	From, To time.Time // of the first and last of them; zero when there is none
	LastSeq  int64
}

// FromLog replays a shop's log up to its end and returns one window more than
// there are cuts: what happened before the first, from then to the second, and
// so on. All windows share users and items, which are the rows of items; events
// on other items are left out, and so is everything of shoppers who did not
// agree to analytics, and what is withheld, as if it had never been. Histories are those of features/history, each
// window's by itself, so that a window knows nothing of a later one: a return
// takes back a purchase of its own window only. Cuts ascend.
func FromLog(ctx context.Context, log Log, shop features.ShopID, items features.Catalog, cuts ...time.Time) ([]Window, error) {
	if !slices.IsSortedFunc(cuts, time.Time.Compare) {
		return nil, fmt.Errorf("cuts of the log must ascend: got %v", cuts)
	}
	r := replay{
		items: items, cuts: cuts, users: map[features.UserKey]int{}, windows: make([]Window, len(cuts)+1),
		books: make([][]*history.Book, len(cuts)+1), manners: make([]map[int]Manner, len(cuts)+1),
	}
	for at := range r.manners {
		r.manners[at] = map[int]Manner{}
	}
	err := Agreed(ctx, log, shop, features.Analytics, func(person features.UserKey, e *features.Event) error {
		r.take(person, e)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("replay the log of shop %s: %w", shop, err)
	}
	return r.finish(), nil
}

// replay is the work of FromLog.
type replay struct {
	items   features.Catalog
	cuts    []time.Time
	users   map[features.UserKey]int
	names   []string
	windows []Window
	books   [][]*history.Book // by window and user
	manners []map[int]Manner  // likewise
}

func (r *replay) take(user features.UserKey, e *features.Event) {
	at := 0
	for at < len(r.cuts) && !e.Time.Before(r.cuts[at]) {
		at++
	}
	w := &r.windows[at]
	w.Events++
	w.LastSeq = max(w.LastSeq, e.Seq)
	if w.From.IsZero() || e.Time.Before(w.From) {
		w.From = e.Time
	}
	if e.Time.After(w.To) {
		w.To = e.Time
	}
	if user.IsZero() {
		return
	}
	u, ok := r.users[user]
	if !ok {
		u = len(r.names)
		r.users[user] = u
		r.names = append(r.names, user.String())
	}
	for len(r.books[at]) <= u {
		r.books[at] = append(r.books[at], nil)
	}
	if r.books[at][u] == nil {
		r.books[at][u] = new(history.Book)
	}
	r.books[at][u].Fold(e)
	if m := MannerOf(e.Locale, e.Channel, e.Device); m != (Manner{}) {
		if _, known := r.manners[at][u]; !known {
			r.manners[at][u] = m
		}
	}
}

func (r *replay) finish() []Window {
	ids := make([]string, r.items.Len())
	for i := range ids {
		ids[i] = r.items.ID(features.Row(i))
	}
	var markets index
	for at := range r.windows {
		d := &Dataset{Users: r.names, Items: ids, Ptr: make([]int64, 1, len(r.names)+1), Catalog: r.items, Market: []uint16{}}
		for u := range r.names {
			if u < len(r.books[at]) && r.books[at][u] != nil {
				r.books[at][u].Each(r.items, func(it features.Interaction, market string) {
					d.Log = append(d.Log, it)
					d.Market = append(d.Market, uint16(markets.add(market)))
				})
			}
			d.Ptr = append(d.Ptr, int64(len(d.Log)))
		}
		if len(r.manners[at]) > 0 {
			d.Manners = make([]Manner, len(r.names))
			for u, m := range r.manners[at] {
				d.Manners[u] = m
			}
		}
		r.windows[at].Data = d
	}
	for at := range r.windows {
		r.windows[at].Data.Markets = markets.names
	}
	return r.windows
}
