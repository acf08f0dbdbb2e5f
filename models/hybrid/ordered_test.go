package hybrid

import (
	"slices"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
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
		{"baskets", func(f *Facts, _ *Params) { f.Order = .2 }, nil},
		{"few steps", func(f *Facts, _ *Params) { f.Pairs = 1500 }, nil},
		{"no time", func(_ *Facts, p *Params) { p.BudgetSeconds = 1 }, []string{sequence.KindMarkov}},
		{"no memory", func(_ *Facts, p *Params) { p.MemoryMB = 1 }, []string{sequence.KindMarkov}},
	} {
		facts, p := f, Defaults()
		c.change(&facts, &p)
		if got := kindsOf(ordered(facts, p)); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
	for _, c := range untried(candidates(f, Defaults()), &Story{}) {
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
