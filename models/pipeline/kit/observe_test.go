package kit_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/pipeline"
)

// notes is an observer that remembers.
type notes struct{ seen []pipeline.Observation }

func (n *notes) Observe(o pipeline.Observation) { n.seen = append(n.seen, o) }

func (n *notes) find(t *testing.T, stage pipeline.Stage, name string) pipeline.Observation {
	t.Helper()
	i := slices.IndexFunc(n.seen, func(o pipeline.Observation) bool { return o.Stage == stage && o.Component == name })
	if i < 0 {
		t.Fatalf("%s %s was not observed", stage, name)
	}
	return n.seen[i]
}

func TestEveryComponentIsObserved(t *testing.T) {
	n := &notes{}
	rec := recipe(t, features.SurfaceHome)
	p := build(t, rec, environment(t, nil), pipeline.Options{Observer: n})
	r := request(shelf(t, nil), known(2, 3))
	r.Market = "DE"
	ans := answer(t, p, r)
	for _, s := range rec.Sources {
		if o := n.find(t, pipeline.StageSource, s.Name); o.Why != "" || o.Surface != features.SurfaceHome {
			t.Errorf("source %s: got %+v", s.Name, o)
		}
	}
	for _, f := range rec.Filters {
		n.find(t, pipeline.StageFilter, f.Name)
	}
	for _, s := range rec.Selectors {
		n.find(t, pipeline.StageSelect, s.Name)
	}
	if o := n.find(t, pipeline.StageEligible, "base"); o.Items != shelfItems-3 {
		t.Errorf("got %d eligible rows, want %d", o.Items, shelfItems-3)
	}
	if o := n.find(t, pipeline.StageRank, "weighted"); o.Items != ans.Considered {
		t.Errorf("got %d ranked, want %d", o.Items, ans.Considered)
	}
	if o := n.find(t, pipeline.StageReason, "reasons"); o.Items != len(ans.Items) {
		t.Errorf("got reasons for %d items, want %d", o.Items, len(ans.Items))
	}
}

func TestFailuresAreObserved(t *testing.T) {
	n := &notes{}
	boom := errors.New("boom")
	dead := &stub{name: "dead", ask: func(context.Context, *features.Request, int, []pipeline.Candidate) ([]pipeline.Candidate, error) {
		return nil, boom
	}}
	if _, err := run(t, models.Recipe{Sources: sourcesOf("dead")}, request(shelf(t, nil), nil), pipeline.Options{Observer: n}, dead); err != nil {
		t.Fatal(err)
	}
	if o := n.find(t, pipeline.StageSource, "dead"); o.Why != "error" || !errors.Is(o.Err, boom) {
		t.Errorf("got %+v, want an error that is boom", o)
	}
}

// TestProposeIsWhatAnswerRanks: candidates to learn on are those that answers
// are made of, with the sources they come from.
func TestProposeIsWhatAnswerRanks(t *testing.T) {
	rec := recipe(t, features.SurfaceHome)
	p := build(t, rec, environment(t, nil), pipeline.Options{})
	r := request(shelf(t, nil), known(2, 3))
	r.Limit = shelfItems
	var ans pipeline.Answer
	cs, err := p.Propose(context.Background(), r, &ans, nil)
	if err != nil {
		t.Fatal(err)
	}
	proposed := map[features.Row]uint64{}
	for _, c := range cs {
		if _, twice := proposed[c.Row]; twice || c.From == 0 || c.From&(1<<c.Main) == 0 || c.Propensity != 1 {
			t.Errorf("got candidate %+v, want each once, from its main source, with propensity 1", c)
		}
		proposed[c.Row] = c.From
	}
	whole := answer(t, p, r)
	for _, it := range whole.Items {
		if from := proposed[it.Row]; from != it.From && from != it.From&(1<<len(rec.Sources)-1) {
			t.Errorf("item %d: proposed by %b, answered by %b", it.Row, from, it.From)
		}
	}
	if len(cs) == 0 || ans.Considered != len(cs) {
		t.Errorf("got %d candidates and %d considered, want the same and some", len(cs), ans.Considered)
	}
}
