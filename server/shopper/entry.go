package shopper

import (
	"slices"
	"sync"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/history"
)

// entry is what is kept of one user or session.
type entry struct {
	key features.UserKey
	// What models keep of the one and of the two as one; losing it costs time only.
	memory, together *features.Memory

	mu      sync.Mutex
	loaded  bool
	own     []features.UserKey // the key and those linked to it
	book    history.Book
	unknown history.Book // the part of book that was done before anyone was known
	last    int64        // number of the newest event taken in
	consent features.Purposes
	market  string // that consent was asked for
	version uint64

	view view
	both view // together with the user it was last asked with
}

// view is a Shopper in the rows of a release.
type view struct {
	shopper *features.Shopper
	of      viewKey
}

type viewKey struct {
	release       string
	items         int // length of the catalogue it was made for
	version       uint64
	with          features.UserKey
	versionOfWith uint64
}

// fill takes what the store knows, oldest first: the newest events, and what
// was hidden however long ago.
func (e *entry) fill(events, opinions []features.Event, aliases []features.UserKey, consent features.Purposes) {
	e.forget()
	e.own = append(aliases, e.key)
	e.book, e.unknown, e.last, e.consent = history.Book{}, history.Book{}, 0, consent
	e.loaded = true
	e.version++
	for i := range events {
		e.take(&events[i])
	}
	all, unknown := map[string]features.EventType{}, map[string]features.EventType{}
	for i := range opinions {
		ev := &opinions[i]
		if !e.mine(ev) {
			continue
		}
		opine(all, ev)
		if ev.User.IsZero() {
			opine(unknown, ev)
		}
	}
	e.book.Hide(all)
	e.unknown.Hide(unknown)
}

// opine notes what an event says of an item: Hide holds for good, Dislike until
// a Like.
func opine(hidden map[string]features.EventType, ev *features.Event) {
	before := hidden[ev.Item]
	switch {
	case ev.Item == "" || before == features.Hide:
	case ev.Type == features.Hide, ev.Type == features.Dislike:
		hidden[ev.Item] = ev.Type
	case ev.Type == features.Like:
		delete(hidden, ev.Item)
	}
}

func (e *entry) take(ev *features.Event) {
	e.last = ev.Seq
	if !e.mine(ev) {
		return
	}
	if e.book.Fold(ev) {
		e.version++
	}
	if ev.User.IsZero() {
		e.unknown.Fold(ev)
	}
}

// mine reports whether an event is part of this one's history: a session has
// all that was done in it, a user what no other user did.
func (e *entry) mine(ev *features.Event) bool {
	return ev.User.IsZero() || ev.Session == e.key || slices.Contains(e.own, ev.User)
}

// add takes one more durable event in. Events that overtook each other on their
// way here are read again, in order.
func (e *entry) add(ev *features.Event) {
	if !e.consent.Has(features.Personalisation) {
		return // kept nowhere here; consent given later reads the store
	}
	switch {
	case ev.Seq > e.last:
		e.take(ev)
	case ev.Seq < e.last:
		e.loaded = false
	}
}

// shopper is the state in the rows of a release, made anew only when something
// has changed.
func (e *entry) shopper(v View) *features.Shopper {
	of := viewKey{release: v.Release, items: v.Items.Len(), version: e.version}
	if e.view.shopper == nil || e.view.of != of {
		e.view = view{e.make(&e.book, e.key, e.consent, of.version, e.memory, v), of}
	}
	return e.view.shopper
}

// unasked is the state of one who did not agree to personalisation: nothing but
// that. It is nil of one who did.
func (e *entry) unasked(v View) *features.Shopper {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.consent.Has(features.Personalisation) {
		return nil
	}
	return e.shopper(v)
}

// strangerTo reports whether a session has events that the user's history
// lacks and should have.
func (e *entry) strangerTo(known *entry) bool {
	return e.unknown.Version() > 0 && !slices.Contains(known.own, e.key)
}

// merged is the user's state with what was done in this session unknown.
func (e *entry) merged(known *entry, v View) *features.Shopper {
	of := viewKey{release: v.Release, items: v.Items.Len(), version: e.version, with: known.key, versionOfWith: known.version}
	if e.both.shopper == nil || e.both.of != of {
		book := history.Merge(&known.book, &e.unknown)
		e.both = view{e.make(book, known.key, known.consent, e.version+known.version, e.together, v), of}
	}
	return e.both.shopper
}

func (e *entry) make(book *history.Book, key features.UserKey, consent features.Purposes, version uint64, memory *features.Memory, v View) *features.Shopper {
	s := book.Shopper(v.Items)
	s.Key, s.Consent, s.Version, s.Memory = key, consent, version, memory
	return s
}

// forget drops what models keep.
func (e *entry) forget() {
	e.memory.Clear()
	e.together.Clear()
}
