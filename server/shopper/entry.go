package shopper

import (
	"cmp"
	"slices"
	"sync"

	"github.com/attune-rec/attune/features"
)

// eventsKept is how many of the newest events are kept of a shopper: some of
// those that fill a view may name items that no release knows.
const eventsKept = 2 * features.HistoryCap

// entry is what is kept of one user or session.
type entry struct {
	key features.UserKey

	mu      sync.Mutex
	loaded  bool
	events  []past // by sequence number
	own     []features.UserKey
	consent features.Purposes
	version uint64

	view view
	both view // of the user it was last asked together with
}

// view is a Shopper in the rows of a release.
type view struct {
	shopper  *features.Shopper
	release  string
	items    int // length of the catalogue it was made for
	version  uint64
	with     features.UserKey
	version2 uint64
}

// fill takes what the store knows. Events of a shared session that belong to
// another known user stay out.
func (e *entry) fill(events []features.Event, aliases []features.UserKey, consent features.Purposes) {
	e.own = append(aliases, e.key)
	e.consent = consent
	e.events = e.events[:0]
	for i := range events {
		if e.mine(&events[i]) {
			e.events = append(e.events, pastOf(&events[i]))
		}
	}
	e.loaded = true
	e.version++
}

// mine reports whether an event is part of this one's history: a session has
// all that was done in it, a user what no other user did.
func (e *entry) mine(ev *features.Event) bool {
	return ev.User.IsZero() || ev.Session == e.key || slices.Contains(e.own, ev.User)
}

// add puts one more event in its place; it may be there already.
func (e *entry) add(ev *features.Event) {
	at, found := slices.BinarySearchFunc(e.events, ev.Seq, func(x past, seq int64) int { return cmp.Compare(x.seq, seq) })
	if found || !e.mine(ev) {
		return
	}
	if len(e.events) >= eventsKept {
		if at == 0 {
			return
		}
		copy(e.events, e.events[1:at])
		e.events[at-1] = pastOf(ev)
	} else {
		e.events = slices.Insert(e.events, at, pastOf(ev))
	}
	e.version++
}

// shopper is the state in the rows of a release, made anew only when something
// has changed.
func (e *entry) shopper(v View, fold Fold) *features.Shopper {
	n := v.Items.Len()
	if s := &e.view; s.shopper == nil || s.release != v.Release || s.items != n || s.version != e.version {
		e.view = view{shopper: makeShopper(e.key, e.events, e.consent, e.version, v, fold), release: v.Release, items: n, version: e.version}
	}
	return e.view.shopper
}

// strangerTo reports whether a session has events that the user's history
// lacks and may have.
func (e *entry) strangerTo(known *entry, user features.UserKey) bool {
	if slices.Contains(known.own, e.key) {
		return false
	}
	for i := range e.events {
		if e.events[i].anonymous {
			return true
		}
	}
	return false
}

// merged is the user's state with what was done in this session unknown.
func (e *entry) merged(known *entry, user features.UserKey, v View, fold Fold) *features.Shopper {
	n := v.Items.Len()
	s := &e.both
	if s.shopper == nil || s.release != v.Release || s.items != n || s.with != user || s.version != e.version || s.version2 != known.version {
		events := slices.Clone(known.events)
		for i := range e.events {
			if e.events[i].anonymous {
				events = append(events, e.events[i])
			}
		}
		slices.SortFunc(events, func(a, b past) int { return cmp.Compare(a.seq, b.seq) })
		e.both = view{
			shopper: makeShopper(user, events, known.consent, known.version+e.version, v, fold),
			release: v.Release, items: n, version: e.version, with: user, version2: known.version,
		}
	}
	return e.both.shopper
}
