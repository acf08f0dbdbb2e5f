package hybrid

import (
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models/sequence"
)

// following is the share of interactions that came at another time than the
// same user's one before. Baskets, whose items have one time, are no order.
func following(d *dataset.Dataset) float64 {
	later, n := 0, 0
	for u := range d.Users {
		history := d.History(u)
		for i := 1; i < len(history); i++ {
			if history[i].TimeMS > history[i-1].TimeMS {
				later++
			}
			n++
		}
	}
	return float64(later) / float64(max(n, 1))
}

const (
	someOrder   = .25    // share of following interactions from which on what followed what is counted
	enoughOrder = .5     // and from which on networks learn from the order
	enoughSteps = 1000   // interactions
	steady      = 60     // events an item from which on memory is as good as attention
	oneNetwork  = 1. / 4 // of the time there is, that one network may take
)

// ordered are the parts that learn from what followed what, where histories
// carry order.
func ordered(f Facts) []candidate {
	if f.Order < someOrder || f.Pairs < enoughSteps || f.Pairs < 2*f.Users {
		return nil
	}
	out := []candidate{{
		Choice: Choice{Name: prefix + "next", Kind: sequence.KindMarkov}, prior: .5 * ripe(f.Pairs), need: need{bytes: 3 * pairBytes(f)},
		why: "histories carry order: pairs of what followed what",
	}}
	if f.Order < enoughOrder {
		return out
	}
	network := func(name, kind string, prior float64, why string) {
		seconds, bytes := sequence.Cost(kind, f.Pairs, f.Items)
		out = append(out, candidate{Choice: Choice{Name: prefix + name, Kind: kind}, prior: prior * ripe(f.Pairs), need: need{seconds, float64(bytes)}, why: why})
	}
	network("attention", sequence.KindSASRec, 1, "histories carry order: what comes next, by all that came before")
	if f.Pairs >= steady*f.Items {
		network("memory", sequence.KindLSTM, .9, "items have many events each: a memory errs differently from attention")
	}
	return out
}

// sequential reports whether a kind learns from order, which nothing shows to
// help where nothing can be held out.
func sequential(kind string) bool {
	switch kind {
	case sequence.KindMarkov, sequence.KindSASRec, sequence.KindLSTM, sequence.KindGRU:
		return true
	}
	return false
}
