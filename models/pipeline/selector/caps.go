package selector

import (
	"fmt"
	"math"
	"math/bits"
	"sync"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/pipeline"
)

// caps drops what would be one too many of a category, brand, seller or group
// of variants, among all it lets through.
type caps struct {
	limits capsParams
	pool   sync.Pool // of *tally
}

type capsParams struct {
	Category int `json:"category"` // items of one leaf category; 0: any number
	Brand    int `json:"brand"`
	Seller   int `json:"seller"`
	Group    int `json:"group"` // variants of one item
}

// coded is a catalogue that knows what items share by numbers.
// catalog.Snapshot is one.
type coded interface {
	Codes(row features.Row) (catalog.Codes, bool)
}

// tally counts what was let through, by text or by code.
type tally struct {
	category, brand, seller, group map[string]int

	counters [4]counter // of the same four
	codes    []catalog.Codes
}

func newCaps(spec models.ComponentSpec, _ pipeline.Env) (pipeline.Selector, error) {
	p := capsParams{}
	if err := pipeline.Params(spec.Params, &p); err != nil {
		return nil, err
	}
	if p.Category < 0 || p.Brand < 0 || p.Seller < 0 || p.Group < 0 || p == (capsParams{}) {
		return nil, fmt.Errorf("caps %+v: expected at least one above 0 and none below", p)
	}
	s := &caps{limits: p}
	s.pool.New = func() any {
		return &tally{category: map[string]int{}, brand: map[string]int{}, seller: map[string]int{}, group: map[string]int{}}
	}
	return s, nil
}

// Name implements pipeline.Selector.
func (*caps) Name() string { return "caps" }

// Select implements pipeline.Selector.
func (s *caps) Select(r *features.Request, cs []pipeline.Candidate) []pipeline.Candidate {
	if r.Catalog == nil {
		return cs
	}
	t := s.pool.Get().(*tally)
	defer s.pool.Put(t)
	if codes, ok := r.Catalog.(coded); ok {
		return s.byCodes(codes, t, cs)
	}
	clear(t.category)
	clear(t.brand)
	clear(t.seller)
	clear(t.group)
	out := cs[:0]
	for _, c := range cs {
		it := r.Catalog.Item(c.Row)
		if it == nil {
			continue
		}
		leaf := ""
		if s.limits.Category > 0 && len(it.Category) > 0 {
			leaf = it.Category[len(it.Category)-1]
		}
		if full(t.category, leaf, s.limits.Category) || full(t.brand, it.Brand, s.limits.Brand) ||
			full(t.seller, it.Seller, s.limits.Seller) || full(t.group, it.Group, s.limits.Group) {
			continue
		}
		count(t.category, leaf, s.limits.Category)
		count(t.brand, it.Brand, s.limits.Brand)
		count(t.seller, it.Seller, s.limits.Seller)
		count(t.group, it.Group, s.limits.Group)
		out = append(out, c)
	}
	return out
}

// byCodes is Select by numbers.
func (s *caps) byCodes(codes coded, t *tally, cs []pipeline.Candidate) []pipeline.Candidate {
	// All are looked up before any is judged: the judgements are hard to foretell,
	// and looking up waits for memory.
	known, n := t.codes[:0], 0
	for i := range cs {
		if k, ok := codes.Codes(cs[i].Row); ok {
			known = append(known, k)
			if n < i {
				cs[n] = cs[i]
			}
			n++
		}
	}
	t.codes = known
	limits := [...]int{s.limits.Category, s.limits.Brand, s.limits.Seller, s.limits.Group}
	if limits == [...]int{0, 0, 0, limits[3]} { // as most recipes have it
		t.counters[3].reset(limits[3], n)
		return byGroup(&t.counters[3], known, cs)
	}
	for of, limit := range limits {
		if limit > 0 {
			t.counters[of].reset(limit, n)
		}
	}
	out := cs[:0]
next:
	for i := range known {
		k := &known[i]
		own := [...]int32{k.Category, k.Brand, k.Seller, k.Group}
		var at [len(limits)]int
		for of, limit := range limits {
			if at[of] = nowhere; limit > 0 && own[of] != 0 {
				if at[of] = t.counters[of].of(own[of]); t.counters[of].full(at[of]) {
					continue next
				}
			}
		}
		for of, slot := range at {
			if slot != nowhere {
				t.counters[of].count(slot, own[of])
			}
		}
		out = append(out, cs[i])
	}
	return out
}

// byGroup is byCodes where only variants of one item are limited.
func byGroup(t *counter, known []catalog.Codes, cs []pipeline.Candidate) []pipeline.Candidate {
	out := cs[:0]
	for i := range known {
		if code := known[i].Group; code != 0 {
			at := t.of(code)
			if t.full(at) {
				continue
			}
			t.count(at, code)
		}
		out = append(out, cs[i])
	}
	return out
}

// counter counts codes up to a limit: a table that is emptied by a new round.
type counter struct {
	limit int32
	round uint32
	slots []slot
}

type slot struct {
	round   uint32
	code, n int32
}

// nowhere is the place of what is not counted.
const nowhere = -1

// reset empties it for at most n codes.
func (t *counter) reset(limit, n int) {
	t.limit = int32(min(limit, math.MaxInt32))                 // #nosec G115 -- above 0
	if size := 1 << bits.Len(uint(2*n)); len(t.slots) < size { // #nosec G115 -- not negative
		t.slots, t.round = make([]slot, size), 0
	}
	if t.round++; t.round == 0 { // they have run out
		clear(t.slots)
		t.round = 1
	}
}

// of is the place of code.
func (t *counter) of(code int32) int {
	mask := len(t.slots) - 1
	at := int(uint32(code)*2654435769>>7) & mask // #nosec G115 -- a hash
	for t.slots[at].round == t.round && t.slots[at].code != code {
		at = (at + 1) & mask
	}
	return at
}

func (t *counter) full(at int) bool {
	return t.slots[at].round == t.round && t.slots[at].n >= t.limit
}

// count counts code once more at its place.
func (t *counter) count(at int, code int32) {
	if t.slots[at].round == t.round {
		t.slots[at].n++
		return
	}
	t.slots[at] = slot{round: t.round, code: code, n: 1}
}

// full reports whether there are limit of name; what has no name is not limited.
func full(had map[string]int, name string, limit int) bool {
	return limit > 0 && name != "" && had[name] >= limit
}

func count(had map[string]int, name string, limit int) {
	if limit > 0 && name != "" {
		had[name]++
	}
}
