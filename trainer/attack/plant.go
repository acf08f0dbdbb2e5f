package attack

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/risk"
)

// planted is an attack in a log.
type planted struct {
	kind   risk.Kind
	target string // the item it pushes
	who    map[features.UserKey]bool
	events []features.Event
}

func (p *planted) add(e features.Event) {
	e.Received = e.Time
	p.who[e.Subject()] = true
	p.events = append(p.events, e)
}

// world is what attackers know of the shop.
type world struct {
	real    []features.Event // by time
	items   []string         // by number of purchases, descending
	dear    []string         // the tenth of highest price
	price   map[string]features.Money
	markets []string
	end     time.Time
}

func worldOf(log []features.Event) *world {
	w := &world{real: log, price: map[string]features.Money{}}
	count, markets := map[string]int{}, map[string]bool{}
	for i := range log {
		e := &log[i]
		if e.Type != features.Purchase {
			continue
		}
		count[e.Item]++
		w.price[e.Item] = e.Price
		if e.Market != "" && !markets[e.Market] {
			markets[e.Market] = true
			w.markets = append(w.markets, e.Market)
		}
		w.end = e.Time
	}
	for item := range count {
		w.items = append(w.items, item)
	}
	slices.Sort(w.items)
	slices.SortStableFunc(w.items, func(a, b string) int { return count[b] - count[a] })
	w.dear = slices.Clone(w.items)
	slices.SortStableFunc(w.dear, func(a, b string) int { return int(w.price[b].Micros/1000 - w.price[a].Micros/1000) })
	w.dear = w.dear[:len(w.dear)/10]
	return w
}

// target is an item of the middle that is to be pushed.
func (w *world) target(r *rand.Rand) string {
	n := len(w.items)
	return w.items[n/4+r.IntN(n/4)]
}

// moment is a time within the last so many days.
func (w *world) moment(r *rand.Rand, days int) time.Time {
	return w.end.Add(-time.Duration(r.IntN(days*86400)) * time.Second)
}

// popular is an item that hides an attacker among the others.
func (w *world) popular(r *rand.Rand) string { return w.items[r.IntN(len(w.items)/10)] }

func (w *world) bought(who features.UserKey, item, market, order, device, coupon string, quantity int32, at time.Time) features.Event {
	e := features.Event{Type: features.Purchase, User: who, Item: item, Market: market, Order: order, Quantity: quantity, Price: w.price[item], Time: at}
	e.Attributes = map[string]string{risk.DeviceAttribute: device}
	if coupon != "" {
		e.Attributes[risk.CouponAttribute] = coupon
	}
	return e
}

// plant plans one attack.
func (w *world) plant(kind risk.Kind, r *rand.Rand) *planted {
	p := &planted{kind: kind, target: w.target(r), who: map[features.UserKey]bool{}}
	switch kind {
	case risk.ClickFraud:
		w.clickFraud(p, r)
	case risk.CouponAbuse:
		w.couponAbuse(p, r)
	case risk.Takeover:
		w.takeover(p, r)
	case risk.ReviewRing:
		w.reviewRing(p, r)
	}
	return p
}

// clickFraud: ten accounts that click the item day by day among other items, ten
// that do so for an hour at irregular times, and sixty visits of one or two
// clicks on one day.
func (w *world) clickFraud(p *planted, r *rand.Rand) {
	for n := range 10 {
		who := keyOf("slow clicker %d %d", n, r.Uint64())
		start := w.moment(r, 40)
		for day := range 12 {
			at := start.Add(time.Duration(day)*24*time.Hour + time.Duration(r.IntN(40000))*time.Second)
			for range 4 + r.IntN(5) {
				at = at.Add(time.Duration(20+r.ExpFloat64()*120) * time.Second)
				item := p.target
				if r.Float64() < .2 {
					item = w.popular(r)
				}
				p.add(looked(who, features.UserKey{}, item, "United Kingdom", at))
			}
		}
	}
	for n := range 10 {
		who := keyOf("fast clicker %d %d", n, r.Uint64())
		at := w.moment(r, 40)
		for range 30 + r.IntN(50) {
			at = at.Add(time.Duration(5+r.ExpFloat64()*60) * time.Second)
			item := p.target
			if r.Float64() < .25 {
				item = w.popular(r)
			}
			p.add(looked(who, features.UserKey{}, item, "United Kingdom", at))
		}
	}
	day := w.moment(r, 40).Truncate(24 * time.Hour)
	for n := range 60 {
		who := keyOf("visit of a farm %d %d", n, r.Uint64())
		at := day.Add(time.Duration(r.IntN(86400-3600)) * time.Second)
		for range 1 + r.IntN(2) {
			p.add(looked(features.UserKey{}, who, p.target, "United Kingdom", at))
			at = at.Add(time.Duration(10+r.IntN(200)) * time.Second)
		}
		if r.Float64() < .3 {
			p.add(looked(features.UserKey{}, who, w.popular(r), "United Kingdom", at))
		}
	}
}

// couponAbuse: eight accounts that use one coupon in most of their orders, and
// two farms of new accounts, one on five devices, one on a device each, that buy
// the item with a coupon within two days.
func (w *world) couponAbuse(p *planted, r *rand.Rand) {
	for n := range 8 {
		who := keyOf("collector %d %d", n, r.Uint64())
		start := w.moment(r, 40)
		uses := 6 + r.IntN(7)
		for o := range uses + r.IntN(3) {
			at := start.Add(time.Duration(o*24+r.IntN(20)) * time.Hour)
			coupon := "WELCOME"
			if o >= uses {
				coupon = ""
			}
			for _, item := range []string{p.target, w.popular(r)} {
				p.add(w.bought(who, item, "United Kingdom", fmt.Sprint(who, o), "own "+who.String(), coupon, 1+r.Int32N(3), at))
			}
		}
	}
	for n := range 50 {
		who := keyOf("account of a farm %d %d", n, r.Uint64())
		device := "own " + who.String()
		if n < 25 {
			device = fmt.Sprint("farm ", r.IntN(5))
		}
		at := w.end.Add(-20 * 24 * time.Hour).Truncate(24 * time.Hour).Add(time.Duration(r.IntN(2*86400)) * time.Second)
		p.add(w.bought(who, p.target, "United Kingdom", fmt.Sprint(who), device, "WELCOME", 1+r.Int32N(3), at))
		if r.Float64() < .3 {
			p.add(w.bought(who, w.popular(r), "United Kingdom", fmt.Sprint(who), device, "WELCOME", 1, at))
		}
	}
}

// takeover: thirty established accounts in which somebody else orders the item
// and dear ones within hours, from another device; two thirds of them from
// another market, and each at some multiple of what the account spends.
func (w *world) takeover(p *planted, r *rand.Rand) {
	orders := map[features.UserKey]map[string]bool{}
	home, since := map[features.UserKey]string{}, map[features.UserKey]time.Time{}
	var all []features.UserKey
	for i := range w.real {
		e := &w.real[i]
		if e.Type != features.Purchase || e.User.IsZero() {
			continue
		}
		if orders[e.User] == nil {
			orders[e.User] = map[string]bool{}
			since[e.User] = e.Time
			all = append(all, e.User)
		}
		orders[e.User][e.Order] = true
		home[e.User] = e.Market
	}
	all = slices.DeleteFunc(all, func(k features.UserKey) bool { return len(orders[k]) < 5 })
	for n := range 30 {
		who := all[r.IntN(len(all))]
		market := home[who]
		for n%3 != 0 && market == home[who] {
			market = w.markets[r.IntN(len(w.markets))]
		}
		at := w.moment(r, 30)
		for range 100 {
			if since[who].Before(at) {
				break
			}
			at = w.moment(r, 30) // nobody takes over an account that is not there yet
		}
		device := fmt.Sprint("thief ", r.Uint64())
		for o := range 2 + r.IntN(3) {
			for range 2 + r.IntN(3) {
				p.add(w.bought(who, w.dear[r.IntN(len(w.dear))], market, fmt.Sprint("theft ", who, o), device, "", 20+r.Int32N(80), at))
			}
			p.add(w.bought(who, p.target, market, fmt.Sprint("theft ", who, o), device, "", 10, at))
			at = at.Add(time.Duration(5+r.IntN(90)) * time.Minute)
		}
	}
}

// reviewRing: three rings of eight to fourteen accounts; each praises five to
// eight of ten items within two days, the pushed one always, and now and then
// an item of others, on another day, as anybody would.
func (w *world) reviewRing(p *planted, r *rand.Rand) {
	for ring := range 3 {
		start := w.moment(r, 40)
		items := []string{p.target}
		for range 9 {
			items = append(items, w.target(r))
		}
		for n := range 8 + r.IntN(7) {
			who := keyOf("reviewer %d %d %d", ring, n, r.Uint64())
			praise := func(item string, stars float64, at time.Time) {
				p.add(features.Event{Type: features.Review, User: who, Item: item, Market: "United Kingdom", Value: stars, Time: at})
			}
			praise(p.target, 5, start.Add(time.Duration(r.IntN(48*60))*time.Minute))
			for _, at := range r.Perm(9)[:4+r.IntN(4)] {
				praise(items[1+at], 5, start.Add(time.Duration(r.IntN(48*60))*time.Minute))
			}
			for range r.IntN(5) {
				praise(w.popular(r), honestStars(r), w.moment(r, 60))
			}
		}
	}
}
