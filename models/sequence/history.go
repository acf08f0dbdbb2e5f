package sequence

import (
	"math/bits"
	"slices"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models/taste"
)

// The sizes of the tables for what an event is besides its item.
const (
	typeRows = 32
	gapRows  = 28 // logarithms of seconds, base 2; the first: unknown
)

// token is one event as the networks read it.
type token struct{ item, kind, gap int32 }

// reader turns histories into tokens: the events that speak for their item,
// several in a row with the same item being one.
type reader struct {
	weigher *taste.Weigher
	items   int
}

// follows reports whether the event is a token behind one of the row before.
func (r *reader) follows(it *features.Interaction, before features.Row) bool {
	return it.Row >= 0 && int(it.Row) < r.items && it.Row != before && r.weigher.Of(it) > 0
}

// token is the event as a token; last is the time of the token before, 0 for
// none.
func (r *reader) token(it *features.Interaction, last int64) token {
	return token{item: int32(it.Row), kind: int32(it.Type) % typeRows, gap: gapOf(it.TimeMS, last)}
}

// gapOf is the row of the time from last to now.
func gapOf(now, last int64) int32 {
	if now == 0 || last == 0 {
		return 0
	}
	seconds := max(now-last, 0) / 1000
	return int32(min(1+bits.Len64(uint64(seconds)), gapRows-1))
}

// read appends the tokens of history to dst.
func (r *reader) read(history []features.Interaction, dst []token) []token {
	before, last := features.NoRow, int64(0)
	for i := range history {
		it := &history[i]
		if r.follows(it, before) {
			dst = append(dst, r.token(it, last))
			before, last = it.Row, it.TimeMS
		}
	}
	return dst
}

// corpus is the histories that are learnt from.
type corpus struct {
	seqs   [][]token // each of at least two tokens
	events int
	counts []int // of each item
	long   int   // a length that one history in twenty passes
	types  bool  // there are several event types
	gaps   bool  // there are times
}

func newCorpus(d *dataset.Dataset, r *reader) *corpus {
	c := &corpus{counts: make([]int, r.items)}
	var lengths []int
	first := int32(-1)
	for u := range d.Users {
		seq := r.read(d.History(u), nil)
		for _, t := range seq {
			c.counts[t.item]++
			if first < 0 {
				first = t.kind
			}
			c.types = c.types || t.kind != first
			c.gaps = c.gaps || t.gap > 1
		}
		c.events += len(seq)
		if len(seq) >= 2 {
			c.seqs = append(c.seqs, seq)
			lengths = append(lengths, len(seq))
		}
	}
	slices.Sort(lengths)
	if n := len(lengths); n > 0 {
		c.long = lengths[n*19/20]
	}
	return c
}
