// Package risk finds the shoppers whose events are not to be learnt from: click
// fraud, coupon abuse, accounts taken over and rings of reviewers. It gives each
// a score with its reasons and the range of the log that is affected; what is
// done about it is decided elsewhere, and can be taken back.
//
// It imports features only. Start reading at Assessor; each kind of attack has a
// file of its own.
package risk

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/attune-rec/attune/features"
)

// Kind is a kind of attack.
type Kind string

// The kinds. Their names are stored.
const (
	ClickFraud  Kind = "click_fraud"  // clicks that nobody's interest is behind
	CouponAbuse Kind = "coupon_abuse" // one coupon again and again, by one account or by a farm of them
	Takeover    Kind = "takeover"     // somebody else acts in an established account
	ReviewRing  Kind = "review_ring"  // accounts that praise or damn the same items together
)

// Kinds lists all kinds.
func Kinds() []Kind { return []Kind{ClickFraud, CouponAbuse, Takeover, ReviewRing} }

// The attributes of events that say more of how something was done. Without
// them the signals that rest on them are silent.
const (
	CouponAttribute = "coupon"    // of a purchase: the coupon that was used
	DeviceAttribute = "device_id" // a device's own id; the session stands in for it
)

// Reason is one signal that spoke: what was measured, and what is usual.
type Reason struct {
	Signal string  `json:"signal"`
	Value  float64 `json:"value"`
	Usual  float64 `json:"usual"`
	Weight float64 `json:"weight"` // its part in the score, 0 to 1
	Text   string  `json:"text"`
}

// Flag says that a subject, a user or a session, looks like an attack.
type Flag struct {
	Subject features.UserKey `json:"-"`
	Kind    Kind             `json:"kind"`
	Score   float64          `json:"score"` // 0 to 1: 1 less the chance that every reason is wrong, were they independent
	Reasons []Reason         `json:"reasons"`
	From    int64            `json:"from"`            // sequence number of the first event that is affected
	To      int64            `json:"to"`              // and of the last; 0: all that come
	Parts   [][2]int64       `json:"parts,omitempty"` // stretches within, first and last; none: all of it
	First   time.Time        `json:"first"`
	Last    time.Time        `json:"last"`
	Events  int64            `json:"events"` // of the subject that spoke for it
}

// ID names a flag: a subject has one of a kind.
func (f *Flag) ID() string { return string(f.Kind) + "-" + f.Subject.String() }

// ParseID reads what ID wrote.
func ParseID(id string) (Kind, features.UserKey, error) {
	kind, key, ok := strings.Cut(id, "-")
	if !ok || !slices.Contains(Kinds(), Kind(kind)) {
		return "", features.UserKey{}, fmt.Errorf("flag id must be a kind, such as click_fraud, a hyphen and a pseudonym: got %q", id)
	}
	k, err := features.ParseUserKey(key)
	return Kind(kind), k, err
}

// Covers reports whether an event is in the range that the flag affects.
func (f *Flag) Covers(e *features.Event) bool {
	who := e.User
	if who.IsZero() {
		who = e.Session
	}
	if e.Seq < f.From || f.To != 0 && e.Seq > f.To || who != f.Subject {
		return false
	}
	return len(f.Parts) == 0 || slices.ContainsFunc(f.Parts, func(p [2]int64) bool { return e.Seq >= p[0] && e.Seq <= p[1] })
}

// Options of an Assessor; the zero value takes the defaults.
type Options struct {
	Least float64 // flags of a lower score are not told; 0: 0.5
}

// Certain is the score from which on events are kept out by themselves, where
// the shop wants that.
const Certain = 0.8

// Assessor takes a log in and tells who looks like an attack. What it keeps
// grows with the log: some tens of bytes for each pair of a subject and an item
// and day. It is not safe for concurrent use.
type Assessor struct {
	o      Options
	clicks clicks
	coupon coupons
	orders orders
	review reviews
}

// New returns an assessor that has seen nothing.
func New(o Options) *Assessor {
	if o.Least == 0 {
		o.Least = .5
	}
	return &Assessor{o: o, clicks: newClicks(), coupon: newCoupons(), orders: orders{}, review: newReviews()}
}

// Fold takes one event in. Events come in log order.
func (a *Assessor) Fold(e *features.Event) {
	who := e.Subject()
	if who.IsZero() {
		return
	}
	a.clicks.fold(who, e)
	a.coupon.fold(who, e)
	a.orders.fold(who, e)
	a.review.fold(who, e)
}

// Flags are those found in what was folded, by score, ties by kind and subject.
func (a *Assessor) Flags() []Flag {
	all := slices.Concat(a.clicks.flags(), a.coupon.flags(), a.orders.flags(), a.review.flags())
	all = slices.DeleteFunc(all, func(f Flag) bool { return f.Score < a.o.Least })
	slices.SortFunc(all, func(x, y Flag) int {
		return cmp.Or(cmp.Compare(y.Score, x.Score), cmp.Compare(x.Kind, y.Kind), slices.Compare(x.Subject[:], y.Subject[:]))
	})
	return all
}

// span is the stretch of the log that speaks for a flag.
type span struct {
	from, to    int64
	first, last time.Time
	events      int64
}

func (s *span) add(e *features.Event) {
	if s.events == 0 {
		s.from, s.first = e.Seq, e.Time
	}
	s.to, s.events = e.Seq, s.events+1
	if e.Time.Before(s.first) {
		s.first = e.Time
	}
	if e.Time.After(s.last) {
		s.last = e.Time
	}
}

// flag is a flag of reasons, those of no weight left out.
func (s *span) flag(who features.UserKey, kind Kind, reasons ...Reason) Flag {
	f := Flag{Subject: who, Kind: kind, From: s.from, First: s.first, Last: s.last, Events: s.events}
	wrong := 1.
	for _, r := range reasons {
		if r.Weight > 0 {
			wrong *= 1 - r.Weight
			f.Reasons = append(f.Reasons, r)
		}
	}
	f.Score = 1 - wrong
	return f
}
