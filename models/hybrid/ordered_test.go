package hybrid

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/sequence"
)

func kindsOf(cs []candidate) []string {
	var kinds []string
	for _, c := range cs {
		kinds = append(kinds, c.Kind)
	}
	slices.Sort(kinds)
	return kinds
}

func TestOrderedParts(t *testing.T) {
	f := Facts{Users: 1000, Items: 2000, Pairs: 9000, Timed: true, Order: 1}
	for _, c := range []struct {
		name   string
		change func(*Facts, *Params)
		want   []string
	}{
		{"rare items", func(*Facts, *Params) {}, []string{sequence.KindMarkov, sequence.KindSASRec}},
		{"often met items", func(f *Facts, _ *Params) { f.Items = 100 }, []string{sequence.KindLSTM, sequence.KindMarkov, sequence.KindSASRec}},
		{"half of it in order", func(f *Facts, _ *Params) { f.Order = .4 }, []string{sequence.KindMarkov}},
		{"baskets", func(f *Facts, _ *Params) { f.Order = .2 }, nil},
		{"few steps", func(f *Facts, _ *Params) { f.Pairs = 1500 }, nil},
		{"no time", func(_ *Facts, p *Params) { p.BudgetSeconds = 1 }, []string{sequence.KindMarkov}},
		{"no memory", func(_ *Facts, p *Params) { p.MemoryMB = 1 }, []string{sequence.KindMarkov}},
	} {
		facts, p := f, Defaults()
		c.change(&facts, &p)
		affordable, _ := within(ordered(facts), p)
		if got := kindsOf(affordable); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
	for _, c := range untried(candidates(f, Defaults()), nil, &Story{}) {
		if sequential(c.Kind) {
			t.Errorf("nothing held out: got part %s, want none that learns from order", c.Name)
		}
	}
}

func TestFollowing(t *testing.T) {
	var b dataset.Builder
	for i, at := range []int64{5, 5, 5, 9, 12} {
		b.Add("u", string(rune('a'+i)), "", features.Interaction{TimeMS: at})
	}
	if got := following(b.Build()); got != .5 {
		t.Errorf("got a share of %v, want two steps of four", got)
	}
}

func TestNetworksAreTriedLastAndWithinTheTime(t *testing.T) {
	var fitted []string
	in := models.FitInput{Workers: 2, Kinds: func(name string) (models.Kind, error) {
		return models.Kind{Name: name, Fit: func(context.Context, models.FitInput) (models.Model, error) {
			fitted = append(fitted, name)
			return nil, nil
		}}, nil
	}}
	tried := []candidate{
		{Choice: Choice{Name: "slow", Kind: "slow"}, need: need{seconds: 1500}},
		{Choice: Choice{Name: "network", Kind: "network"}, need: need{seconds: 900}},
		{Choice: Choice{Name: "a", Kind: "a"}}, {Choice: Choice{Name: "b", Kind: "b"}},
	}
	story := &Story{}
	p := Params{BudgetSeconds: 1500} // 600 for choosing, which is 1200 of one core
	if _, _, err := fitTried(context.Background(), in, p, nil, tried, story, newClock(2)); err != nil {
		t.Fatal(err)
	}
	if want := []string{"a", "b", "network"}; !slices.Equal(fitted, want) {
		t.Errorf("got %v fitted, want %v", fitted, want)
	}
	if last := story.Tried[len(story.Tried)-1]; last.Name != "slow" || !strings.Contains(last.Why, "not tried") {
		t.Errorf("got %+v last, want the slow one untried", last)
	}
}
