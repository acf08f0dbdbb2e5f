// Package collect takes events: it corrects clocks, refuses what cannot be
// true, stores the rest and, once it is durable, tells whoever keeps state of
// shoppers, so that the next answer reflects it.
//
// It imports features/store and knows nothing of the wire. Start reading at
// Collector.
package collect

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"slices"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
)

// Log is where accepted events go, with what they say of who is who.
type Log interface {
	// AppendLinking makes events durable and, with them, links of pairs of alias
	// and user, in order. Links that could not be stored leave the events as they
	// are: unlinked says why.
	AppendLinking(ctx context.Context, shop features.ShopID, events []features.Event, links [][2]features.UserKey) (out []store.Appended, unlinked, err error)
}

// Morgue is where refused events go.
type Morgue interface {
	PutDead(ctx context.Context, shop features.ShopID, letters []store.DeadLetter) error
}

// Listener is told of durable events, with their sequence numbers, before their
// sender is.
type Listener interface {
	Stored(shop features.ShopID, events []features.Event)
	// Linked says that what is known of user has changed as a whole.
	Linked(shop features.ShopID, alias, user features.UserKey)
}

// Options are what a Collector works with. Log and Morgue are needed.
type Options struct {
	Log        Log
	Morgue     Morgue
	Listener   Listener         // nil: nobody
	MaxAhead   time.Duration    // a client's clock may be ahead by so much; 0: 5 minutes
	MaxAge     time.Duration    // older events are refused; 0: 400 days
	Clock      func() time.Time // nil: time.Now
	Logger     *slog.Logger     // nil: slog.Default
	Registerer prometheus.Registerer
}

// Collector takes events. It is safe for concurrent use.
type Collector struct {
	o      Options
	linked *lru.Cache[link, features.UserKey]
	events *prometheus.CounterVec
}

type link struct {
	shop    features.ShopID
	session features.UserKey
}

// Outcome is what became of one event.
type Outcome struct {
	Seq       int64
	Duplicate bool     // it had been stored before, under Seq
	Refused   *Refusal // nil: it is durable
}

// Refusal says why an event is not taken.
type Refusal struct {
	Rule   string // "too_old", "invalid"
	Field  string // of the event: "time"; "" when Reason says it
	Reason string // what was expected
}

// Error implements error.
func (r *Refusal) Error() string {
	if r.Field == "" {
		return r.Reason
	}
	return "event." + r.Field + ": " + r.Reason
}

const linksKept = 1 << 16

// New returns a collector.
func New(o Options) (*Collector, error) {
	if o.MaxAhead <= 0 {
		o.MaxAhead = 5 * time.Minute
	}
	if o.MaxAge <= 0 {
		o.MaxAge = 400 * 24 * time.Hour
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	linked, err := lru.New[link, features.UserKey](linksKept)
	if err != nil {
		return nil, err
	}
	c := &Collector{o: o, linked: linked, events: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "attune_events_total", Help: "Events by what became of them.",
	}, []string{"outcome"})}
	for _, outcome := range []string{accepted, duplicate, refused, corrected, unburied} {
		c.events.WithLabelValues(outcome)
	}
	if o.Registerer != nil {
		o.Registerer.MustRegister(c.events)
	}
	return c, nil
}

const (
	accepted, duplicate, refused = "accepted", "duplicate", "refused"
	corrected                    = "time_corrected" // of the accepted
	unburied                     = "refused_unkept" // of the refused: the store would not keep them
)

// Now is the present by the collector's clock, to the millisecond, in UTC.
func (c *Collector) Now() time.Time { return c.o.Clock().UTC().Truncate(time.Millisecond) }

// Collect stores the events of one shop, together or not at all, save those
// that it refuses: they are kept aside with the reason. raw gives the i-th
// event as it came; nil: what is refused is kept already. An error means that
// nothing was stored. The events are changed and may be used again afterwards.
func (c *Collector) Collect(ctx context.Context, shop features.ShopID, source string, events []features.Event, raw func(i int) []byte) ([]Outcome, error) {
	out := make([]Outcome, len(events))
	taken := events // those that are not refused
	var letters []store.DeadLetter
	for i := range events {
		e := &events[i]
		r := c.judge(e)
		switch {
		case r != nil:
			if out[i].Refused = r; raw != nil {
				letters = append(letters, Letter(source, r, e, raw(i)))
			}
			if len(taken) == len(events) {
				taken = slices.Clone(events[:i])
			}
		case len(taken) < len(events):
			taken = append(taken, *e)
		}
	}
	if len(taken) > 0 {
		links := c.links(shop, taken)
		stored, unlinked, err := c.o.Log.AppendLinking(ctx, shop, taken, links)
		if err != nil {
			return nil, err
		}
		c.linkedNow(shop, links, unlinked)
		fresh := taken[:0]
		at := 0
		for i := range out {
			if out[i].Refused != nil {
				continue
			}
			out[i].Seq, out[i].Duplicate = stored[at].Seq, stored[at].Duplicate
			if !stored[at].Duplicate {
				e := taken[at]
				e.Seq = stored[at].Seq
				fresh = append(fresh, e)
			}
			at++
		}
		c.events.WithLabelValues(accepted).Add(float64(len(fresh)))
		c.events.WithLabelValues(duplicate).Add(float64(at - len(fresh)))
		if c.o.Listener != nil && len(fresh) > 0 {
			c.o.Listener.Stored(shop, fresh)
		}
	}
	c.Bury(ctx, shop, letters)
	return out, nil
}

// judge corrects an event's time or says why it is refused.
func (c *Collector) judge(e *features.Event) *Refusal {
	if e.Received.IsZero() {
		e.Received = c.Now()
	}
	switch {
	case e.Time.IsZero():
		e.Time = e.Received
	case e.Time.After(e.Received.Add(c.o.MaxAhead)):
		c.events.WithLabelValues(corrected).Inc()
		e.Time = e.Received
	case e.Time.Before(e.Received.Add(-c.o.MaxAge)):
		return &Refusal{Rule: "too_old", Field: "time", Reason: fmt.Sprintf(
			"expected a time within the last %d days: got %s; bring older events in with 'trainer import'",
			int(c.o.MaxAge.Hours()/24), e.Time.UTC().Format(time.RFC3339))}
	}
	return nil
}

// links is which sessions turn out to belong to which users, by the events that
// have both, as far as it is not known already.
func (c *Collector) links(shop features.ShopID, events []features.Event) (pairs [][2]features.UserKey) {
	for i := range events {
		e := &events[i]
		if e.User.IsZero() || e.Session.IsZero() || e.User == e.Session {
			continue
		}
		if n := len(pairs); n > 0 && pairs[n-1] == [2]features.UserKey{e.Session, e.User} {
			continue
		}
		if user, ok := c.linked.Get(link{shop, e.Session}); ok && user == e.User {
			continue
		}
		pairs = append(pairs, [2]features.UserKey{e.Session, e.User})
	}
	return pairs
}

// linkedNow remembers links that were stored, and tells of them.
func (c *Collector) linkedNow(shop features.ShopID, pairs [][2]features.UserKey, unlinked error) {
	if unlinked != nil {
		c.o.Logger.Error("sessions could not be linked to their users; the next event tries again", "shop", shop, "error", unlinked)
		return
	}
	for _, p := range pairs {
		c.linked.Add(link{shop, p[0]}, p[1])
		if c.o.Listener != nil {
			c.o.Listener.Linked(shop, p[0], p[1])
		}
	}
}

// Letter is the record of a refused event; raw is the event as it came. One
// with an id is kept once, however often it is sent.
func Letter(source string, r *Refusal, e *features.Event, raw []byte) store.DeadLetter {
	key := ""
	if e.ID != "" {
		sum := sha256.Sum256([]byte(e.ID))
		key = "event:" + hex.EncodeToString(sum[:16]) + ":" + r.Rule
	}
	return store.DeadLetter{
		Key: key, Received: e.Received, Source: source, Rule: r.Rule, Reason: r.Error(), User: e.Subject(), Payload: raw,
	}
}

// Bury keeps refused events with the reason. Where the store would not, they
// are counted and logged: their sender was told in any case.
func (c *Collector) Bury(ctx context.Context, shop features.ShopID, letters []store.DeadLetter) {
	if err := c.Keep(ctx, shop, letters); err != nil {
		c.events.WithLabelValues(refused).Add(float64(len(letters)))
		c.events.WithLabelValues(unburied).Add(float64(len(letters)))
		c.o.Logger.Error("refused events could not be kept", "shop", shop, "events", len(letters), "error", err)
	}
}

// Keep is Bury for events whose sender nobody tells: they are counted as refused
// once they are kept, and an error means that none is.
func (c *Collector) Keep(ctx context.Context, shop features.ShopID, letters []store.DeadLetter) error {
	if len(letters) == 0 {
		return nil
	}
	if err := c.o.Morgue.PutDead(ctx, shop, letters); err != nil {
		return err
	}
	c.events.WithLabelValues(refused).Add(float64(len(letters)))
	return nil
}
