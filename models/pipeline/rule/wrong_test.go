package rule_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models/pipeline/rule"
)

func TestWhatRulesHaveAPlaceFor(t *testing.T) {
	items := goods(t, 60)
	eligible := features.FullBitmap(60)
	eligible.Clear(40)
	found := candidates(3, 2, 1)
	wanted := func(rules ...rule.Rule) []features.Row {
		s := compile(t, rules...).Steer(request(items, 10, loyal()))
		defer s.Done()
		return s.Wanted(eligible, found, nil)
	}
	if got := wanted(rule.Rule{Action: rule.Pin, Slot: 1, Condition: byID("i50")}); !slices.Equal(got, []features.Row{50}) {
		t.Errorf("a pin: got %v, want 50", got)
	}
	if got := wanted(rule.Rule{Action: rule.Pin, Slot: 1, Condition: byID("i40")}); len(got) != 0 {
		t.Errorf("a pin on what may not be answered: got %v, want none", got)
	}
	if got := wanted(rule.Rule{Action: rule.Pin, Slot: 1, Condition: byID("i1")}); len(got) != 0 {
		t.Errorf("a pin on what was found: got %v, want none", got)
	}
	if got := wanted(rule.Rule{Action: rule.Quota, MinShare: .3, Condition: byID("i0", "i50", "i51", "i52")}); !slices.Equal(got, []features.Row{50, 51, 52}) {
		t.Errorf("a quota of three: got %v, want 50, 51, 52", got)
	}
	for _, row := range wanted(rule.Rule{Action: rule.Pin, Slot: 1, Condition: "item.price > 39 && item.price < profile.spent * 10"}) {
		if p := items.Item(row).PriceIn(""); p.Units() <= 39 {
			t.Errorf("item %d of price %v is wanted", row, p.Units())
		}
	}
}

func TestWhatIsWrongIsSaidWhere(t *testing.T) {
	for name, c := range map[string]struct {
		rule  rule.Rule
		field string
		parts []string
	}{
		"unknown field":     {rule.Rule{Action: rule.Filter, Condition: "item.in_stock &&\n item.prize < 3"}, "condition", []string{"line 2, column 2", "item.prize", "the fields are", "item.price"}},
		"item in when":      {rule.Rule{Action: rule.Bury, When: "item.price < 3", Condition: "true"}, "when", []string{"item.price", "profile.orders"}},
		"no number":         {rule.Rule{Action: rule.Boost, Factor: "item.brand"}, "factor", []string{"a number is needed"}},
		"no factor":         {rule.Rule{Action: rule.Boost}, "factor", []string{"1.5"}},
		"no action":         {rule.Rule{Condition: "true"}, "action", []string{"filter, boost"}},
		"no slot":           {rule.Rule{Action: rule.Pin, Condition: "true"}, "slot", []string{"from 1"}},
		"no bound":          {rule.Rule{Action: rule.Quota, Condition: "true"}, "quota", []string{"bound"}},
		"keeps nothing":     {rule.Rule{Action: rule.Filter}, "condition", []string{"needs a condition"}},
		"off and yet wrong": {rule.Rule{Off: true, Action: rule.Bury, Condition: "item."}, "condition", []string{"line 1"}},
	} {
		c.rule.Name = "r"
		_, err := rule.Compile(engine(t), []rule.Set{{ID: "s", Rules: []rule.Rule{{Name: "fine", Action: rule.Bury, Condition: "true"}, c.rule}}})
		var f *rule.Fault
		if !errors.As(err, &f) || f.Set != "s" || f.Rule != "r" || f.Index != 1 || f.Field != c.field {
			t.Errorf("%s: got %#v, want a fault in %s of rule 1", name, err, c.field)
			continue
		}
		for _, part := range c.parts {
			if !strings.Contains(f.Err.Error(), part) {
				t.Errorf("%s: got %q, want %q in it", name, f.Err, part)
			}
		}
	}
}

func TestCostIsBoundedTogether(t *testing.T) {
	dear := "item.tags.exists(a, item.category.exists(b, b == a && b in profile.categories))"
	var rules []rule.Rule
	for i := range 40 {
		rules = append(rules, rule.Rule{Name: fmt.Sprint(i), Action: rule.Bury, Condition: dear})
	}
	if _, err := rule.Compile(engine(t), []rule.Set{{ID: "s", Rules: rules}}); err == nil || !strings.Contains(err.Error(), "may cost") {
		t.Errorf("got %v, want that they cost too much together", err)
	}
	var many []rule.Set
	for i := range 5 {
		set := rule.Set{ID: fmt.Sprint(i)}
		for n := range 50 {
			set.Rules = append(set.Rules, rule.Rule{Name: fmt.Sprint(n), Action: rule.Bury, Condition: "item.price < 3"})
		}
		many = append(many, set)
	}
	if _, err := rule.Compile(engine(t), many); err == nil || !strings.Contains(err.Error(), "at most 200") {
		t.Errorf("got %v, want that they are too many", err)
	}
	many[0].Surface, many[1].Surface = "home", "item" // which never meet
	if _, err := rule.Compile(engine(t), many[:4]); err != nil {
		t.Errorf("got %v, want no error: 150 meet at most", err)
	}
}

func TestBrokenRules(t *testing.T) {
	items := goods(t, 10)
	for action, left := range map[rule.Action]int{rule.Filter: 0, rule.Bury: 10, rule.Pin: 10, rule.Quota: 10} {
		rules, err := rule.Compile(engine(t), []rule.Set{{ID: "s", Rules: []rule.Rule{{Name: "r", Action: action, Slot: 1, MaxCount: 1, Condition: "item.gone"}}}})
		if err == nil {
			t.Fatalf("%s: got no error", action)
		}
		s := rules.Steer(request(items, 4, nil))
		if got := s.Broken(); !slices.Equal(got, []string{"s/r"}) {
			t.Errorf("%s: got broken %v, want s/r", action, got)
		}
		eligible := features.FullBitmap(10)
		s.Mask(eligible)
		if eligible.Count() != left || s.Keep(3) != (left > 0) {
			t.Errorf("%s: got %d left and keep %v, want %d", action, eligible.Count(), s.Keep(3), left)
		}
		cs := candidates(5, 4, 3)
		if err := s.Adjust(cs); err != nil {
			t.Error(err)
		}
		if out, err := s.Arrange(cs, slices.Clone(cs)); err != nil || !slices.Equal(rows(out), []features.Row{0, 1, 2}) {
			t.Errorf("%s: got %v, %v, want the order as it was", action, rows(out), err)
		}
		s.Done()
	}
}
