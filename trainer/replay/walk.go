package replay

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/signal"
)

// walk reads the log anew and calls f with each visit, by its number, and with
// what the signals of set remember of the events that stand before it in the
// log: what serving remembered then.
func (t *tape) walk(ctx context.Context, log Store, shop features.ShopID, set *signal.Set, f func(i int, state features.State) error) error {
	order := make([]int, len(t.visits))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(t.visits[a].seq, t.visits[b].seq) })
	memory, next := signal.NewMemory(set), 0
	reach := func(seq int64) error {
		for ; next < len(order) && t.visits[order[next]].seq <= seq; next++ {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := f(order[next], memory); err != nil {
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
		if withheld == nil || !withheld(e) {
			memory.Fold(*e)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("replay the log of shop %s: %w", shop, err)
	}
	return nil
}
