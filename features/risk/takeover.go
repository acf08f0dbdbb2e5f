package risk

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/attune-rec/attune/features"
)

// orders finds stretches of an established account that are not like what it
// did before: another market, another device, far larger sums, many orders at
// once. Only those stretches are affected.
type orders map[features.UserKey]*[]episode

// episode is orders that follow one another within three hours.
type episode struct {
	span
	ids     map[string]*order
	markets map[string]bool
	devices map[string]bool
	items   map[string]bool
}

// order is one of an episode.
type order struct {
	value          float64
	from, to       int64
	market, device string
}

const (
	episodeGap  = 3 * time.Hour
	established = 3 // episodes before one can be unlike them by its sums; of fewer, only market and device say something
)

func (o orders) fold(who features.UserKey, e *features.Event) {
	if e.Type != features.Purchase {
		return
	}
	all := o[who]
	if all == nil {
		all = new([]episode)
		o[who] = all
	}
	n := len(*all)
	if n == 0 || e.Time.Sub((*all)[n-1].last) > episodeGap {
		*all = append(*all, episode{ids: map[string]*order{}, markets: map[string]bool{}, devices: map[string]bool{}, items: map[string]bool{}})
		n++
	}
	x := &(*all)[n-1]
	x.add(e)
	x.items[e.Item] = true
	if e.Market != "" {
		x.markets[e.Market] = true
	}
	device := e.Attributes[DeviceAttribute]
	if device == "" {
		device = e.Device
	}
	if device != "" {
		x.devices[device] = true
	}
	of := x.ids[e.Order]
	if of == nil {
		of = &order{from: e.Seq, market: e.Market, device: device}
		x.ids[e.Order] = of
	}
	of.to, of.value = e.Seq, of.value+e.Price.Units()*float64(max(e.Quantity, 1))
}

// parts are the orders of an episode that are not the account's own: those from
// a market or device it does not know, or all where it knows both.
func (p *past) parts(x *episode) (parts [][2]int64) {
	for _, strange := range []func(*order) bool{
		func(o *order) bool {
			return o.market != "" && len(p.markets) > 0 && !p.markets[o.market] || o.device != "" && len(p.devices) > 0 && !p.devices[o.device]
		},
		func(*order) bool { return true },
	} {
		for _, o := range x.ids {
			if strange(o) {
				parts = append(parts, [2]int64{o.from, o.to})
			}
		}
		if len(parts) > 0 {
			break
		}
	}
	slices.SortFunc(parts, func(a, b [2]int64) int { return cmp.Compare(a[0], b[0]) })
	return parts
}

// past is what an account did up to an episode.
type past struct {
	markets, devices map[string]bool
	episodes         int
	values           []float64 // logarithms, of orders
	most             int       // orders in an episode
	longest          time.Duration
	last             time.Time
}

// candidate is an episode that may be somebody else's.
type candidate struct {
	Flag
	items   map[string]bool
	strange bool // another market or device, not only other sums
	young   bool // the account has too short a past for other signs
	alone   bool // one order, and from a market it knows
}

const (
	doubted    = .49 // who is in bad company needs a reason of their own: a new device is one
	companyFor = 30 * 24 * time.Hour
	inCompany  = 3 // accounts that bought the same are company
)

func (o orders) flags() (out []Flag) {
	var found []candidate
	for who, all := range o {
		p := past{markets: map[string]bool{}, devices: map[string]bool{}}
		for i := range *all {
			x := &(*all)[i]
			if p.episodes > 0 {
				f := x.flag(who, Takeover, p.unlike(x)...)
				f.To, f.Parts = x.to, p.parts(x)
				if f.Score > 0 {
					has := func(signal string) bool {
						return slices.ContainsFunc(f.Reasons, func(r Reason) bool { return r.Signal == signal })
					}
					found = append(found, candidate{
						Flag: f, items: x.items, strange: has(newMarket) || has(newDevice),
						young: p.episodes < established, alone: len(f.Parts) < 2 && !has(newMarket),
					})
				}
				if f.Score >= Certain {
					continue // what somebody else did is not the account's past
				}
			}
			p.add(x)
		}
	}
	company(found)
	of := map[features.UserKey]int{} // place in out
	for i := range found {
		f := found[i].Flag
		at, ok := of[f.Subject]
		switch {
		case !ok:
			of[f.Subject] = len(out)
			out = append(out, f)
		case f.Score >= Certain && out[at].Score >= Certain: // once more
			w := &out[at]
			w.Parts, w.To, w.Last, w.Events = append(w.Parts, f.Parts...), f.To, f.Last, w.Events+f.Events
		case f.Score > out[at].Score:
			out[at] = f
		}
	}
	return out
}

// company adds to candidates in doubt how many accounts that were certainly
// taken over bought the same items in the same weeks: one thief has many
// accounts, and orders little that others of them do not. One order from a new
// device is what anybody does who bought one, and counts for less there than
// several.
func company(found []candidate) {
	sure := map[string][]time.Time{}
	for i := range found {
		if found[i].Score >= Certain {
			for item := range found[i].items {
				sure[item] = append(sure[item], found[i].First)
			}
		}
	}
	for i := range found {
		f := &found[i]
		if f.Score >= Certain || f.Score < doubted && !f.young || !f.strange {
			continue
		}
		most, shared := 0, 0 // accounts that bought one of the items; items that enough of them bought
		for item := range f.items {
			n := 0
			for _, at := range sure[item] {
				if d := at.Sub(f.First); d < companyFor && d > -companyFor {
					n++
				}
			}
			if most = max(most, n); n >= inCompany {
				shared++
			}
		}
		full := .9
		if f.alone {
			full = .4
		}
		share := float64(shared) / float64(max(len(f.items), 1))
		if w := full * grade(float64(most), inCompany, 8) * grade(share, .02, .06); w > 0 {
			f.Reasons = append(f.Reasons, Reason{
				Signal: "company", Value: float64(most), Usual: 0, Weight: w,
				Text: fmt.Sprintf("bought what %d accounts bought that were taken over in the same weeks", most),
			})
			f.Score = 1 - (1-f.Score)*(1-w)
		}
	}
}

func (p *past) add(x *episode) {
	for m := range x.markets {
		p.markets[m] = true
	}
	for d := range x.devices {
		p.devices[d] = true
	}
	for _, o := range x.ids {
		p.values = append(p.values, math.Log(max(o.value, .01)))
	}
	if p.episodes > 0 {
		p.longest = max(p.longest, x.first.Sub(p.last))
	}
	p.most, p.episodes, p.last = max(p.most, len(x.ids)), p.episodes+1, x.last
}

// The signals that say that somebody else may be acting.
const (
	newMarket = "new_market"
	newDevice = "new_device"
)

// unlike are the reasons why an episode is not the account's own.
func (p *past) unlike(x *episode) []Reason {
	values := append([]float64(nil), p.values...)
	median := middle(values)
	for i := range values {
		values[i] = math.Abs(values[i] - median)
	}
	scale := max(leastScale, 1.4826*middle(values))
	highest := 0.
	for _, o := range x.ids {
		highest = max(highest, o.value)
	}
	z := (math.Log(max(highest, .01)) - median) / scale
	gap := x.first.Sub(p.last)
	market, device := unknown(x.markets, p.markets), unknown(x.devices, p.devices)
	known := func(is bool, w float64) float64 {
		switch {
		case !is:
			return 0
		case p.episodes < established:
			return .6 * w
		}
		return w
	}
	byDevice, bySilence := .5, .2
	if len(x.ids) < 2 {
		byDevice = .25 // one order from a new device is what anybody does who bought one
		bySilence = 0  // and after a silence, who comes back
	}
	own := []Reason{
		{
			Signal: newMarket, Value: 1, Usual: 0, Weight: known(market != "" && len(p.markets) > 0, .7),
			Text: fmt.Sprintf("orders from %s, where the account never ordered from", market),
		},
		{
			Signal: newDevice, Value: 1, Usual: 0, Weight: known(device != "" && len(p.devices) > 0, byDevice),
			Text: "a device the account never used",
		},
	}
	if p.episodes < established {
		return own
	}
	return append(own, []Reason{
		{
			Signal: "sum", Value: highest, Usual: math.Exp(median), Weight: .7 * grade(z, 1, 2.5),
			Text: fmt.Sprintf("an order of %.2f where %.2f is the account's own", highest, math.Exp(median)),
		},
		{
			Signal: "orders_at_once", Value: float64(len(x.ids)), Usual: float64(p.most),
			Weight: .35 * grade(float64(len(x.ids))/float64(max(p.most, 1)), 1, 2),
			Text:   fmt.Sprintf("%d orders at once where %d is the account's most", len(x.ids), p.most),
		},
		{
			Signal: "silence", Value: gap.Hours() / 24, Usual: p.longest.Hours() / 24,
			Weight: bySilence * grade(gap.Hours()/max(p.longest.Hours(), 24), 1.5, 3),
			Text:   fmt.Sprintf("after %.0f days of silence, %.0f at most before", gap.Hours()/24, p.longest.Hours()/24),
		},
	}...)
}

// unknown is one of found that is not among known, the first by name.
func unknown(found, known map[string]bool) string {
	best := ""
	for f := range found {
		if !known[f] && (best == "" || f < best) {
			best = f
		}
	}
	return best
}
