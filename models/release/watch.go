package release

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/attune-rec/attune/features"
)

// Watch calls on with the state that holds and with each newer one, one call at
// a time, until ctx ends; states written between two looks are skipped but for
// the last. It looks every so often, give or take a quarter, so that replicas
// do not all ask at once. An error is passed on once, with a zero state, until
// a look succeeds or it changes; nothing promoted yet is no error.
func Watch(ctx context.Context, st Store, shop features.ShopID, every time.Duration, on func(Serving, error)) {
	var last int64
	var said string
	for {
		s, err := Current(ctx, st, shop)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, ErrNotFound):
			said = ""
		case err != nil:
			if err.Error() != said {
				said = err.Error()
				on(Serving{}, err)
			}
		default:
			said = ""
			if s.Number != last {
				last = s.Number
				on(s, nil)
			}
		}
		wait := time.NewTimer(time.Duration((.75 + rand.Float64()/2) * float64(every)))
		select {
		case <-ctx.Done():
			wait.Stop()
			return
		case <-wait.C:
		}
	}
}

// Prune removes a shop's releases but for those the current state names, the
// one a rollback would go back to, and the newest keep; and what broken
// publications left behind a day ago. It returns the versions it removed.
func Prune(ctx context.Context, st Store, shop features.ShopID, keep int) ([]string, error) {
	wrap := func(err error) error { return fmt.Errorf("prune releases of shop %s: %w", shop, err) }
	if keep < 1 {
		return nil, wrap(fmt.Errorf("keep %d: expected at least 1", keep))
	}
	states, err := History(ctx, st, shop)
	if err != nil {
		return nil, wrap(err)
	}
	versions, err := st.Versions(ctx, shop)
	if err != nil {
		return nil, wrap(err)
	}
	needed := map[string]bool{Previous(states): true}
	if len(states) > 0 {
		for _, v := range states[len(states)-1].versions() {
			needed[v] = true
		}
	}
	for _, v := range versions[max(0, len(versions)-keep):] {
		needed[v] = true
	}
	var removed []string
	for _, v := range slices.DeleteFunc(versions, func(v string) bool { return needed[v] }) {
		if err := st.remove(ctx, shop, v); err != nil {
			return removed, wrap(fmt.Errorf("release %s: %w", v, err))
		}
		removed = append(removed, v)
	}
	if err := st.sweep(ctx, shop); err != nil {
		return removed, wrap(err)
	}
	return removed, nil
}
