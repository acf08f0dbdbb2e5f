package profile

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/attune-rec/attune/features"
)

const (
	stylePrefix = "style:"
	mostStyles  = 2
	styleShare  = .2 // of a shopper's purchases, at least
	styleLift   = 1.5
	stylePrior  = 10 // purchases like everybody's that are put to the shopper's own
)

// IsStyle reports whether a tag says what a shopper's life has much of.
func IsStyle(tag string) bool { return strings.HasPrefix(tag, stylePrefix) }

// styles tags what a shopper lives with more than others: a first category in
// which they bought at least a fifth of their goods and half as much again as
// everybody, so surely that it is no matter of having looked at every category.
// The board has their purchases by it.
func (ref *Reference) styles(p *features.Profile, bought *board, since int64) {
	n := 0.0
	for _, v := range bought.votes {
		n += v.weight
	}
	if n < minPiece {
		return
	}
	share := func(v vote) float64 {
		return (v.weight + stylePrior*ref.tops[v.number].base) / (n + stylePrior)
	}
	var room [int(1 / styleShare)]vote
	most := room[:0]
	for _, v := range bought.votes {
		if v.weight >= styleShare*n {
			most = append(most, v)
		}
	}
	slices.SortFunc(most, func(a, b vote) int {
		return cmp.Or(cmp.Compare(b.weight, a.weight), cmp.Compare(ref.tops[a.number].name, ref.tops[b.number].name))
	})
	found := 0
	for _, v := range most {
		base := ref.tops[v.number].base
		if found == mostStyles {
			break
		}
		if base <= 0 || base >= 1 || share(v) < styleLift*base {
			continue
		}
		sure := 1 - float64(len(ref.tops))*(1-normal((v.weight-n*base-.5)/math.Sqrt(n*base*(1-base))))
		if sure < sureEnough {
			continue
		}
		found++
		p.Tags = append(p.Tags, features.Tag{
			Name: stylePrefix + ref.tops[v.number].name, Confidence: sure, Since: clock(since),
			Evidence: fmt.Sprintf("%.0f of %.0f purchases are of %s; %.0f %% among all shoppers", v.weight, n, ref.tops[v.number].name, 100*base),
		})
	}
}

// clear empties the board.
func (b *board) clear() {
	for _, v := range b.votes {
		b.places[v.number] = 0
	}
	b.votes = b.votes[:0]
}
