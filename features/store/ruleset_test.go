package store

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"
)

func TestRuleSets(t *testing.T) {
	ctx := context.Background()
	now := noon
	dir := t.TempDir()
	s := open(t, Options{Dir: dir, Clock: func() time.Time { return now }})
	first := must(s.PutRuleSet(ctx, shop, RuleSet{ID: "b", Surface: "home", Starts: noon, Ends: noon.Add(time.Hour), Body: []byte(`{"rules":[]}`)}))(t)
	must(s.PutRuleSet(ctx, shop, RuleSet{ID: "a", Body: []byte(`{}`)}))(t)
	must(s.PutRuleSet(ctx, "other", RuleSet{ID: "b", Body: []byte(`{"other":true}`)}))(t)
	if got := must(s.GetRuleSet(ctx, shop, "b"))(t); !reflect.DeepEqual(got, first) || got.Revision == 0 || !got.Created.Equal(noon) {
		t.Errorf("got %+v, want %+v as it was returned", got, first)
	}
	now = noon.Add(time.Minute)
	second := must(s.PutRuleSet(ctx, shop, RuleSet{ID: "b", Body: []byte(`{"n":2}`), Revision: first.Revision}))(t)
	if second.Revision == first.Revision || !second.Created.Equal(noon) || !second.Updated.Equal(now) {
		t.Errorf("got %+v, want another revision, created at first and updated now", second)
	}
	if _, err := s.PutRuleSet(ctx, shop, RuleSet{ID: "b", Body: []byte(`{}`), Revision: first.Revision}); !errors.Is(err, ErrStale) {
		t.Errorf("an old revision: got %v, want ErrStale", err)
	}
	if _, err := s.PutRuleSet(ctx, shop, RuleSet{ID: "new", Body: []byte(`{}`), Revision: 7}); !errors.Is(err, ErrStale) {
		t.Errorf("a revision of none: got %v, want ErrStale", err)
	}
	if _, err := s.PutRuleSet(ctx, shop, RuleSet{}); err == nil {
		t.Error("without an id: got no error")
	}
	if got := must(s.ListRuleSets(ctx, shop, "", 10))(t); len(got) != 2 || got[0].ID != "a" || got[1].ID != "b" {
		t.Errorf("list: got %+v, want a and b", got)
	}
	if got := must(s.ListRuleSets(ctx, shop, "a", 1))(t); len(got) != 1 || got[0].ID != "b" {
		t.Errorf("list after a: got %+v, want b", got)
	}
	if err := s.DeleteRuleSet(ctx, shop, "b", first.Revision); !errors.Is(err, ErrStale) {
		t.Errorf("delete by an old revision: got %v, want ErrStale", err)
	}
	if err := s.DeleteRuleSet(ctx, shop, "b", second.Revision); err != nil {
		t.Error(err)
	}
	for _, err := range []error{s.DeleteRuleSet(ctx, shop, "b", 0), func() error { _, err := s.GetRuleSet(ctx, shop, "b"); return err }()} {
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("deleted: got %v, want ErrNotFound", err)
		}
	}
	if got := must(s.GetRuleSet(ctx, "other", "b"))(t); string(got.Body) != `{"other":true}` {
		t.Errorf("the other shop's: got %s", got.Body)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, Options{Dir: dir})
	if got := must(s.ListRuleSets(ctx, shop, "", 10))(t); len(got) != 1 || got[0].ID != "a" {
		t.Errorf("after a restart: got %+v, want a", got)
	}
	again := must(s.PutRuleSet(ctx, shop, RuleSet{ID: "b", Body: []byte(`{}`)}))(t)
	if again.Revision == first.Revision || again.Revision == second.Revision {
		t.Errorf("made anew: got revision %d, which another had", again.Revision)
	}
}

func TestRecentServed(t *testing.T) {
	ctx := context.Background()
	s := open(t, Options{})
	var all []Served
	for n := range 7 {
		surface := []string{"home", "item"}[n%2]
		all = append(all, Served{Recommendation: time.Duration(n).String(), Time: noon.Add(time.Duration(n) * time.Second), User: key(1), Surface: surface, Items: []ServedItem{{Item: "x"}}})
	}
	if err := s.PutServed(ctx, shop, all); err != nil {
		t.Fatal(err)
	}
	if got := must(s.RecentServed(ctx, shop, "", 2))(t); !reflect.DeepEqual(got, []Served{all[6], all[5]}) {
		t.Errorf("got %+v, want the last two, newest first", got)
	}
	if got := must(s.RecentServed(ctx, shop, "item", 10))(t); len(got) != 3 || got[0].Recommendation != all[5].Recommendation {
		t.Errorf("of one surface: got %+v, want three from the last on", got)
	}
	if got := must(s.RecentServed(ctx, "other", "", 10))(t); len(got) != 0 {
		t.Errorf("of another shop: got %+v, want none", got)
	}
}
