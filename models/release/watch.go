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

// longestWait is between two looks at a state that could not be taken.
const longestWait = 10 * time.Minute

// Watch calls on with the state that holds and with each newer one, one call at
// a time, until ctx ends; states written between two looks are skipped but for
// the last. It looks every so often, give or take a quarter, so that replicas
// do not all ask at once. A state for which on returns an error is offered
// again, after twice the wait each time, up to ten minutes. That the state
// cannot be read is passed on once for each way it fails; nothing promoted yet
// is no error.
func Watch(ctx context.Context, st Store, shop features.ShopID, every time.Duration, on func(Serving, error) error) {
	w := watch{every: every, wait: every}
	for {
		w.look(ctx, st, shop, on)
		timer := time.NewTimer(time.Duration((.75 + rand.Float64()/2) * float64(every)))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

type watch struct {
	every, wait time.Duration
	taken       int64     // the last state that on took
	tried       int64     // the last one that it was offered
	again       time.Time // when the refused one is offered again
	said        string
}

func (w *watch) look(ctx context.Context, st Store, shop features.ShopID, on func(Serving, error) error) {
	s, err := Current(ctx, st, shop)
	switch {
	case ctx.Err() != nil:
		return
	case errors.Is(err, ErrNotFound):
		w.said = ""
		return
	case err != nil:
		if text := err.Error(); text != w.said {
			w.said = text
			_ = on(Serving{}, err) // nothing was tried that could be taken back
		}
		return
	}
	w.said = ""
	if s.Number == w.taken || s.Number == w.tried && time.Now().Before(w.again) {
		return
	}
	if s.Number != w.tried {
		w.wait = w.every
	}
	w.tried = s.Number
	if on(s, nil) == nil {
		w.taken = s.Number
		return
	}
	w.wait = min(2*w.wait, longestWait)
	w.again = time.Now().Add(w.wait)
}

// Prune removes a shop's releases but for those the current state names, the
// one a rollback would go back to, and the newest keep; and what broken
// publications left behind a day ago. It returns the versions it removed.
func Prune(ctx context.Context, st Store, shop features.ShopID, keep int) ([]string, error) {
	wrap := func(err error) error { return fmt.Errorf("prune releases of shop %s: %w", shop, err) }
	if keep < 1 {
		return nil, wrap(fmt.Errorf("keep %d: expected at least 1", keep))
	}
	states, err := History(ctx, st, shop, Remembered)
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
