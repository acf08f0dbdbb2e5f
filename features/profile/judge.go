package profile

import (
	"slices"
	"time"

	"github.com/attune-rec/attune/features"
)

// Agreement is how the halves of histories agree on a motive, or on the style of
// life that a shopper has most of: an order goes to
// one half, the next to the other.
type Agreement struct {
	Motive   string  `json:"motive"`
	Shoppers int     `json:"shoppers"` // with enough purchases in both halves
	Same     float64 `json:"same"`     // share whose halves both carry the tag, or both do not
	Both     int     `json:"both"`     // both halves carry it
	Either   int     `json:"either"`   // at least one does
}

// Halves splits each history's purchases, in log order, and compares what is
// concluded of either half. Histories with fewer than least purchases in a half
// are left out.
func Halves(histories [][]features.Event, ref *Reference, least int) []Agreement {
	out := make([]Agreement, motives+1)
	for m, tag := range motiveTags {
		out[m].Motive = tag.name
	}
	out[motives].Motive = "style"
	for _, events := range histories {
		var halves [2]State
		var lines [2]int
		orders := map[string]int{}
		for i := range events {
			e := &events[i]
			if e.Type != features.Purchase {
				continue
			}
			order := e.Order
			if order == "" {
				order = e.Time.UTC().Format(time.DateOnly)
			}
			n, known := orders[order]
			if !known {
				n = len(orders)
				orders[order] = n
			}
			lines[n%2]++
			halves[n%2].Update(e)
		}
		if lines[0] < least || lines[1] < least {
			continue
		}
		a, b := halves[0].Profile(ref, clock(halves[0].last)), halves[1].Profile(ref, clock(halves[1].last))
		for m := range out {
			x, y := carried(a, out[m].Motive), carried(b, out[m].Motive)
			out[m].Shoppers++
			if x == y {
				out[m].Same++
			}
			if x == y && x != "" {
				out[m].Both++
			}
			if x != "" || y != "" {
				out[m].Either++
			}
		}
	}
	for m := range out {
		out[m].Same /= float64(max(1, out[m].Shoppers))
	}
	return out
}

// carried is the tag that a profile carries of a motive, or the first of its
// styles; "" for none.
func carried(p *features.Profile, motive string) string {
	for _, t := range p.Tags {
		if t.Name == motive || motive == "style" && IsStyle(t.Name) {
			return t.Name
		}
	}
	return ""
}

func carries(p *features.Profile, tag string) bool {
	return slices.ContainsFunc(p.Tags, func(t features.Tag) bool { return t.Name == tag })
}

// Bargains is what those who carried `value` at a time bought after it, beside
// all others.
type Bargains struct {
	At       time.Time `json:"at"`    // the tags are of what was bought before
	Until    time.Time `json:"until"` // looked at until then
	Shoppers int       `json:"shoppers"`
	Tagged   int       `json:"tagged"`
	Lines    int       `json:"lines"`  // that the tagged bought after
	Share    float64   `json:"share"`  // of them, at a discount
	Others   float64   `json:"others"` // the same of all others
}

// Ratio is how many times as often the tagged bought at a discount.
func (b *Bargains) Ratio() float64 { return b.Share / b.Others }

// Ahead tags shoppers by their purchases before at, by goods measured by these
// alone, and looks at their purchases from at to until.
func Ahead(histories [][]features.Event, items features.Catalog, at, until time.Time) Bargains {
	out := Bargains{At: at, Until: until}
	ref := NewReference(items, func(yield func(features.Event) bool) {
		for _, events := range histories {
			for _, e := range events {
				if e.Time.Before(at) && !yield(e) {
					return
				}
			}
		}
	})
	var lines, cuts [2]int
	for _, events := range histories {
		var s State
		n, bought, cut := 0, 0, 0
		for i := range events {
			switch e := &events[i]; {
			case e.Time.Before(at):
				s.Update(e)
				if e.Type == features.Purchase {
					n++
				}
			case e.Time.Before(until) && e.Type == features.Purchase && !e.Price.IsZero():
				bought++
				yes, told := discounted(e)
				if at := ref.place(e.Item); !told && at != nil {
					yes = at.speaks(e.Price.Units(), 0, false)[value]
				}
				if yes {
					cut++
				}
			}
		}
		if n < minPiece {
			continue
		}
		out.Shoppers++
		group := 1
		if carries(s.Profile(ref, at), motiveTags[value].name) {
			out.Tagged++
			group = 0
		}
		lines[group] += bought
		cuts[group] += cut
	}
	out.Lines = lines[0]
	out.Share, out.Others = float64(cuts[0])/float64(max(1, lines[0])), float64(cuts[1])/float64(max(1, lines[1]))
	return out
}
