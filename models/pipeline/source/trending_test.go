package source

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/pipeline"
)

// charts is trends by span, market and segment.
type charts map[string][]string

func (c charts) Trend(span pipeline.Span, market, segment string) *pipeline.Trend {
	ids, ok := c[fmt.Sprint(span, " ", market, " ", segment)]
	if !ok {
		return nil
	}
	return &pipeline.Trend{Items: ids, Scores: make([]float32, len(ids))}
}

// What a shopper's segments want goes first, then what the market wants; what
// is not eligible or not in the release is left out; what nobody counted is
// filled by a model where the recipe names one.
func TestTrending(t *testing.T) {
	goods := make([]features.Item, 8)
	for i := range goods {
		goods[i].ID = string(rune('a' + i))
	}
	items, err := catalog.Of(goods)
	if err != nil {
		t.Fatal(err)
	}
	trends := charts{
		"0 DE loyal": {"c", "gone", "a"}, "0 DE ": {"b", "c", "d"}, "1  loyal": {"h", "g"}, "1 FR loyal": {"f"}, "1 DE ": {"e"}, "0 DE at risk": {"e"},
	}
	of := func(p *features.Profile, consent features.Purposes) *features.Shopper {
		return &features.Shopper{Profile: p, Consent: consent}
	}
	loyal := &features.Profile{Segments: []string{"loyal"}, Lifecycle: "at risk"}
	for _, c := range []struct {
		name, source, market string
		shopper              *features.Shopper
		n                    int
		want                 string
	}{
		{"segment before market", "trending", "DE", of(loyal, features.AllPurposes), 9, "cabd"},
		{"as many as asked for", "trending", "DE", of(loyal, features.AllPurposes), 3, "cab"},
		{"no segment: the place in life", "trending", "DE", of(&features.Profile{Lifecycle: "at risk"}, features.AllPurposes), 9, "ebcd"},
		{"no consent", "trending", "DE", of(loyal, 0), 9, "bcd"},
		{"nobody", "trending", "DE", nil, 9, "bcd"},
		{"unknown market: the model", "trending", "GB", nil, 2, "hg"},
		{"segment in the market", "segment", "FR", of(loyal, features.AllPurposes), 9, "f"},
		{"segment everywhere", "segment", "DE", of(loyal, features.AllPurposes), 9, "hg"},
		{"segment of nobody: the model", "segment", "DE", nil, 1, "h"},
	} {
		s, err := Build(models.SourceSpec{Name: "x", Source: c.source, Model: "popular"}, pipeline.Env{
			Models: map[string]models.Model{"popular": last{n: len(goods)}}, Trends: trends,
		})
		if err != nil {
			t.Fatal(err)
		}
		eligible := features.NewBitmap(len(goods))
		eligible.Fill()
		r := &features.Request{Query: features.Query{Market: c.market}, Shopper: c.shopper, Item: features.NoRow, Catalog: items, Eligible: eligible}
		for _, without := range []string{"", "c"} {
			want := c.want
			if without != "" {
				eligible.Clear(2)
				want = string(slices.DeleteFunc([]byte(c.want), func(b byte) bool { return b == 'c' }))
				if c.n == 3 {
					want = "abd"
				}
			}
			got, err := s.Candidates(context.Background(), r, c.n, nil)
			if err != nil {
				t.Fatal(err)
			}
			ids := ""
			for _, x := range got {
				ids += items.ID(x.Row)
			}
			if ids != want {
				t.Errorf("%s, without %q: got %s, want %s", c.name, without, ids, want)
			}
		}
	}
}

// last is a model that likes the later rows more.
type last struct {
	models.Model
	n int
}

func (l last) Items() int { return l.n }

func (l last) Score(_ *features.Request, items []features.Row, out []float32) {
	for i, row := range items {
		out[i] = float32(row) + 1
	}
}

// A chart that was made anew is held in place of the one before: old ones do not
// pile up.
func TestOldChartsAreLetGo(t *testing.T) {
	items, err := catalog.Of([]features.Item{{ID: "a"}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := newTrending(models.SourceSpec{Name: "x", Source: "trending"}, pipeline.Env{Trends: charts{"0 DE ": {"a"}, "0 FR ": {"a"}}})
	if err != nil {
		t.Fatal(err)
	}
	eligible := features.NewBitmap(1)
	eligible.Fill()
	for range 100 { // each time the charts are others
		for _, market := range []string{"DE", "FR"} {
			r := &features.Request{Query: features.Query{Market: market}, Item: features.NoRow, Catalog: items, Eligible: eligible}
			if got, err := s.Candidates(context.Background(), r, 1, nil); err != nil || len(got) != 1 {
				t.Fatalf("got %v, %v, want the item", got, err)
			}
		}
	}
	if n := len(s.(*trending).known); n != 2 {
		t.Errorf("got %d charts held, want that of each market", n)
	}
}
