package shop

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/expr"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/models/pipeline"
	"github.com/attune-rec/attune/models/pipeline/rule"
)

// rules steer home-full: five, of which two are about the shopper.
func rules() rule.Set {
	return rule.Set{ID: "home", Surface: pipeline.SurfaceFull, Rules: []rule.Rule{
		{Name: "affordable", Action: rule.Filter, Condition: "item.price < 500.0 && item.in_stock"},
		{Name: "well-rated", Action: rule.Boost, Condition: "item.rating > 4.5", Factor: "1.2"},
		{Name: "own-brands", Action: rule.Boost, Factor: "item.brand in profile.brands ? 1.3 : 1.0"},
		{Name: "loyal", Action: rule.Bury, Condition: "profile.lifecycle == 'loyal' && item.price > 300.0"},
		{Name: "one-brand", Action: rule.Quota, Condition: "item.brand == 'brand 7'", MaxShare: .5},
	}}
}

// PutRules checks the rules and puts them into the store.
func PutRules(ctx context.Context, st *store.Store) error {
	engine, err := expr.New()
	if err != nil {
		return err
	}
	set := rules()
	if _, err := rule.Compile(engine, []rule.Set{set}); err != nil {
		return fmt.Errorf("rules: %w", err)
	}
	raw, err := json.Marshal(map[string]any{"title": "Set-up B", "rules": set.Rules})
	if err != nil {
		return err
	}
	_, err = st.PutRuleSet(ctx, features.DefaultShop, store.RuleSet{ID: set.ID, Surface: set.Surface, Body: raw})
	return err
}
