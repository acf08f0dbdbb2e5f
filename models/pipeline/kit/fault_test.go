package kit_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/pipeline"
	"github.com/attune-rec/attune/models/pipeline/kit"
)

// stub is a component that does what it is told, in every role.
type stub struct {
	name   string
	remote bool
	ask    func(ctx context.Context, r *features.Request, n int, dst []pipeline.Candidate) ([]pipeline.Candidate, error)
	mask   func(eligible *features.Bitmap)
	keep   func(row features.Row) bool
	rank   func(cs []pipeline.Candidate) error
	choose func(cs []pipeline.Candidate) []pipeline.Candidate
}

func (s *stub) Name() string { return s.name }
func (s *stub) Remote() bool { return s.remote }

func (s *stub) Candidates(ctx context.Context, r *features.Request, n int, dst []pipeline.Candidate) ([]pipeline.Candidate, error) {
	return s.ask(ctx, r, n, dst)
}

func (s *stub) Mask(_ *features.Request, eligible *features.Bitmap) {
	if s.mask != nil {
		s.mask(eligible)
	}
}

func (s *stub) Keep(_ *features.Request, row features.Row) bool { return s.keep == nil || s.keep(row) }

func (s *stub) Rank(_ context.Context, _ *features.Request, cs []pipeline.Candidate) error {
	return s.rank(cs)
}

func (s *stub) Select(_ *features.Request, cs []pipeline.Candidate) []pipeline.Candidate {
	return s.choose(cs)
}

func gives(rows ...features.Row) func(context.Context, *features.Request, int, []pipeline.Candidate) ([]pipeline.Candidate, error) {
	return func(_ context.Context, _ *features.Request, _ int, dst []pipeline.Candidate) ([]pipeline.Candidate, error) {
		for _, row := range rows {
			dst = append(dst, pipeline.Candidate{Row: row})
		}
		return dst, nil
	}
}

// with is kit's components and stubs by the name "stub".
func with(env pipeline.Env, stubs ...*stub) pipeline.Components {
	parts := kit.Components(env)
	source, filter, ranker, sel := parts.Source, parts.Filter, parts.Ranker, parts.Selector
	find := func(name string) *stub {
		for _, s := range stubs {
			if s.name == name {
				return s
			}
		}
		return nil
	}
	parts.Source = func(spec models.SourceSpec) (pipeline.Source, error) {
		if s := find(spec.Name); s != nil {
			return s, nil
		}
		return source(spec)
	}
	parts.Filter = func(spec models.ComponentSpec) (pipeline.Filter, error) {
		if s := find(spec.Name); s != nil {
			return s, nil
		}
		return filter(spec)
	}
	parts.Ranker = func(spec models.RankerSpec) (pipeline.Ranker, error) {
		if s := find(spec.Ranker); s != nil {
			return s, nil
		}
		return ranker(spec)
	}
	parts.Selector = func(spec models.ComponentSpec) (pipeline.Selector, error) {
		if s := find(spec.Name); s != nil {
			return s, nil
		}
		return sel(spec)
	}
	return parts
}

func sourcesOf(names ...string) (specs []models.SourceSpec) {
	for _, n := range names {
		specs = append(specs, models.SourceSpec{Name: n, Limit: 50})
	}
	return specs
}

func rowsOf(ans *pipeline.Answer) (rows []features.Row) {
	for _, it := range ans.Items {
		rows = append(rows, it.Row)
	}
	return rows
}

func run(t *testing.T, rec models.Recipe, r *features.Request, opts pipeline.Options, stubs ...*stub) (*pipeline.Answer, error) {
	t.Helper()
	if rec.Surface == "" {
		rec.Surface = "test"
	}
	if rec.Ranker.Ranker == "" {
		rec.Ranker.Ranker = "source"
	}
	p, err := pipeline.New(rec, with(environment(t, nil), stubs...), opts)
	if err != nil {
		t.Fatalf("new: %v", err)
	}
	var ans pipeline.Answer
	return &ans, p.Answer(context.Background(), r, &ans)
}

func TestBrokenSourcesDegrade(t *testing.T) {
	boom := errors.New("boom")
	for name, broken := range map[string]*stub{
		"dead": {ask: func(_ context.Context, _ *features.Request, _ int, dst []pipeline.Candidate) ([]pipeline.Candidate, error) {
			return dst, boom
		}},
		"dead without a list": {ask: func(context.Context, *features.Request, int, []pipeline.Candidate) ([]pipeline.Candidate, error) {
			return nil, boom
		}},
		"panicking": {ask: func(context.Context, *features.Request, int, []pipeline.Candidate) ([]pipeline.Candidate, error) {
			panic("boom")
		}},
		"panicking elsewhere": {remote: true, ask: func(context.Context, *features.Request, int, []pipeline.Candidate) ([]pipeline.Candidate, error) {
			panic("boom")
		}},
		"dead elsewhere": {remote: true, ask: func(_ context.Context, _ *features.Request, _ int, dst []pipeline.Candidate) ([]pipeline.Candidate, error) {
			return dst, boom
		}},
	} {
		t.Run(name, func(t *testing.T) {
			broken.name = "broken"
			cat := shelf(t, nil)
			rec := models.Recipe{Sources: sourcesOf("broken", "sound")}
			ans, err := run(t, rec, request(cat, nil), pipeline.Options{}, broken, &stub{name: "sound", ask: gives(4, 2)})
			if err != nil {
				t.Fatal(err)
			}
			if got := rowsOf(ans); !slices.Equal(got, []features.Row{4, 2}) {
				t.Errorf("got rows %v, want 4, 2", got)
			}
			if want := []pipeline.Degradation{{Component: "broken", Why: "error"}}; !slices.Equal(ans.Degraded, want) {
				t.Errorf("got degraded %v, want %v", ans.Degraded, want)
			}
		})
	}
}

// A source that hangs is left behind: the test ends only because it is.
func TestHungRemoteSourceIsLeftBehind(t *testing.T) {
	release := make(chan struct{})
	var done sync.WaitGroup
	done.Add(1)
	hung := &stub{name: "hung", remote: true, ask: func(ctx context.Context, r *features.Request, _ int, dst []pipeline.Candidate) ([]pipeline.Candidate, error) {
		defer done.Done()
		<-release // deaf to ctx
		r.Eligible.Count()
		return dst, nil
	}}
	rec := models.Recipe{Sources: sourcesOf("hung", "sound"), Budget: models.Duration(20 * time.Millisecond)}
	ans, err := run(t, rec, request(shelf(t, nil), nil), pipeline.Options{}, hung, &stub{name: "sound", ask: gives(4)})
	close(release)
	done.Wait()
	if err != nil || !slices.Equal(rowsOf(ans), []features.Row{4}) {
		t.Fatalf("got rows %v, %v, want 4", rowsOf(ans), err)
	}
	if want := []pipeline.Degradation{{Component: "hung", Why: "timeout"}}; !slices.Equal(ans.Degraded, want) {
		t.Fatalf("got degraded %v, want %v", ans.Degraded, want)
	}
}

// A slow source in the process uses up the budget: what it gave is used, the
// next are not asked.
func TestSlowSourceUsesTheBudget(t *testing.T) {
	slow := &stub{name: "slow", ask: func(ctx context.Context, _ *features.Request, _ int, dst []pipeline.Candidate) ([]pipeline.Candidate, error) {
		for ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		if _, ok := ctx.Deadline(); !ok {
			return dst, errors.New("the budget is no deadline")
		}
		return append(dst, pipeline.Candidate{Row: 3}), ctx.Err()
	}}
	late := &stub{name: "late", ask: func(context.Context, *features.Request, int, []pipeline.Candidate) ([]pipeline.Candidate, error) {
		panic("asked")
	}}
	rec := models.Recipe{
		Sources: sourcesOf("slow", "late"), Fallback: sourcesOf("last"), Budget: models.Duration(5 * time.Millisecond),
	}
	ans, err := run(t, rec, request(shelf(t, nil), nil), pipeline.Options{}, slow, late, &stub{name: "last", ask: gives(5)})
	if err != nil || !slices.Equal(rowsOf(ans), []features.Row{3, 5}) {
		t.Fatalf("got rows %v, %v, want 3, 5", rowsOf(ans), err)
	}
	want := []pipeline.Degradation{{Component: "slow", Why: "timeout"}, {Component: "late", Why: "timeout"}}
	if !slices.Equal(ans.Degraded, want) {
		t.Fatalf("got degraded %v, want %v", ans.Degraded, want)
	}
}

func TestBrokenRankerAndSelectorDegrade(t *testing.T) {
	sound := &stub{name: "sound", ask: gives(4, 2, 6)}
	for name, s := range map[string]*stub{
		"ranker fails": {name: "broken", rank: func(cs []pipeline.Candidate) error {
			cs[0].Score, cs[0].Row = 100, 1
			return errors.New("boom")
		}},
		"ranker panics":   {name: "broken", rank: func([]pipeline.Candidate) error { panic("boom") }},
		"selector panics": {name: "broken", choose: func(cs []pipeline.Candidate) []pipeline.Candidate { cs[0].Row = 1; panic("boom") }},
	} {
		rec := models.Recipe{Sources: sourcesOf("sound")}
		if s.rank != nil {
			rec.Ranker.Ranker = "broken"
		} else {
			rec.Selectors = []models.ComponentSpec{{Name: "broken"}}
		}
		ans, err := run(t, rec, request(shelf(t, nil), nil), pipeline.Options{}, sound, s)
		if err != nil || !slices.Equal(rowsOf(ans), []features.Row{4, 2, 6}) {
			t.Errorf("%s: got rows %v, %v, want 4, 2, 6", name, rowsOf(ans), err)
		}
		if want := []pipeline.Degradation{{Component: "broken", Why: "error"}}; !slices.Equal(ans.Degraded, want) {
			t.Errorf("%s: got degraded %v, want %v", name, ans.Degraded, want)
		}
	}
}

func TestBrokenFilterFails(t *testing.T) {
	for name, f := range map[string]*stub{
		"mask": {name: "broken", mask: func(*features.Bitmap) { panic("boom") }},
		"keep": {name: "broken", keep: func(features.Row) bool { panic("boom") }},
	} {
		rec := models.Recipe{Sources: sourcesOf("sound"), Filters: []models.ComponentSpec{{Name: "broken"}}}
		ans, err := run(t, rec, request(shelf(t, nil), nil), pipeline.Options{}, f, &stub{name: "sound", ask: gives(4)})
		if !errors.Is(err, pipeline.ErrFilter) || len(ans.Items) > 0 {
			t.Errorf("%s: got %v and %d items, want ErrFilter and none", name, err, len(ans.Items))
		}
	}
}

func TestSelectorsInventNothing(t *testing.T) {
	rec := models.Recipe{Sources: sourcesOf("sound"), Selectors: []models.ComponentSpec{{Name: "liar"}}}
	liar := &stub{name: "liar", choose: func(cs []pipeline.Candidate) []pipeline.Candidate {
		return append(cs, pipeline.Candidate{Row: 22}, pipeline.Candidate{Row: 9}, cs[0], pipeline.Candidate{Row: -4}, pipeline.Candidate{Row: 1 << 20})
	}}
	ans, err := run(t, rec, request(shelf(t, nil), nil), pipeline.Options{}, liar, &stub{name: "sound", ask: gives(4, 2)})
	if err != nil || !slices.Equal(rowsOf(ans), []features.Row{4, 2}) {
		t.Fatalf("got rows %v, %v, want 4, 2", rowsOf(ans), err)
	}
}

func TestSwitches(t *testing.T) {
	var sw pipeline.Switches
	opts := pipeline.Options{Switches: &sw}
	p := build(t, recipe(t, features.SurfaceHome), environment(t, nil), opts)
	r := request(shelf(t, nil), known(3, 5))
	before := answer(t, p, r)
	for _, name := range []string{"factors", "weighted", "mmr"} {
		sw.Set(name, false)
	}
	off := answer(t, p, r)
	for _, name := range []string{"factors", "weighted", "mmr"} {
		if !slices.Contains(off.Degraded, pipeline.Degradation{Component: name, Why: "off"}) {
			t.Errorf("got degraded %v, want %s off", off.Degraded, name)
		}
		sw.Set(name, true)
	}
	for _, it := range off.Items {
		if it.Source == "factors" {
			t.Errorf("item %d comes from a source that is off", it.Row)
		}
	}
	if after := answer(t, p, r); fmt.Sprint(after.Items) != fmt.Sprint(before.Items) || len(after.Degraded) > 0 {
		t.Errorf("got %v after switching on again, want %v", after, before)
	}
}

func TestEndedContextAndBadRequests(t *testing.T) {
	p := build(t, recipe(t, features.SurfaceHome), environment(t, nil), pipeline.Options{})
	r := request(shelf(t, nil), known(3))
	var ans pipeline.Answer
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := p.Answer(ctx, r, &ans); !errors.Is(err, context.Canceled) {
		t.Errorf("ended context: got %v, want Canceled", err)
	}
	r.Limit = 0
	if err := p.Answer(context.Background(), r, &ans); !errors.Is(err, pipeline.ErrRequest) {
		t.Errorf("limit 0: got %v, want ErrRequest", err)
	}
}

// A source that looks at nothing gives what may not leave: deleted, hidden,
// masked and excluded rows, rows there are none of, and too many.
func TestSourcesCannotGetRoundTheMask(t *testing.T) {
	careless := &stub{name: "careless", ask: gives(22, 21, 23, 3, 3, -1, 1<<20, 8, 7, 6, 5)}
	masks := &stub{name: "masks", mask: func(b *features.Bitmap) { b.Clear(6) }, keep: func(row features.Row) bool { return row != 5 }}
	specs := sourcesOf("careless")
	for _, rec := range []models.Recipe{
		{Sources: specs, Filters: []models.ComponentSpec{{Name: "masks"}}},
		{Fallback: specs, Filters: []models.ComponentSpec{{Name: "masks"}}},
	} {
		r := request(shelf(t, nil), nil)
		r.Market, r.Limit = "DE", 50
		r.Exclude = []features.Row{7}
		ans, err := run(t, rec, r, pipeline.Options{}, careless, masks)
		if err != nil || !slices.Equal(rowsOf(ans), []features.Row{3, 8}) {
			t.Errorf("got rows %v, %v, want 3, 8", rowsOf(ans), err)
		}
	}
	specs[0].Limit = 5
	ans, err := run(t, models.Recipe{Sources: specs}, request(shelf(t, nil), nil), pipeline.Options{}, careless)
	if err != nil || !slices.Equal(rowsOf(ans), []features.Row{21, 3}) {
		t.Errorf("of the first five: got rows %v, %v, want 21, 3", rowsOf(ans), err)
	}
}
