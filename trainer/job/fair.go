package job

import (
	"errors"
	"fmt"
	"slices"

	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/models/eval"
	"github.com/attune-rec/attune/models/release"
	"github.com/attune-rec/attune/trainer/replay"
)

// ErrUnfair is returned for a release whose answers differ by group more than
// is let pass.
var ErrUnfair = errors.New("the release is not promoted")

// byMarket is the group that needs no attribute.
const byMarket = "market"

// FairBy is the flags of comparing answers by group.
type FairBy struct {
	Fairness []string `help:"Compare the answers by group of shoppers: market, age_band, gender, region, occupation, income_band, payment, delivery, home_market, language, attributes.NAME. What a shop declared sensitive needs a recorded purpose." placeholder:"ATTRIBUTE"`
}

func (f *FairBy) check() error {
	for _, by := range f.Fairness {
		if by == byMarket {
			continue
		}
		if err := store.CheckAttribute(by); err != nil {
			return fmt.Errorf("--fairness: %w", err)
		}
	}
	return nil
}

// groups opens the attributes, and those of also.
func (f *FairBy) groups(env *Env, st *store.Store, r *Releases, also FairGate) ([]replay.Group, error) {
	names := slices.Clone(f.Fairness)
	limits, err := also.limits()
	if err != nil {
		return nil, err
	}
	for _, l := range limits {
		if l.Shop == "" || l.Shop == r.shop() {
			names = append(names, l.By)
		}
	}
	slices.Sort(names)
	var all []replay.Group
	for _, by := range slices.Compact(names) {
		g := replay.Group{By: by}
		if by != byMarket {
			if g.Of, err = st.Attribute(env.Ctx, r.shop(), by, store.ForFairness); err != nil {
				return nil, fmt.Errorf("compare answers by %s: %w", by, err)
			}
		}
		all = append(all, g)
	}
	return all, nil
}

// FairGate is the flag of how far answers may differ by group.
type FairGate struct {
	Limits []string `name:"fair-limit" help:"Promote only what surely differs by no more than this between the groups of an attribute: MEASURE is quality, exposure or price." placeholder:"[SHOP/]ATTRIBUTE:MEASURE=MOST"`
}

func (f *FairGate) limits() ([]eval.FairLimit, error) {
	all := make([]eval.FairLimit, 0, len(f.Limits))
	for _, text := range f.Limits {
		l, err := eval.ParseFairLimit(text)
		if err == nil && l.By != byMarket {
			err = store.CheckAttribute(l.By)
		}
		if err != nil {
			return nil, fmt.Errorf("--fair-limit: %w", err)
		}
		all = append(all, l)
	}
	return all, nil
}

// allow reports ErrUnfair where a release breaks a limit, or was not judged by
// what the limit is of.
func (f *FairGate) allow(env *Env, st release.Store, r *Releases, version string) error {
	limits, err := f.limits()
	if err != nil || len(limits) == 0 {
		return err
	}
	metrics, err := release.ReadMetrics(env.Ctx, st, r.shop(), version)
	if err != nil {
		return err
	}
	err = eval.CheckFair(limits, r.shop(), func(metric string) (low, high float64, ok bool) {
		m, ok := metrics[metric]
		return m.Low, m.High, ok
	})
	if err != nil {
		return fmt.Errorf("%w: release %s: %w", ErrUnfair, version, err)
	}
	return nil
}
