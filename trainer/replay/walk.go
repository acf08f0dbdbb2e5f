package replay

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/profile"
	"github.com/attune-rec/attune/features/signal"
)

// known is what serving knew besides the shopper when a visit began.
type known struct {
	state features.State     // what the signals remember; nil without signals
	ref   *profile.Reference // what the shop's goods are measured against
}

// walk reads the log anew and calls f with each visit, by its number, in the
// order of the log, and with what was known of the events that stand before it
// there: what the signals of set (nil: none) remember, as serving remembers it,
// and how the shop's goods measure. Serving measures them every ten minutes,
// and a walk where the first visit of another day of the log begins.
func (t *tape) walk(ctx context.Context, log Store, shop features.ShopID, items features.Catalog, set *signal.Set, f func(i int, k known) error) error {
	order := make([]int, len(t.visits))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(t.visits[a].seq, t.visits[b].seq) })
	var k known
	var memory *signal.Memory
	if set != nil {
		memory = signal.NewMemory(set)
		k.state = memory
	}
	var sales profile.Ledger
	next, day := 0, int64(-1)
	reach := func(seq int64) error {
		for ; next < len(order) && t.visits[order[next]].seq <= seq; next++ {
			if err := ctx.Err(); err != nil {
				return err
			}
			if d := t.visits[order[next]].start.Unix() / 86400; d != day || k.ref == nil {
				day, k.ref = d, profile.NewReference(items, sales.Each)
			}
			if err := f(order[next], k); err != nil {
				return err
			}
		}
		return nil
	}
	withheld, err := log.Withheld(ctx, shop)
	if err != nil {
		return fmt.Errorf("replay the log of shop %s: %w", shop, err)
	}
	err = log.Scan(ctx, shop, 0, 0, func(e *features.Event) error {
		if next == len(order) {
			return nil
		}
		if err := reach(e.Seq); err != nil {
			return err
		}
		if withheld != nil && withheld(e) {
			return nil
		}
		sales.Add(e)
		if memory != nil {
			memory.Fold(*e)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("replay the log of shop %s: %w", shop, err)
	}
	return nil
}
