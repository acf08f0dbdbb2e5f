package steer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/models/pipeline/rule"
)

// MaxSets is how many rule sets a shop may have.
const MaxSets = 200

// ErrTooMany is returned for one rule set more than a shop may have.
var ErrTooMany = errors.New("shop has as many rule sets as it may: delete those that are over")

// Set is a rule set as it is stored.
type Set struct {
	rule.Set
	Title    string
	Revision int64 // another one after each change; 0: whatever it is
	Created  time.Time
	Updated  time.Time
}

// body is the part of a set that the store does not look into.
type body struct {
	Title string      `json:"title,omitempty"`
	Rules []rule.Rule `json:"rules"`
}

// Put checks and stores a rule set, and returns it as it is stored; the next
// answer follows it. It fails with a *rule.Fault, ErrTooMany, or
// store.ErrStale.
func (k *Keeper) Put(ctx context.Context, id features.ShopID, set Set) (Set, error) {
	raw, err := json.Marshal(body{Title: set.Title, Rules: set.Rules})
	if err != nil {
		return set, err
	}
	sh := k.shop(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	stored, err := k.sets(ctx, id)
	if err != nil {
		return set, err
	}
	all := []rule.Set{set.Set}
	for i := range stored {
		if stored[i].ID != set.ID {
			all = append(all, stored[i].Set)
		}
	}
	if len(all) > MaxSets {
		return set, ErrTooMany
	}
	_, err = rule.Compile(k.engine, all)
	if err := faultOf(&set.Set, err); err != nil {
		return set, err
	}
	kept, err := k.o.Store.PutRuleSet(ctx, id, store.RuleSet{
		ID: set.ID, Surface: set.Surface, Starts: set.Starts, Ends: set.Ends, Body: raw, Revision: set.Revision,
	})
	if err != nil {
		return set, err
	}
	set.Revision, set.Created, set.Updated = kept.Revision, kept.Created, kept.Updated
	return set, k.changed(ctx, id, sh)
}

// changed reads the rules anew after a durable change. Until that works, nothing
// is answered: what stands in memory is no longer what was asked for.
func (k *Keeper) changed(ctx context.Context, id features.ShopID, sh *shop) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), k.o.Load)
	defer cancel()
	if err := k.reload(ctx, id, sh); err != nil {
		sh.loaded = false
		sh.rules.Store(nil)
		return err
	}
	return nil
}

// Delete takes a rule set out; the next answer is without it. It fails with
// store.ErrNotFound and store.ErrStale.
func (k *Keeper) Delete(ctx context.Context, id features.ShopID, set string, revision int64) error {
	sh := k.shop(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if err := k.o.Store.DeleteRuleSet(ctx, id, set, revision); err != nil {
		return err
	}
	return k.changed(ctx, id, sh)
}

// Get is a stored rule set; store.ErrNotFound when there is none.
func (k *Keeper) Get(ctx context.Context, id features.ShopID, set string) (Set, error) {
	s, err := k.o.Store.GetRuleSet(ctx, id, set)
	if err != nil {
		return Set{}, err
	}
	return read(&s)
}

// List returns at most limit rule sets whose id is after the given one, by id.
func (k *Keeper) List(ctx context.Context, id features.ShopID, after string, limit int) ([]Set, error) {
	stored, err := k.o.Store.ListRuleSets(ctx, id, after, limit)
	if err != nil {
		return nil, err
	}
	sets := make([]Set, len(stored))
	for i := range stored {
		if sets[i], err = read(&stored[i]); err != nil {
			return nil, err
		}
	}
	return sets, nil
}

func (k *Keeper) sets(ctx context.Context, id features.ShopID) ([]Set, error) {
	return k.List(ctx, id, "", MaxSets+1)
}

func read(s *store.RuleSet) (Set, error) {
	var b body
	if err := json.Unmarshal(s.Body, &b); err != nil {
		return Set{}, fmt.Errorf("%w: rule set %q: %w", store.ErrCorrupt, s.ID, err)
	}
	return Set{
		Set:   rule.Set{ID: s.ID, Surface: s.Surface, Starts: s.Starts, Ends: s.Ends, Rules: b.Rules},
		Title: b.Title, Revision: s.Revision, Created: s.Created, Updated: s.Updated,
	}, nil
}

// faultOf is what is wrong with set, or with all together: another set's own
// fault is none of it.
func faultOf(set *rule.Set, err error) error {
	if err == nil || set == nil {
		return nil
	}
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) {
		return err
	}
	for _, e := range joined.Unwrap() {
		var f *rule.Fault
		if errors.As(e, &f) && f.Set != set.ID && f.Field != "" {
			continue
		}
		return e
	}
	return nil
}
