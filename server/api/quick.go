package api

import (
	"math"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
)

// Quick is v with a look first at the requests that come by the thousand: one
// that is plainly right is not interpreted rule by rule. What is not plainly
// right is for v to decide, so that only v refuses.
func Quick(v protovalidate.Validator) protovalidate.Validator { return quick{v} }

type quick struct{ protovalidate.Validator }

// Validate implements protovalidate.Validator.
func (q quick) Validate(m proto.Message, options ...protovalidate.ValidationOption) error {
	if len(options) == 0 && plain(m) {
		return nil
	}
	return q.Validator.Validate(m, options...)
}

// plain reports whether a message keeps every rule of its annotations. It may
// say no of one that does: lengths are of bytes where the rules count
// characters.
func plain(m proto.Message) bool {
	switch m := m.(type) {
	case *attunev1.RecommendRequest:
		return plainRecommend(m)
	case *attunev1.SimilarItemsRequest:
		return plainShop(m.GetShop()) && plainID(m.GetItem()) && plainLimit(m.GetLimit()) && plainContext(m.GetContext())
	case *attunev1.Event:
		return plainEvent(m)
	case *attunev1.CollectRequest:
		return plainShop(m.GetShop()) && plainEvent(m.GetEvent())
	case *attunev1.CollectBatchRequest: // its events are looked at one by one
		return plainShop(m.GetShop()) && len(m.GetEvents()) >= 1 && len(m.GetEvents()) <= 10_000
	case *attunev1.CollectStreamRequest: // likewise
		return plainShop(m.GetShop())
	case *attunev1.GetProfileRequest:
		return plainShop(m.GetShop()) && plainID(m.GetId())
	case *attunev1.BatchGetProfilesRequest:
		for _, id := range m.GetIds() {
			if !plainID(id) {
				return false
			}
		}
		return plainShop(m.GetShop()) && len(m.GetIds()) >= 1 && len(m.GetIds()) <= 1000
	}
	return false
}

func plainRecommend(m *attunev1.RecommendRequest) bool {
	if !plainShop(m.GetShop()) || len(m.GetUser()) > 256 || len(m.GetSession()) > 256 || !plainSurface(m.GetSurface()) ||
		len(m.GetItem()) > 256 || len(m.GetQuery()) > 512 || len(m.GetPageToken()) > 4096 || !plainLimit(m.GetLimit()) {
		return false
	}
	from, to := m.GetPriceFrom(), m.GetPriceTo()
	if !(from >= 0 && from <= math.MaxFloat64 && to >= 0 && to <= math.MaxFloat64) || to != 0 && from > to {
		return false
	}
	return plainList(m.GetCart(), 200, 256) && plainList(m.GetExclude(), 1000, 256) && plainList(m.GetCategories(), 32, 1024) &&
		plainContext(m.GetContext())
}

// plainList takes at most so many texts that are not empty nor too long.
func plainList(all []string, most, length int) bool {
	for _, s := range all {
		if s == "" || len(s) > length {
			return false
		}
	}
	return len(all) <= most
}

func plainLimit(n int32) bool { return n >= 0 && n <= 200 }

func plainSurface(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (i == 0 || (c < '0' || c > '9') && c != '_' && c != '-') {
			return false
		}
	}
	return len(s) <= 64
}

func plainID(s string) bool { return s != "" && len(s) <= 256 }

func plainShop(s string) bool { return s == "" || features.ShopID(s).Validate() == nil }

func plainEvent(e *attunev1.Event) bool {
	if e == nil || e.GetType() < attunev1.EventType_EVENT_TYPE_IMPRESSION || e.GetType() > attunev1.EventType_EVENT_TYPE_COMPLAINT {
		return false
	}
	if e.GetUser() == "" && e.GetSession() == "" || e.GetItem() == "" && features.EventType(e.GetType()).AboutItem() { // #nosec G115 -- looked at above
		return false
	}
	if len(e.GetId()) > 128 || len(e.GetUser()) > 256 || len(e.GetSession()) > 256 || len(e.GetItem()) > 256 || len(e.GetSurface()) > 64 ||
		len(e.GetOrder()) > 128 || len(e.GetText()) > 4096 || len(e.GetTarget()) > 256 || len(e.GetRecommendationId()) > 64 {
		return false
	}
	if e.GetQuantity() < 0 || e.GetQuantity() > 1_000_000 || e.GetPosition() < 0 || e.GetPosition() > 10_000 ||
		math.IsNaN(e.GetValue()) || math.IsInf(e.GetValue(), 0) {
		return false
	}
	if p := e.GetPrice(); p != nil && !plainCurrency(p.GetCurrency()) {
		return false
	}
	return plainContext(e.GetContext()) && plainAttributes(e.GetAttributes())
}

func plainContext(c *attunev1.Context) bool {
	return c == nil || len(c.GetMarket()) <= 64 && len(c.GetChannel()) <= 64 && len(c.GetDevice()) <= 64 && plainLocale(c.GetLocale()) &&
		(c.GetCurrency() == "" || plainCurrency(c.GetCurrency()))
}

func plainCurrency(s string) bool {
	return len(s) == 3 && upper(s[0]) && upper(s[1]) && upper(s[2])
}

func upper(c byte) bool { return c >= 'A' && c <= 'Z' }

// plainLocale takes "", "de" and "de-AT".
func plainLocale(s string) bool {
	letter := func(c byte) bool { return c >= 'a' && c <= 'z' || upper(c) }
	switch len(s) {
	case 0:
		return true
	case 2:
		return letter(s[0]) && letter(s[1])
	case 5:
		return letter(s[0]) && letter(s[1]) && s[2] == '-' && letter(s[3]) && letter(s[4])
	}
	return false
}

func plainAttributes(all map[string]string) bool {
	if len(all) > 32 {
		return false
	}
	for name, v := range all {
		if name == "" || len(name) > 64 || len(v) > 512 {
			return false
		}
	}
	return true
}
