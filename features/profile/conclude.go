package profile

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/attune-rec/attune/features"
)

// The lifecycle's states.
const (
	New    = "new"
	Active = "active"
	Loyal  = "loyal"
	AtRisk = "at_risk"
	Lost   = "lost"
)

const (
	usualGap   = 45.0 // days from order to order of a shopper who has no rhythm yet
	minGap     = 14.0
	maxGap     = 120.0
	newDays    = 30.0
	interests  = 10 // names kept of each kind
	minPiece   = 5  // purchases or visits below which no tag is given
	sureEnough = .9
)

// Profile is what is concluded at now. Ref may be nil: then nothing is said
// about categories, brands, prices and motives. The same state, reference and
// time give the same profile to the bit.
func (s *State) Profile(ref *Reference, now time.Time) *features.Profile {
	p := new(features.Profile)
	s.ProfileInto(p, ref, now)
	return p
}

// ProfileInto is Profile into p, in whose lists it writes.
func (s *State) ProfileInto(p *features.Profile, ref *Reference, now time.Time) {
	*p = features.Profile{
		PriceLevel: .5, Sensitivity: 1, Categories: p.Categories[:0], Brands: p.Brands[:0], Words: p.Words[:0], Tags: p.Tags[:0],
	}
	if s.first == 0 {
		return
	}
	p.First, p.Last = clock(s.first), clock(s.last)
	p.Market = string(s.named(s.most(market).name))
	p.Channel = string(s.named(s.most(channel).name))
	p.Social = features.Social{Shares: int(s.shares), Voices: int(s.voices), Follows: int(s.follows)}
	p.Orders = len(s.orders)
	p.Spent = float64(s.spent) / 1e6
	p.Pieces = int(s.bought - s.back)
	if s.bought > 0 {
		p.ReturnShare = float64(s.back) / float64(s.bought)
	}
	if p.Orders > 0 {
		p.RecencyDays = max(0, now.Sub(clock(s.lastOrder)).Hours()/24)
	}
	if p.Orders > 1 {
		p.GapDays = float64(s.lastOrder-s.firstOrder) / float64(day.Milliseconds()) / float64(p.Orders-1)
	}
	p.Lifecycle = lifecycle(p, now)
	if ref != nil {
		s.interests(p, ref, now)
		s.prices(p, ref)
	}
	s.scene(p)
}

func clock(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// lifecycle measures a shopper's silence by the shopper's own rhythm.
func lifecycle(p *features.Profile, now time.Time) string {
	gap := usualGap
	if p.Orders > 1 {
		gap = min(max(p.GapDays, minGap), maxGap)
	}
	silence := now.Sub(p.Last).Hours() / 24
	if p.Orders > 0 {
		silence = p.RecencyDays
	}
	switch {
	case silence > 4*gap:
		return Lost
	case silence > 2*gap:
		return AtRisk
	case p.Orders <= 1 && now.Sub(p.First).Hours()/24 <= newDays:
		return New
	case p.Orders >= 4:
		return Loyal
	}
	return Active
}

func (s *State) interests(p *features.Profile, ref *Reference, now time.Time) {
	r := ref.room()
	defer ref.rooms.Put(r)
	categories, brands, words := &r[0], &r[1], &r[2]
	ms := now.UnixMilli()
	for i := range s.items {
		it := &s.items[i]
		at := ref.slotOf(it.hash)
		if at.at == 0 {
			continue
		}
		w := it.weight * decay(max(0, ms-it.at))
		if at.leaf >= 0 {
			categories.add(at.leaf, w)
		}
		if at.brand >= 0 {
			brands.add(at.brand, w)
		}
		if ref.bare {
			for _, word := range ref.places[at.at-1].words {
				words.add(word.number, word.weight*w)
			}
		}
	}
	p.Categories, p.Brands, p.Words = categories.top(p.Categories, ref.names), brands.top(p.Brands, ref.names), words.top(p.Words, ref.names)
}

// board sums weights by name, in the order in which they come.
type board struct {
	places []int32 // of each name among the votes, from 1; 0: none
	votes  []vote
}

// vote is the weight of a name, by its number.
type vote struct {
	number int32
	weight float64
}

func (b *board) add(number int32, w float64) {
	if at := b.places[number]; at > 0 {
		b.votes[at-1].weight += w
		return
	}
	b.votes = append(b.votes, vote{number, w})
	b.places[number] = int32(len(b.votes)) // #nosec G115 -- as many as there are names
}

// top appends the names of most weight to out, as shares of all that is above
// nothing. It leaves the board empty.
func (b *board) top(out []features.Weighted, names []string) []features.Weighted {
	var room [interests]vote
	best := room[:0]
	sum := 0.0
	for _, v := range b.votes {
		b.places[v.number] = 0
		if v.weight <= 0 {
			continue
		}
		sum += v.weight
		at := len(best)
		for at > 0 && (best[at-1].weight < v.weight || best[at-1].weight == v.weight && names[v.number] < names[best[at-1].number]) {
			at--
		}
		switch {
		case at == interests:
			continue
		case len(best) < interests:
			best = best[:len(best)+1]
		}
		copy(best[at+1:], best[at:])
		best[at] = v
	}
	b.votes = b.votes[:0]
	out = slices.Grow(out, len(best))
	for _, v := range best {
		out = append(out, features.Weighted{Name: names[v.number], Weight: v.weight / sum})
	}
	return out
}

// prior is how many purchases like everybody's each shopper is taken to have
// made besides their own: few of one's own are mostly chance. It is the strength
// of the beta distribution that fits the shares of discounted goods among the
// households of dunnhumby's sample in weeks 1 to 13; the other motives are told
// by what goods are, and halves of a history agree on them as they stand.
var prior = [motives]float64{value: 30}

var motiveTags = [motives]struct{ name, did string }{
	value:         {"value", "were bought at least 5 % below their usual price"},
	quality:       {"quality", "are among the dearest quarter of their kind"},
	individuality: {"individuality", "are among the seldom sold goods"},
}

// IsMotive reports whether a tag says why a shopper buys; the others say when
// and with what.
func IsMotive(tag string) bool {
	for _, m := range motiveTags {
		if m.name == tag {
			return true
		}
	}
	return false
}

// prices takes the price level, the sensitivity to prices, the motives and the
// life style from what was paid.
func (s *State) prices(p *features.Profile, ref *Reference) {
	var hits [motives]float64
	r := ref.room()
	defer ref.rooms.Put(r)
	kinds := &r[3]
	n, levels, compared := 0.0, 0.0, 0.0
	since := int64(0)
	for i := range s.items {
		it := &s.items[i]
		b := s.sold(it)
		if b == nil || b.paid <= 0 {
			continue
		}
		at := ref.placeOf(it.hash)
		if at == nil {
			continue
		}
		lines := float64(b.lines)
		price := float64(b.paid) / float64(b.pieces) / 1e6
		level, ok := at.level(price)
		if ok {
			levels += level * lines
			compared += lines
		}
		n += lines
		if at.top >= 0 {
			kinds.add(at.top, lines)
		}
		for m, yes := range at.speaks(price, level, ok) {
			if yes && m == value {
				hits[m] += lines - float64(b.told)
			} else if yes {
				hits[m] += lines
			}
		}
		hits[value] += float64(b.cut)
		if since == 0 || b.first < since {
			since = b.first
		}
	}
	if compared > 0 {
		p.PriceLevel = levels / compared
	}
	if n > 0 {
		p.Sensitivity = (hits[value] + prior[value]*ref.base[value]) / (n + prior[value]) / ref.base[value]
	}
	defer kinds.clear()
	if n < minPiece {
		return
	}
	ref.styles(p, kinds, since)
	for m, tag := range motiveTags {
		base := ref.base[m]
		sure := normal((hits[m] - n*base - .5) / math.Sqrt(n*base*(1-base)))
		if share := (hits[m] + prior[m]*base) / (n + prior[m]); sure < sureEnough || share < 1.25*base {
			continue
		}
		p.Tags = append(p.Tags, features.Tag{
			Name: tag.name, Confidence: sure, Since: clock(since),
			Evidence: fmt.Sprintf("%.0f of %.0f purchases %s; %.0f %% among all shoppers", hits[m], n, tag.did, 100*base),
		})
	}
}

var (
	partTags   = [4]string{"night", "morning", "afternoon", "evening"}
	seasonTags = [4]string{"winter", "spring", "summer", "autumn"}
)

// scene says when and with what a shopper comes.
func (s *State) scene(p *features.Profile) {
	n := float64(s.visits)
	if n < minPiece {
		return
	}
	tag := func(name string, hits int64, atLeast float64, when func() string) {
		if float64(hits)/n < atLeast {
			return
		}
		p.Tags = append(p.Tags, features.Tag{
			Name: name, Confidence: normal((float64(hits) - n*atLeast/1.5) / math.Sqrt(n*.25)), Since: clock(s.first),
			Evidence: fmt.Sprintf("%d of %d visits %s", hits, s.visits, when()),
		})
	}
	for i, name := range partTags {
		tag(name, s.parts[i], .6, func() string { return fmt.Sprintf("from %d to %d o'clock", 6*i, 6*i+6) })
	}
	tag("weekend", s.weekend, .5, func() string { return "on Saturday or Sunday" })
	if s.last-s.first >= 300*day.Milliseconds() {
		for i, name := range seasonTags {
			tag(name, s.seasons[i], .5, func() string { return "in " + name })
		}
	}
	if d := s.most(device); d.n > 0 {
		name := string(s.named(d.name))
		tag("device:"+name, d.n, .6, func() string { return "with " + name })
	}
}

// most is the market, device or channel seen most often, the first seen of equals.
func (s *State) most(w what) count {
	var top count
	for _, c := range s.tallies {
		if c.what == w && c.n > top.n {
			top = c
		}
	}
	return top
}

// normal is the standard normal distribution function.
func normal(z float64) float64 { return .5 * math.Erfc(-z/math.Sqrt2) }
