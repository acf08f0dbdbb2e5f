package hybrid

import "fmt"

// need is what fitting a part is known to take beforehand, beside the data: of
// memory by the estimates below, which lie above what docs/measurements/growth.md
// measures.
type need struct {
	seconds float64 // of one core; 0: little
	bytes   float64
}

const (
	voters    = 500 // neighbours that an item-to-item part keeps where memory allows
	fewVoters = 20
	fewest16  = 16  // numbers of a vector at least
	widest    = 512 // singular vectors that the low-pass filter keeps at most
)

// pairBytes is the matrix of users by items and its transpose.
func pairBytes(f Facts) float64 { return 16 * float64(f.Pairs) }

// factorBytes is iALS: vectors of both sides, and as much again while they are
// turned and kept.
func factorBytes(f Facts, factors int) float64 {
	return pairBytes(f) + 8*float64(f.Users+f.Items)*float64(factors)
}

// filterBytes is the low-pass filter: the subspace of both sides, some vectors
// wider than what is kept, and its next round.
func filterBytes(f Facts, factors int) float64 {
	return pairBytes(f) + 16*float64(f.Users+f.Items)*float64(factors+20)
}

// walkBytes is an item-to-item table, and the columns it is turned from.
func walkBytes(f Facts, neighbours int) float64 {
	return pairBytes(f) + 16*float64(f.Items)*float64(neighbours)
}

// denseBytes is the Gramian of all items, its inverse, and what is in work.
func denseBytes(f Facts) float64 {
	return pairBytes(f) + 12*float64(f.Items)*float64(f.Items)
}

// shrink is wanted, or the largest number below it that need keeps within the
// budget, in steps of step; least where not even that does.
func shrink(p Params, wanted, least, step int, need func(int) float64) int {
	for wanted > least && need(wanted) > p.bytes() {
		wanted = max(least, wanted-step)
	}
	return wanted
}

func (p Params) bytes() float64 { return float64(p.MemoryMB) * (1 << 20) }

// within parts candidates into those whose known needs the budget covers and a
// story of the others; what was asked for by name is tried all the same.
func within(all []candidate, p Params) (ok []candidate, others []Tried) {
	for _, c := range all {
		t := Tried{Choice: c.Choice}
		switch {
		case c.asked:
		case c.bytes > p.bytes():
			t.Why = fmt.Sprintf("not tried: it would take %.0f MB, memory_mb allows %d", c.bytes/(1<<20), p.MemoryMB)
		case c.seconds > oneNetwork*p.BudgetSeconds:
			t.Why = fmt.Sprintf("not tried: it would take %.0f s of a core, one part of budget_seconds may take %.0f", c.seconds, oneNetwork*p.BudgetSeconds)
		}
		if t.Why != "" {
			others = append(others, t)
			continue
		}
		ok = append(ok, c)
	}
	return ok, others
}
