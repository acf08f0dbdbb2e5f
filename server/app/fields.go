package app

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/models/eval"
)

// parseNeeds reads rules such as default/user.gender=none.
func parseNeeds(rules []string) (map[features.ShopID]store.Needs, error) {
	all := map[features.ShopID]store.Needs{}
	for _, rule := range rules {
		where, what, ok := strings.Cut(rule, "=")
		shop, field, err := ofShop(where)
		if err != nil || !ok {
			return nil, fmt.Errorf("expected SHOP/FIELD=PURPOSES: got %q", rule)
		}
		p, err := parsePurposes(what)
		if err != nil {
			return nil, err
		}
		if all[shop] == nil {
			all[shop] = store.Needs{}
		}
		all[shop][field] = p
	}
	for _, n := range all {
		if err := n.Validate(); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// parseSensitive reads rules such as default/gender and default/gender=fairness.
func parseSensitive(rules []string) (map[features.ShopID]map[string]string, error) {
	all := map[features.ShopID]map[string]string{}
	for _, rule := range rules {
		where, purposes, _ := strings.Cut(rule, "=")
		shop, name, err := ofShop(where)
		if err != nil {
			return nil, fmt.Errorf("expected SHOP/ATTRIBUTE or SHOP/ATTRIBUTE=PURPOSES: got %q", rule)
		}
		if err := store.CheckAttribute(name); err != nil {
			return nil, err
		}
		if all[shop] == nil {
			all[shop] = map[string]string{}
		}
		all[shop][name] = purposes
	}
	return all, nil
}

// parseFairLimits reads limits of fairness.
func parseFairLimits(rules []string) ([]eval.FairLimit, error) {
	all := make([]eval.FairLimit, 0, len(rules))
	for _, text := range rules {
		l, err := eval.ParseFairLimit(text)
		if err == nil && l.By != "market" {
			err = store.CheckAttribute(l.By)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, l)
	}
	return all, nil
}

func ofShop(where string) (features.ShopID, string, error) {
	shop, what, ok := strings.Cut(where, "/")
	if err := features.ShopID(shop).Validate(); err != nil || !ok || what == "" {
		return "", "", fmt.Errorf("got %q", where)
	}
	return features.ShopID(shop), what, nil
}

// fields makes the configured needs and sensitive attributes those of the store,
// and writes down what changed. A shop that is not named stays as it was.
func (s *Server) fields(ctx context.Context) error {
	needs, err := parseNeeds(s.config.Needed)
	if err != nil {
		return err
	}
	sensitive, err := parseSensitive(s.config.Sensitive)
	if err != nil {
		return err
	}
	for shop, n := range needs {
		old, err := s.store.Needs(ctx, shop)
		if err != nil {
			return err
		}
		if maps.Equal(old, n) {
			continue
		}
		if err := s.store.SetNeeds(ctx, shop, n); err != nil {
			return err
		}
		if err := s.declared(ctx, shop, "needed", slices.Sorted(maps.Keys(n))); err != nil {
			return err
		}
	}
	for shop, by := range sensitive {
		old, err := s.store.Sensitive(ctx, shop)
		if err != nil {
			return err
		}
		if maps.Equal(old, by) {
			continue
		}
		if err := s.store.SetSensitive(ctx, shop, by); err != nil {
			return err
		}
		var told []string
		for _, name := range slices.Sorted(maps.Keys(by)) {
			told = append(told, name+"="+by[name])
		}
		if err := s.declared(ctx, shop, "sensitive", told); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) declared(ctx context.Context, shop features.ShopID, what string, told []string) error {
	return s.store.Audit(ctx, shop, store.Audited{Actor: "server", Method: what, Detail: strings.Join(told, ", ")})
}
