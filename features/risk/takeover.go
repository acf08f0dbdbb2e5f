package risk

import (
	"fmt"
	"math"
	"time"

	"github.com/attune-rec/attune/features"
)

// orders finds stretches of an established account that are not like what it
// did before: another market, another device, far larger sums, many orders at
// once. Only those stretches are affected.
type orders map[features.UserKey]*[]episode

// episode is orders that follow one another within half a day.
type episode struct {
	span
	ids     map[string]float64 // value by order
	markets map[string]bool
	devices map[string]bool
}

const (
	episodeGap  = 12 * time.Hour
	established = 3 // episodes before one can be unlike them
)

func (o orders) fold(who features.UserKey, e *features.Event) {
	if e.Type != features.Purchase {
		return
	}
	of := o[who]
	if of == nil {
		of = new([]episode)
		o[who] = of
	}
	n := len(*of)
	if n == 0 || e.Time.Sub((*of)[n-1].last) > episodeGap {
		*of = append(*of, episode{ids: map[string]float64{}, markets: map[string]bool{}, devices: map[string]bool{}})
		n++
	}
	x := &(*of)[n-1]
	x.add(e)
	x.ids[e.Order] += e.Price.Units() * float64(max(e.Quantity, 1))
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

func (o orders) flags() (out []Flag) {
	for who, all := range o {
		p := past{markets: map[string]bool{}, devices: map[string]bool{}}
		var worst Flag
		for i := range *all {
			x := &(*all)[i]
			if p.episodes >= established {
				f := x.flag(who, Takeover, p.unlike(x)...)
				f.To = x.to
				if f.Score >= Certain && worst.Score >= Certain && x.first.Sub(worst.Last) < 14*24*time.Hour {
					worst.To, worst.Last, worst.Events = f.To, f.Last, worst.Events+f.Events // it goes on
				} else if f.Score > worst.Score {
					worst = f
				}
				if f.Score >= Certain {
					continue // what somebody else did is not the account's past
				}
			}
			p.add(x)
		}
		if worst.Score > 0 {
			out = append(out, worst)
		}
	}
	return out
}

func (p *past) add(x *episode) {
	for m := range x.markets {
		p.markets[m] = true
	}
	for d := range x.devices {
		p.devices[d] = true
	}
	for _, v := range x.ids {
		p.values = append(p.values, math.Log(max(v, .01)))
	}
	if p.episodes > 0 {
		p.longest = max(p.longest, x.first.Sub(p.last))
	}
	p.most, p.episodes, p.last = max(p.most, len(x.ids)), p.episodes+1, x.last
}

// unlike are the reasons why an episode is not the account's own.
func (p *past) unlike(x *episode) []Reason {
	values := append([]float64(nil), p.values...)
	median := middle(values)
	for i := range values {
		values[i] = math.Abs(values[i] - median)
	}
	scale := max(leastScale, 1.4826*middle(values))
	highest, total := 0., 0.
	for _, v := range x.ids {
		highest, total = max(highest, v), total+v
	}
	z := (math.Log(max(highest, .01)) - median) / scale
	gap := x.first.Sub(p.last)
	market, device := unknown(x.markets, p.markets), unknown(x.devices, p.devices)
	known := func(is bool, w float64) float64 {
		if is {
			return w
		}
		return 0
	}
	return []Reason{
		{
			Signal: "new_market", Value: 1, Usual: 0, Weight: known(market != "" && len(p.markets) > 0, .6),
			Text: fmt.Sprintf("orders from %s, where the account never ordered from", market),
		},
		{
			Signal: "new_device", Value: 1, Usual: 0, Weight: known(device != "" && len(p.devices) > 0, .4),
			Text: "a device the account never used",
		},
		{
			Signal: "sum", Value: highest, Usual: math.Exp(median), Weight: .55 * grade(z, 1.5, 3.5),
			Text: fmt.Sprintf("an order of %.2f where %.2f is the account's own", highest, math.Exp(median)),
		},
		{
			Signal: "orders_at_once", Value: float64(len(x.ids)), Usual: float64(p.most),
			Weight: .45 * grade(float64(len(x.ids))/float64(max(p.most, 1)), 1.2, 2.5),
			Text:   fmt.Sprintf("%d orders at once where %d is the account's most", len(x.ids), p.most),
		},
		{
			Signal: "silence", Value: gap.Hours() / 24, Usual: p.longest.Hours() / 24,
			Weight: .2 * grade(gap.Hours()/max(p.longest.Hours(), 24), 1.5, 3),
			Text:   fmt.Sprintf("after %.0f days of silence, %.0f at most before", gap.Hours()/24, p.longest.Hours()/24),
		},
	}
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
