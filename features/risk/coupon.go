package risk

import (
	"fmt"
	"slices"

	"github.com/attune-rec/attune/features"
)

// coupons finds accounts that use one coupon again and again, devices from which
// many accounts use one, and crowds of new accounts that buy one item with one.
type coupons struct {
	codes, devices, things names
	who                    map[features.UserKey]*buyer
	shared                 map[[2]int32]map[features.UserKey]bool // coupon and device: who
	began, ended           int64
}

type buyer struct {
	orders map[string]bool
	uses   map[int32]*use
	bought map[int32]bool
	dayOf  int32
	lone   int32 // the thing its first order was for
	fresh  bool  // its first order used a coupon
}

type use struct {
	span
	orders map[string]bool
}

func newCoupons() coupons {
	return coupons{codes: names{}, devices: names{}, things: names{}, who: map[features.UserKey]*buyer{}, shared: map[[2]int32]map[features.UserKey]bool{}}
}

func (c *coupons) fold(who features.UserKey, e *features.Event) {
	if e.Type != features.Purchase {
		return
	}
	ms := e.Time.UnixMilli()
	if c.ended == 0 || ms < c.began {
		c.began = ms
	}
	c.ended = max(c.ended, ms)
	order := e.Order
	if order == "" {
		order = e.Time.UTC().Format("2006-01-02 15:04") // bought together
	}
	code := e.Attributes[CouponAttribute]
	b := c.who[who]
	if b == nil {
		b = &buyer{
			orders: map[string]bool{}, uses: map[int32]*use{}, bought: map[int32]bool{},
			fresh: code != "", lone: c.things.of(e.Item), dayOf: int32(ms / dayMS), // #nosec G115 -- days since 1970
		}
		c.who[who] = b
	}
	b.orders[order] = true
	b.bought[c.things.of(e.Item)] = true
	if code == "" {
		return
	}
	at := c.codes.of(code)
	u := b.uses[at]
	if u == nil {
		u = &use{orders: map[string]bool{}}
		b.uses[at] = u
	}
	u.orders[order] = true
	u.add(e)
	device := e.Attributes[DeviceAttribute]
	if device == "" && !e.Session.IsZero() && e.Session != who {
		device = e.Session.String()
	}
	if device != "" {
		at := [2]int32{at, c.devices.of(device)}
		if c.shared[at] == nil {
			c.shared[at] = map[features.UserKey]bool{}
		}
		c.shared[at][who] = true
	}
}

// most is the coupon a buyer used in most orders.
func (b *buyer) most() (u *use) {
	var code int32
	for c, x := range b.uses {
		if u == nil || len(x.orders) > len(u.orders) || len(x.orders) == len(u.orders) && c < code {
			code, u = c, x
		}
	}
	return u
}

func (c *coupons) flags() (out []Flag) {
	var counts []float64
	for _, b := range c.who {
		if u := b.most(); u != nil {
			counts = append(counts, float64(len(u.orders)))
		}
	}
	usually := usualOf(counts)
	accounts := map[features.UserKey]int{} // on the device one shares with most
	for _, who := range c.shared {
		for k := range who {
			accounts[k] = max(accounts[k], len(who))
		}
	}
	crowd := c.crowds()
	for who, b := range c.who {
		u := b.most()
		if u == nil {
			continue
		}
		n := float64(len(u.orders))
		share := n / float64(len(b.orders))
		reasons := []Reason{
			{
				Signal: "same_coupon", Value: n, Usual: usually.count(),
				Weight: .9 * grade(usually.deviations(n), 2.2, 3.5) * grade(share, .3, .7),
				Text:   fmt.Sprintf("used one coupon in %.0f of %d orders, where %.0f is usual", n, len(b.orders), usually.count()),
			},
			{
				Signal: "shared_device", Value: float64(accounts[who]), Usual: 1, Weight: .95 * grade(float64(accounts[who]), 2, 5),
				Text: fmt.Sprintf("%d accounts used the coupon on one device", accounts[who]),
			},
		}
		if r, ok := crowd[who]; ok {
			reasons = append(reasons, r)
		}
		if f := u.flag(who, CouponAbuse, reasons...); f.Score > 0 {
			out = append(out, f)
		}
	}
	return out
}

// crowds are new accounts that bought the same item with a coupon on the same
// day, as their first and about their only order.
func (c *coupons) crowds() map[features.UserKey]Reason {
	keys := make([]features.UserKey, 0, len(c.who))
	for who := range c.who {
		keys = append(keys, who)
	}
	slices.SortFunc(keys, func(x, y features.UserKey) int { return slices.Compare(x[:], y[:]) })
	came := crowds{}
	for _, who := range keys {
		if b := c.who[who]; b.fresh && len(b.orders) <= few && len(b.bought) <= few {
			came.add(b.lone, b.dayOf, who)
		}
	}
	found := map[features.UserKey]Reason{}
	came.sudden(float64(c.ended-c.began)/dayMS+1, func(x crowd) {
		n := float64(len(x.who))
		for _, who := range x.who {
			found[who] = Reason{
				Signal: "new_accounts", Value: n, Usual: x.usual, Weight: .9 * (1 - x.usual/n),
				Text: fmt.Sprintf("one of %.0f new accounts that bought one item with a coupon on one day, where %.1f are usual", n, x.usual),
			}
		}
	})
	return found
}
