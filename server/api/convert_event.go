package api

import (
	"math"
	"time"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
)

// pseudonyms makes keys of a shop's own ids: *features.Pseudonyms does.
type pseudonyms interface {
	User(id string) features.UserKey
	Session(id string) features.UserKey
}

// sameAgain remembers the last user and session: the events of a visit come
// side by side.
type sameAgain struct {
	*features.Pseudonyms
	user, session       string
	userKey, sessionKey features.UserKey
}

// User is that of the shop.
func (s *sameAgain) User(id string) features.UserKey {
	if id != s.user {
		s.user, s.userKey = id, s.Pseudonyms.User(id)
	}
	return s.userKey
}

// Session is that of the shop.
func (s *sameAgain) Session(id string) features.UserKey {
	if id != s.session {
		s.session, s.sessionKey = id, s.Pseudonyms.Session(id)
	}
	return s.sessionKey
}

// eventFromProto is the event as the domain knows it: the person's id becomes a
// pseudonym here, at the edge, and goes no further.
func eventFromProto(shop features.ShopID, e *attunev1.Event, names pseudonyms, now time.Time) features.Event {
	c := e.GetContext()
	out := features.Event{
		Shop: shop, ID: e.GetId(), Type: features.EventType(e.GetType()), // #nosec G115 -- the enum is validated
		User: names.User(e.GetUser()), Session: names.Session(e.GetSession()), Item: e.GetItem(),
		Time: now, Received: now,
		Surface: e.GetSurface(), Channel: c.GetChannel(), Device: c.GetDevice(), Market: c.GetMarket(), Locale: c.GetLocale(),
		Quantity: e.GetQuantity(), Price: moneyFromProto(e.GetPrice()), Value: e.GetValue(),
		Order: e.GetOrder(), Text: e.GetText(), Target: e.GetTarget(),
		Recommendation: e.GetRecommendationId(), Position: e.GetPosition(), Attributes: e.GetAttributes(),
	}
	if t := e.GetTime(); t != nil {
		out.Time = t.AsTime().Truncate(time.Millisecond)
	}
	return out
}

// checkEvent reports what is wrong with an event beyond its annotations.
func checkEvent(e *attunev1.Event) error {
	if t := e.GetTime(); t != nil {
		if err := t.CheckValid(); err != nil {
			return fieldErrorf("event.time", "expected a time between the years 1 and 9999: %v", err)
		}
	}
	v := e.GetValue()
	switch features.EventType(e.GetType()) { // #nosec G115 -- the enum is validated
	case features.Rating, features.Review, features.Satisfaction:
		if v < 1 || v > 5 || math.IsNaN(v) {
			return fieldErrorf("event.value", "expected 1 to 5 for %s: got %v", features.EventType(e.GetType()), v) // #nosec G115
		}
	case features.Dwell:
		if v <= 0 || v > 86400 {
			return fieldErrorf("event.value", "expected the seconds spent, above 0 and at most 86400: got %v", v)
		}
	case features.Search:
		if e.GetText() == "" {
			return fieldErrorf("event.text", "expected what was searched")
		}
	case features.Follow, features.Unfollow, features.Share, features.AdClick, features.MessageOpen:
		if e.GetTarget() == "" {
			return fieldErrorf("event.target", "expected a target for %s", features.EventType(e.GetType())) // #nosec G115
		}
	}
	return nil
}

func moneyFromProto(m *attunev1.Money) features.Money {
	if m == nil {
		return features.Money{}
	}
	return features.Money{Micros: m.GetMicros(), Currency: m.GetCurrency()}
}

func moneyToProto(m features.Money) *attunev1.Money {
	if m.IsZero() {
		return nil
	}
	return &attunev1.Money{Micros: m.Micros, Currency: m.Currency}
}
