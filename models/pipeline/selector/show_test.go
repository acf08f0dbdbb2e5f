package selector_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/pipeline"
	"github.com/attune-rec/attune/models/pipeline/selector"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

func pick(t *testing.T, name string, params map[string]any, r *features.Request, scores ...float32) []pipeline.Candidate {
	t.Helper()
	s, err := selector.Build(models.ComponentSpec{Name: name, Params: params}, pipeline.Env{})
	if err != nil {
		t.Fatalf("build: %v", err)
	}
	if r.Scratch == nil {
		r.Scratch = new(features.Scratch)
	}
	r.Scratch.Reset()
	var cs []pipeline.Candidate
	for i, v := range scores {
		cs = append(cs, pipeline.Candidate{Row: features.Row(i), Score: v, Propensity: 1})
	}
	return s.Select(r, cs)
}

func rowsOf(cs []pipeline.Candidate) (rows []features.Row) {
	for _, c := range cs {
		rows = append(rows, c.Row)
	}
	return rows
}

func shown(ago time.Duration, rows ...features.Row) (out []features.Shown) {
	for _, row := range rows {
		out = append(out, features.Shown{Row: row, TimeMS: noon.Add(-ago).UnixMilli()})
	}
	return out
}

func TestFatigue(t *testing.T) {
	day := 24 * time.Hour
	for name, c := range map[string]struct {
		shown  []features.Shown
		done   []features.Interaction
		params map[string]any
		limit  int
		want   []features.Row
	}{
		"nothing shown":       {nil, nil, nil, 3, []features.Row{0, 1, 2, 3}},
		"just now":            {shown(0, 0), nil, map[string]any{"weight": 1}, 3, []features.Row{1, 0, 2, 3}},
		"long ago":            {shown(9*day, 0), nil, map[string]any{"weight": 1}, 3, []features.Row{0, 1, 2, 3}},
		"time and again":      {append(shown(day, 0), shown(0, 0, 0)...), nil, map[string]any{"weight": 1}, 3, []features.Row{1, 2, 0, 3}},
		"taken up since":      {shown(time.Hour, 0, 0, 0), []features.Interaction{{Row: 0, Type: features.View, TimeMS: noon.UnixMilli()}}, map[string]any{"weight": 1}, 3, []features.Row{0, 1, 2, 3}},
		"taken up before":     {shown(0, 0, 0), []features.Interaction{{Row: 0, Type: features.View, TimeMS: noon.Add(-day).UnixMilli()}}, map[string]any{"weight": 1}, 3, []features.Row{1, 2, 0, 3}},
		"dropped":             {shown(day, 0, 0), nil, map[string]any{"weight": 0, "drop": 2}, 3, []features.Row{1, 2, 3}},
		"dropped but needed":  {shown(day, 0, 0, 1, 1), nil, map[string]any{"weight": 0, "drop": 2}, 3, []features.Row{2, 3, 0}},
		"dropped all the way": {shown(day, 0, 1, 2, 3), nil, map[string]any{"weight": 0, "drop": 1}, 3, []features.Row{0, 1, 2}},
	} {
		r := &features.Request{Query: features.Query{Now: noon, Limit: c.limit}, Shown: c.shown, Shopper: &features.Shopper{Consent: features.AllPurposes, Recent: c.done}}
		got := pick(t, "fatigue", c.params, r, 4, 3.2, 2, -1)
		if !slices.Equal(rowsOf(got), c.want) {
			t.Errorf("%s: got %v, want %v", name, rowsOf(got), c.want)
		}
	}
	r := &features.Request{Query: features.Query{Now: noon, Limit: 3}, Shown: shown(day, 0)}
	got := pick(t, "fatigue", map[string]any{"weight": .5, "half_life": "24h"}, r, 1, -1)
	if want := 1 - .5*.5; math.Abs(float64(got[0].Score)-want) > 1e-6 { // the deviation is 1, the half life over
		t.Errorf("got score %v, want %v", got[0].Score, want)
	}
}

func TestSponsored(t *testing.T) {
	items := []features.Item{{Sponsor: "s"}, {}, {}, {Sponsor: "s"}, {Sponsor: "s"}, {Sponsor: "q"}, {}, {Sponsor: "p"}}
	scores := []float32{10, 9, 8, 7, 6, 5, 1, 0}
	for name, c := range map[string]struct {
		slots     []int
		least     float64
		want      []features.Row
		sponsored []features.Row
	}{
		"one":                  {[]int{2}, 0, []features.Row{0, 3, 1, 2, 4, 5, 6, 7}, []features.Row{3}},
		"each sponsor once":    {[]int{2, 4}, 0, []features.Row{0, 3, 1, 5, 2, 4, 6, 7}, []features.Row{3, 5}},
		"relevant enough":      {[]int{2, 3, 4}, .3, []features.Row{0, 3, 5, 1, 2, 4, 6, 7}, []features.Row{3, 5}},
		"beyond the answer":    {[]int{7}, 0, []features.Row{0, 1, 2, 3, 4, 5, 6, 7}, nil},
		"where it stands":      {[]int{1}, 0, []features.Row{0, 1, 2, 3, 4, 5, 6, 7}, []features.Row{0}},
		"nobody good enough":   {[]int{2}, .9, []features.Row{0, 1, 2, 3, 4, 5, 6, 7}, nil},
		"everyone who can pay": {[]int{2, 3, 4, 5}, 0, []features.Row{0, 3, 5, 7, 1, 2, 4, 6}, []features.Row{3, 5, 7}},
	} {
		got := pick(t, "sponsored", map[string]any{"slots": c.slots, "least": c.least}, request(6, items...), scores...)
		var paid []features.Row
		for _, g := range got {
			if g.Sponsored {
				paid = append(paid, g.Row)
			}
		}
		if !slices.Equal(rowsOf(got), c.want) || !slices.Equal(paid, c.sponsored) {
			t.Errorf("%s: got %v, sponsored %v, want %v, %v", name, rowsOf(got), paid, c.want, c.sponsored)
		}
	}
}

// trials are looks and clicks by row.
type trials map[features.Row][2]float64

func (t trials) Trial(row features.Row) (looks, clicks float64) { return t[row][0], t[row][1] }

// novelties are six old items, shown often with one click in ten looks, and four
// new ones.
func novelties(tr trials) *features.Request {
	items := make([]features.Item, 10)
	for i := range items {
		items[i].Created = noon.AddDate(-1, 0, 0)
		if i >= 6 {
			items[i].Created = noon.AddDate(0, 0, -1)
		} else if tr[features.Row(i)] == [2]float64{} {
			tr[features.Row(i)] = [2]float64{1000, 100}
		}
	}
	r := request(5, items...)
	r.Now, r.Trials = noon, tr
	return r
}

var descending = []float32{10, 9, 8, 7, 6, 5, 4, 3, 2, 1}

// TestPropensitiesAreTheShares: over many requests each item stands at the
// place as often as it says, and nothing else moves.
func TestPropensitiesAreTheShares(t *testing.T) {
	for name, c := range map[string]struct {
		tr   trials
		best features.Row // who has the place when nothing is drawn
	}{
		"unknown": {trials{6: {0, 0}, 7: {20, 2}, 8: {20, 4}, 9: {400, 2}}, 3},
		"found":   {trials{6: {300, 150}, 8: {50, 8}}, 6},
	} {
		r := novelties(c.tr)
		const n = 40_000
		counts, said := map[features.Row]float64{}, map[features.Row]float64{}
		for i := range n {
			r.Now = noon.Add(time.Duration(i) * 7919)
			got := pick(t, "explore", map[string]any{"slots": []int{4}, "rate": .3, "days": 30}, r, descending...)
			at := got[3]
			counts[at.Row]++
			if p, ok := said[at.Row]; ok && p != float64(at.Propensity) {
				t.Fatalf("%s: item %d says %v and %v", name, at.Row, p, at.Propensity)
			}
			said[at.Row] = float64(at.Propensity)
			rest := append(slices.Clone(got[:3]), got[4:]...)
			if !slices.IsSortedFunc(rest, pipeline.ByScore) || len(got) != 10 {
				t.Fatalf("%s: got %v, want the others in order", name, rowsOf(got))
			}
			for _, c := range rest {
				if c.Propensity != 1 {
					t.Fatalf("%s: item %d says %v, which nobody drew", name, c.Row, c.Propensity)
				}
			}
		}
		sum := 0.
		for row, p := range said {
			sum += p
			if share := counts[row] / n; math.Abs(share-p) > 4*math.Sqrt(p*(1-p)/n)+1e-9 {
				t.Errorf("%s: item %d stood there in %v of answers and said %v", name, row, share, p)
			}
		}
		if math.Abs(sum-1) > 1e-5 || said[c.best] < .7-1e-6 {
			t.Errorf("%s: got propensities %v, want a sum of 1 with most for item %d", name, said, c.best)
		}
		if name == "unknown" && (said[9] != 0 || said[8] <= said[7]) {
			t.Errorf("got propensities %v, want none for what was looked at enough, and most for what was clicked", said)
		}
	}
}

// What no model can judge is explored as well, and has the place's score.
func TestExploreTakesWhatCannotBeJudged(t *testing.T) {
	nan := float32(math.NaN())
	r := novelties(trials{})
	drawn := 0
	for i := range 200 {
		r.Now = noon.Add(time.Duration(i) * 7919)
		got := pick(t, "explore", map[string]any{"slots": []int{4}, "rate": .5}, r, 10, 9, 8, 7, 6, 5, nan, nan, nan, nan)
		if got[3].Row >= 6 {
			drawn++
		}
		if got[3].Score != 7 || len(got) != 10 {
			t.Fatalf("got %+v at the place, want the score 7", got[3])
		}
	}
	if drawn < 60 || drawn > 140 {
		t.Errorf("drawn in %d of 200 answers, want about half", drawn)
	}
}

func TestExploreLeavesAlone(t *testing.T) {
	want := []features.Row{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
	worn := trials{}
	for row := features.Row(6); row < 10; row++ {
		worn[row] = [2]float64{500, 3}
	}
	noTrials, noCatalog, short := novelties(trials{}), novelties(trials{}), novelties(trials{})
	noTrials.Trials, noCatalog.Catalog, short.Limit = nil, nil, 3
	for name, r := range map[string]*features.Request{"all looked at": novelties(worn), "no trials": noTrials, "no catalogue": noCatalog, "a short answer": short} {
		for i := range 100 {
			r.Now = noon.Add(time.Duration(i))
			got := pick(t, "explore", map[string]any{"slots": []int{4}, "rate": .9}, r, descending...)
			if !slices.Equal(rowsOf(got), want) || slices.ContainsFunc(got, func(c pipeline.Candidate) bool { return c.Propensity != 1 }) {
				t.Fatalf("%s: got %v, want nothing moved or drawn", name, rowsOf(got))
			}
		}
	}
	r := novelties(trials{})
	first := fmt.Sprint(pick(t, "explore", nil, r, descending...))
	if again := fmt.Sprint(pick(t, "explore", nil, r, descending...)); again != first {
		t.Errorf("the same request: got %s, want %s", again, first)
	}
}

func TestBuildRefusesWrongParameters(t *testing.T) {
	for name, spec := range map[string]models.ComponentSpec{
		"dpp without a model": {Name: "dpp"}, "theta": {Name: "dpp", Params: map[string]any{"theta": 1}},
		"half life": {Name: "fatigue", Params: map[string]any{"half_life": "0s"}}, "weight": {Name: "fatigue", Params: map[string]any{"weight": -1}},
		"no slots": {Name: "sponsored"}, "slot 0": {Name: "sponsored", Params: map[string]any{"slots": []int{0}}}, "twice": {Name: "sponsored", Params: map[string]any{"slots": []int{2, 2}}},
		"rate": {Name: "explore", Params: map[string]any{"rate": 1}}, "slots": {Name: "explore", Params: map[string]any{"slots": []int{}}}, "days": {Name: "explore", Params: map[string]any{"days": 0}},
	} {
		if _, err := selector.Build(spec, pipeline.Env{}); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}
