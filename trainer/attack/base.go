// Package attack plants attacks in the log of a real shop and measures what
// features/risk finds of them: who of the attackers is flagged, who of the
// shop's own customers, and how far an item that was pushed moves in popularity
// once the flagged events are withheld.
//
// It imports features and models. Start reading at Judge; plant.go has the
// attacks, base.go what honest shoppers do that the shop's log does not tell.
package attack

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/risk"
)

// keyOf is the pseudonym of an invented subject.
func keyOf(format string, args ...any) (k features.UserKey) {
	sum := sha256.Sum256(fmt.Appendf(nil, format, args...))
	copy(k[:], sum[:])
	return k
}

// honest adds to real purchases what their log does not tell and attacks hide
// among: looks before buying, visits that end after a look, a day on which an
// advertisement brings many to one item, coupons of the month, reviews, devices.
// The purchases stay as they are but for a coupon and a device.
func honest(bought []features.Event, r *rand.Rand) []features.Event {
	out := make([]features.Event, 0, 3*len(bought))
	coupons, devices := map[string]string{}, map[string]string{}
	items := make([]string, 0, len(bought))
	for i := range bought {
		e := bought[i]
		if e.Type != features.Purchase {
			out = append(out, e)
			continue
		}
		items = append(items, e.Item)
		order := e.Subject().String() + e.Order
		if _, ok := devices[order]; !ok {
			devices[order] = device(e.Subject(), r)
			if r.Float64() < .1 {
				coupons[order] = e.Time.Format("MONTH-2006-01")
			}
		}
		e.Attributes = map[string]string{risk.DeviceAttribute: devices[order]}
		if c := coupons[order]; c != "" {
			e.Attributes[risk.CouponAttribute] = c
		}
		out = append(out, e)
		if r.Float64() < .4 {
			for range 1 + r.IntN(2) {
				out = append(out, looked(e.User, e.Session, e.Item, e.Market, e.Time.Add(-time.Duration(1+r.IntN(3600))*time.Second)))
			}
		}
		if r.Float64() < .05 {
			out = append(out, reviewed(&e, honestStars(r), e.Time.Add(time.Duration(24+r.IntN(24*14))*time.Hour)))
		}
	}
	for n := range len(bought) / 40 {
		at := &bought[r.IntN(len(bought))]
		who := keyOf("visit %d", n)
		for range 1 + r.IntN(4) {
			out = append(out, looked(features.UserKey{}, who, items[r.IntN(len(items))], at.Market, at.Time.Add(time.Duration(r.IntN(1800))*time.Second)))
		}
	}
	day := bought[len(bought)/2+r.IntN(len(bought)/2)].Time.Truncate(24 * time.Hour)
	item := items[r.IntN(len(items))]
	for n := range 40 {
		at := day.Add(time.Duration(r.IntN(86400)) * time.Second)
		out = append(out, looked(features.UserKey{}, keyOf("advertised %d", n), item, "United Kingdom", at))
	}
	return out
}

// device is the one that a shopper orders on: most often their own, now and then
// another of theirs, seldom a new one.
func device(who features.UserKey, r *rand.Rand) string {
	switch x := r.Float64(); {
	case x < .83:
		return "own " + who.String()
	case x < .98:
		return "second " + who.String()
	}
	return fmt.Sprint("new ", r.Uint64())
}

func honestStars(r *rand.Rand) float64 {
	switch x := r.Float64(); {
	case x < .55:
		return 5
	case x < .8:
		return 4
	case x < .9:
		return 3
	case x < .95:
		return 2
	}
	return 1
}

func looked(user, session features.UserKey, item, market string, at time.Time) features.Event {
	return features.Event{Type: features.Click, User: user, Session: session, Item: item, Market: market, Time: at, Received: at}
}

func reviewed(bought *features.Event, stars float64, at time.Time) features.Event {
	return features.Event{Type: features.Review, User: bought.User, Session: bought.Session, Item: bought.Item, Market: bought.Market, Value: stars, Time: at, Received: at}
}

// logOf puts events in the order of time and numbers them.
func logOf(parts ...[]features.Event) []features.Event {
	all := slices.Concat(parts...)
	slices.SortStableFunc(all, func(a, b features.Event) int { return cmp.Compare(a.Time.UnixMilli(), b.Time.UnixMilli()) })
	for i := range all {
		all[i].Seq = int64(i + 1)
	}
	return all
}
