package release

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/attune-rec/attune/features"
)

// Change is who changes what a shop serves, and why.
type Change struct {
	By     string
	Reason string
	Expect int64     // the state this change is made upon; 0: whichever holds
	Time   time.Time // zero: the present
}

// The actions of a Serving.
const (
	ActionPromote  = "promote"
	ActionCanary   = "canary"
	ActionShadow   = "shadow"
	ActionRollback = "rollback"
)

// Current is the state that holds; ErrNotFound when nothing was promoted yet.
func Current(ctx context.Context, st Store, shop features.ShopID) (Serving, error) {
	ns, err := numbers(ctx, st, shop)
	if err != nil {
		return Serving{}, err
	}
	if len(ns) == 0 {
		return Serving{}, fmt.Errorf("%w: shop %s serves nothing yet: publish and promote a release", ErrNotFound, shop)
	}
	return readState(ctx, st, shop, ns[len(ns)-1])
}

// Remembered is how many states back a rollback looks for the release before.
const Remembered = 100

// History is the newest limit states, oldest first; limit 0 is all.
func History(ctx context.Context, st Store, shop features.ShopID, limit int) ([]Serving, error) {
	ns, err := numbers(ctx, st, shop)
	if err != nil {
		return nil, err
	}
	if limit > 0 {
		ns = ns[max(0, len(ns)-limit):]
	}
	var states []Serving
	for _, n := range ns {
		s, err := readState(ctx, st, shop, n)
		if err != nil {
			return nil, err
		}
		states = append(states, s)
	}
	return states, nil
}

// Promote serves version to everyone, and ends a canary.
func Promote(ctx context.Context, st Store, shop features.ShopID, version string, c Change) (Serving, error) {
	return change(ctx, st, shop, c, ActionPromote, func(_ []Serving, next *Serving) error {
		next.Stable, next.Canary = version, nil
		if next.Shadow == version {
			next.Shadow = ""
		}
		return nil
	})
}

// StartCanary serves version to share of the shoppers, above 0 and below 1.
// Changing the share of a canary keeps its salt, so that nobody is moved who
// need not be.
func StartCanary(ctx context.Context, st Store, shop features.ShopID, version string, share float64, c Change) (Serving, error) {
	if !(share > 0 && share < 1) {
		return Serving{}, fmt.Errorf("canary share %v: expected a number above 0 and below 1", share)
	}
	return change(ctx, st, shop, c, ActionCanary, func(_ []Serving, next *Serving) error {
		if next.Stable == "" {
			return fmt.Errorf("%w: shop %s serves nothing yet: promote a release before a canary", ErrNotFound, shop)
		}
		if next.Stable == version {
			return fmt.Errorf("%w: release %s is what everyone receives: a canary needs another", ErrExists, version)
		}
		salt := suffix()
		if next.Canary != nil && next.Canary.Version == version {
			salt = next.Canary.Salt
		}
		next.Canary = &Canary{Version: version, Share: share, Salt: salt}
		return nil
	})
}

// SetShadow has version score beside what is served, unseen; "" ends it.
func SetShadow(ctx context.Context, st Store, shop features.ShopID, version string, c Change) (Serving, error) {
	return change(ctx, st, shop, c, ActionShadow, func(_ []Serving, next *Serving) error {
		if next.Stable == "" {
			return fmt.Errorf("%w: shop %s serves nothing yet: promote a release before a shadow", ErrNotFound, shop)
		}
		next.Shadow = version
		return nil
	})
}

// Rollback goes back. With a version, to that one. Without, it ends the canary
// when there is one, and otherwise goes to what was served before the stable
// release, leaving out releases that were themselves rolled back from.
func Rollback(ctx context.Context, st Store, shop features.ShopID, version string, c Change) (Serving, error) {
	return change(ctx, st, shop, c, ActionRollback, func(past []Serving, next *Serving) error {
		switch {
		case len(past) == 0:
			return fmt.Errorf("%w: shop %s serves nothing yet", ErrNotFound, shop)
		case version != "":
			next.Stable = version
		case next.Canary == nil:
			next.Stable = Previous(past)
			if next.Stable == "" {
				return fmt.Errorf("%w: shop %s served nothing before %s: name the release to go back to", ErrNotFound, shop, past[len(past)-1].Stable)
			}
		}
		next.Canary = nil
		return nil
	})
}

// Previous is the release a rollback would go back to, "" when there is none.
func Previous(past []Serving) string {
	var stack []string
	for _, s := range past {
		at := -1
		if s.Action == ActionRollback {
			for i := len(stack) - 1; i >= 0 && at < 0; i-- {
				if stack[i] == s.Stable {
					at = i
				}
			}
		}
		switch {
		case at >= 0:
			stack = stack[:at+1]
		case len(stack) == 0 || stack[len(stack)-1] != s.Stable:
			stack = append(stack, s.Stable)
		}
	}
	if len(stack) < 2 {
		return ""
	}
	return stack[len(stack)-2]
}

// change writes the next state, made from the one that holds by f. It reports
// ErrStale when the state is not the expected one, or another was written
// meanwhile, and ErrNotFound when a release that it names cannot be read.
func change(ctx context.Context, st Store, shop features.ShopID, c Change, action string, f func(past []Serving, next *Serving) error) (Serving, error) {
	wrap := func(err error) (Serving, error) {
		return Serving{}, fmt.Errorf("%s release of shop %s: %w", action, shop, err)
	}
	past, last, err := legible(ctx, st, shop)
	if err != nil {
		return wrap(err)
	}
	var next Serving
	if len(past) > 0 {
		next = past[len(past)-1]
	}
	next.Number = last + 1
	if c.Expect != 0 && c.Expect != next.Number-1 {
		return wrap(fmt.Errorf("%w: state %d holds, expected %d: look at it and try again", ErrStale, next.Number-1, c.Expect))
	}
	next.Action, next.By, next.Reason, next.Time = action, c.By, c.Reason, c.Time.UTC()
	if c.Time.IsZero() {
		next.Time = time.Now().UTC()
	}
	if err := f(past, &next); err != nil {
		return wrap(err)
	}
	for _, v := range next.versions() {
		if _, err := ReadManifest(ctx, st, shop, v); err != nil {
			return wrap(err)
		}
	}
	b, err := encode(&next)
	if err != nil {
		return wrap(err)
	}
	if err := st.putState(ctx, shop, next.Number, b); err != nil {
		return wrap(err)
	}
	return next, nil
}

// legible is the newest states, those that can be read, and the highest number there is: a
// corrupt state must not keep anyone from writing the next one.
func legible(ctx context.Context, st Store, shop features.ShopID) (past []Serving, last int64, err error) {
	ns, err := numbers(ctx, st, shop)
	if err != nil {
		return nil, 0, err
	}
	for _, n := range ns[max(0, len(ns)-Remembered):] {
		s, err := readState(ctx, st, shop, n)
		if err != nil && !errors.Is(err, ErrCorrupt) {
			return nil, 0, err
		}
		if err == nil {
			past = append(past, s)
		}
		last = n
	}
	return past, last, nil
}

// versions is every release the state names.
func (s *Serving) versions() []string {
	vs := []string{s.Stable}
	if s.Canary != nil {
		vs = append(vs, s.Canary.Version)
	}
	if s.Shadow != "" {
		vs = append(vs, s.Shadow)
	}
	return vs
}

// ReadManifest reads and checks the manifest of a release, and none of its
// other files.
func ReadManifest(ctx context.Context, st Store, shop features.ShopID, version string) (Manifest, error) {
	wrap := func(err error) (Manifest, error) {
		return Manifest{}, fmt.Errorf("release %s of shop %s: %w", version, shop, err)
	}
	if err := checkNames(shop, version); err != nil {
		return wrap(fmt.Errorf("%w: %w", ErrNotFound, err))
	}
	b, err := st.read(ctx, shop, version, manifestName)
	if err != nil {
		return wrap(err)
	}
	sum, err := st.read(ctx, shop, version, sumName)
	if errors.Is(err, ErrNotFound) {
		err = corrupt(sumName, errors.New("is missing"))
	}
	if err != nil {
		return wrap(err)
	}
	m, err := parseManifest(b, sum, shop, version)
	if err != nil {
		return wrap(err)
	}
	return m, nil
}

// ReadMetrics reads what a release was judged by.
func ReadMetrics(ctx context.Context, st Store, shop features.ShopID, version string) (Metrics, error) {
	b, err := st.read(ctx, shop, version, metricsName)
	if err != nil {
		return nil, fmt.Errorf("release %s of shop %s: %w", version, shop, err)
	}
	var m Metrics
	if err := strict(b, &m); err != nil {
		return nil, fmt.Errorf("release %s of shop %s: %w", version, shop, corrupt(metricsName, err))
	}
	return m, nil
}

func numbers(ctx context.Context, st Store, shop features.ShopID) ([]int64, error) {
	if err := shop.Validate(); err != nil {
		return nil, err
	}
	ns, err := st.states(ctx, shop)
	if err != nil {
		return nil, fmt.Errorf("serving states of shop %s: %w", shop, err)
	}
	return ns, nil
}

func readState(ctx context.Context, st Store, shop features.ShopID, n int64) (Serving, error) {
	b, err := st.state(ctx, shop, n)
	if err != nil {
		return Serving{}, fmt.Errorf("serving state %d of shop %s: %w", n, shop, err)
	}
	var s Serving
	if err := strict(b, &s); err != nil {
		return Serving{}, fmt.Errorf("serving state %d of shop %s: %w: %w", n, shop, ErrCorrupt, err)
	}
	if s.Number != n || CheckVersion(s.Stable) != nil || s.Canary != nil && !(s.Canary.Share >= 0 && s.Canary.Share <= 1) {
		return Serving{}, fmt.Errorf("serving state %d of shop %s: %w: it does not say what a state must: write the next one by promote", n, shop, ErrCorrupt)
	}
	return s, nil
}
