package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/eval"
)

// memory is a log; key 9 is a session that turned out to be shopper 1, and
// shopper 3 does not want to be in figures.
type memory []features.Event

func (m memory) Scan(_ context.Context, _ features.ShopID, _, _ int64, f func(*features.Event) error) error {
	for i := range m {
		e := m[i]
		e.Seq = int64(i + 1)
		if err := f(&e); err != nil {
			return err
		}
	}
	return nil
}

func (memory) Resolve(_ context.Context, _ features.ShopID, key features.UserKey) (features.UserKey, error) {
	if key[0] == 9 {
		key[0] = 1
	}
	return key, nil
}

func (memory) Withheld(context.Context, features.ShopID) (func(*features.Event) bool, error) {
	return nil, nil
}

func (memory) Consent(_ context.Context, _ features.ShopID, key features.UserKey) (features.Purposes, error) {
	if key[0] == 3 {
		return features.Personalisation, nil
	}
	return features.AllPurposes, nil
}

// last scores an item by whether it stands beside the newest of the history:
// what an answer was given with can be read off it.
type last struct{ items int }

func (m last) Score(r *features.Request, items []features.Row, out []float32) {
	newest := features.Row(0)
	if h := r.History(); len(h) > 0 {
		newest = h[len(h)-1].Row
	}
	for i, row := range items {
		out[i] = 1 / float32(1+(int(row)-int(newest)+m.items)%m.items)
	}
}
func (last) Kind() string             { return "last" }
func (m last) Items() int             { return m.items }
func (last) Save(models.Writer) error { return errors.New("not kept") }

func day(n int) time.Time { return time.Date(2026, 1, n, 12, 0, 0, 0, time.UTC) }

func stock(t *testing.T, created map[int]time.Time) *catalog.Snapshot {
	t.Helper()
	var items []features.Item
	for i := range 40 {
		items = append(items, features.Item{ID: fmt.Sprintf("i%02d", i), Kind: features.Product, Created: created[i]})
	}
	s, err := catalog.Of(items)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func subject(t *testing.T, surface string, sources int, created map[int]time.Time) Subject {
	t.Helper()
	items := stock(t, created)
	return Subject{
		Name: "last", Items: items, Models: []models.Part{{Name: "last", Model: last{items.Len()}}},
		Recipe: models.Recipe{
			Surface: surface, Sources: []models.SourceSpec{{Name: "all", Source: "popular", Model: "last", Limit: sources}},
			Filters: []models.ComponentSpec{{Name: "seen"}, {Name: "page"}}, Ranker: models.RankerSpec{Ranker: "model", Model: "last"},
		},
	}
}

func buy(user byte, order string, at time.Time, items ...int) []features.Event {
	var out []features.Event
	for _, i := range items {
		out = append(out, features.Event{Type: features.Purchase, User: features.UserKey{user}, Order: order, Item: fmt.Sprintf("i%02d", i), Time: at, Quantity: 1})
	}
	return out
}

func run(t *testing.T, log memory, s Subject) (*Report, *tape, *player) {
	t.Helper()
	ctx := context.Background()
	o := Options{From: day(10), To: day(20), Seed: 1, Workers: 2}
	report, err := Run(ctx, log, features.DefaultShop, s, o)
	if err != nil {
		t.Fatal(err)
	}
	tp, err := record(ctx, log, features.DefaultShop, s.Items, &o)
	if err != nil {
		t.Fatal(err)
	}
	p, err := newPlayer(s, tp)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.play(ctx, log, features.DefaultShop, &o); err != nil {
		t.Fatal(err)
	}
	return report, tp, p
}

func answers(p *player) [][]int {
	var out [][]int
	for i := range p.cases {
		var rows []int
		for _, a := range p.cases[i].answer {
			rows = append(rows, int(a.row))
		}
		out = append(out, rows)
	}
	return out
}

func TestSessionsSeeOnlyThePast(t *testing.T) {
	log := slices.Concat(
		buy(1, "a", day(2), 4),
		buy(2, "x", day(19), 30), // stands early in the log and happened late
		buy(2, "b", day(11), 1, 2),
		[]features.Event{{Type: features.View, Session: features.UserKey{9}, Item: "i07", Time: day(12)}},
		buy(1, "c", day(13), 8, 4),
		buy(1, "d", day(14), 9),
		buy(3, "e", day(15), 9),
		buy(2, "f", day(25), 9),
	)
	report, tp, p := run(t, log, subject(t, features.SurfaceHome, 40, nil))
	var starts []string
	for _, v := range tp.visits {
		starts = append(starts, fmt.Sprintf("%d %s %v", v.user[0], v.order, v.items))
	}
	want := []string{"2 b [i01 i02]", "1 c [i08 i04]", "1 d [i09]", "2 x [i30]"}
	if !slices.Equal(starts, want) {
		t.Fatalf("got sessions %q, want %q", starts, want)
	}
	// Shopper 2 is unknown at b although the log has x before it; at c the newest
	// is what the session saw, 7; at d it is what c bought last.
	got := answers(p)
	for i, first := range []int{0, 7, 5, 0} {
		if got[i][0] != first {
			t.Errorf("session %s begins with %d, want %d", want[i], got[i][0], first)
		}
	}
	if report.Sessions != 4 || report.Shoppers != 2 || report.Cold != 2 || report.Withheld != 1 {
		t.Errorf("got %+v, want 4 sessions of 2 shoppers, 2 of them cold, 1 withheld", report)
	}
	if v := report.Reach; v == nil || v.Value != 1 {
		t.Errorf("got reach %v, want 1 where every item is a candidate", v)
	}
	// c: 8 is found and 4 was had before; with 4 among those to be found, half.
	if v := p.cases[1]; v.fresh != 1 || v.bought != 2 || !v.hitsFresh[1] || slices.Contains(v.hits[2:], true) {
		t.Errorf("got %+v, want the new item alone found, at place 2", v)
	}
}

// A later event changes nothing of the answers before it.
func TestTheFutureChangesNothing(t *testing.T) {
	log := memory(slices.Concat(buy(1, "a", day(2), 4), buy(1, "b", day(11), 5), buy(2, "c", day(12), 6)))
	_, _, short := run(t, log, subject(t, features.SurfaceHome, 20, nil))
	more := append(slices.Clone(log), slices.Concat(buy(1, "d", day(16), 20), buy(4, "e", day(17), 21))...)
	_, _, long := run(t, more, subject(t, features.SurfaceHome, 20, nil))
	if got, want := answers(long)[:2], answers(short); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v after the log went on, want %v", got, want)
	}
}

func TestItemsOfLaterAreNotAnswered(t *testing.T) {
	made := map[int]time.Time{0: day(12), 1: day(12), 2: day(1)}
	log := slices.Concat(buy(5, "z", day(3), 1), buy(1, "a", day(11), 30), buy(1, "b", day(13), 31))
	_, _, p := run(t, log, subject(t, features.SurfaceHome, 40, made))
	got := answers(p)
	if slices.Contains(got[0], 0) || !slices.Contains(got[0], 1) || !slices.Contains(got[0], 2) {
		t.Errorf("got %v on day 11, want neither 0, made on day 12, nor without 1, which was bought before it is said to be made", got[0])
	}
}

func TestReachIsOfTheRankersBest(t *testing.T) {
	s := subject(t, features.SurfaceHome, 5, nil) // for nobody: 0 to 4
	log := slices.Concat(buy(1, "a", day(2), 2), buy(1, "b", day(11), 30))
	report, _, _ := run(t, log, s)
	// The best ten after 2 is bought are 3 to 12, and the candidates 0, 1, 3, 4, 5.
	if v := report.Reach; v == nil || v.Value != .3 {
		t.Errorf("got reach %+v, want 0.3", v)
	}
}

func TestSurfacesHaveTheirPage(t *testing.T) {
	log := slices.Concat(buy(1, "a", day(11), 1, 2, 3, 4), buy(2, "b", day(12), 1))
	for surface, found := range map[string]int{features.SurfaceHome: 4, features.SurfaceItem: 3, features.SurfaceCart: 2} {
		_, _, p := run(t, log, subject(t, surface, 40, nil))
		if got := p.cases[0].bought; got != found {
			t.Errorf("%s: got %d items to be found, want %d", surface, got, found)
		}
		if asked := p.cases[1].asked; asked != (surface == features.SurfaceHome) {
			t.Errorf("%s: got %v for a session of one item", surface, asked)
		}
	}
}

func TestNothingToJudge(t *testing.T) {
	s := subject(t, features.SurfaceHome, 5, nil)
	_, err := Run(context.Background(), memory(buy(3, "a", day(11), 1)), features.DefaultShop, s, Options{From: day(10), To: day(20)})
	if !errors.Is(err, ErrNothing) {
		t.Errorf("got %v, want ErrNothing", err)
	}
	s.Recipe.Sources[0].Model = "gone"
	_, err = Run(context.Background(), memory(buy(1, "a", day(11), 1)), features.DefaultShop, s, Options{From: day(10), To: day(20)})
	if !errors.Is(err, models.ErrRecipe) {
		t.Errorf("got %v, want ErrRecipe", err)
	}
}

func TestDifferenceIsPaired(t *testing.T) {
	log := slices.Concat(buy(1, "a", day(2), 4), buy(1, "b", day(11), 5), buy(2, "c", day(12), 6), buy(3, "d", day(12), 6))
	a, _, _ := run(t, log, subject(t, features.SurfaceHome, 40, nil))
	d, err := Difference(a, a, "ndcg@10", 1, 1)
	if err != nil || d.Difference != 0 || d.Low != 0 || d.High != 0 || d.Significant {
		t.Errorf("got %+v, %v of a report with itself", d, err)
	}
	b, _, _ := run(t, log[:2], subject(t, features.SurfaceHome, 40, nil))
	if _, err := Difference(a, b, "ndcg@10", 1, 1); err == nil {
		t.Error("reports of different sessions were compared")
	}
}

// Answers are told by the stage that shoppers were in as they came, and a
// shopper counts once in each.
func TestStagesOfTheLifecycle(t *testing.T) {
	log := slices.Concat(
		buy(1, "a", day(2), 2), buy(1, "b", day(11), 3), buy(1, "c", day(13), 30), // new and right, active and wrong
		buy(2, "d", day(12), 35),                                                                           // unknown and wrong
		buy(4, "e", day(3), 2), buy(4, "f", day(11), 3), buy(4, "g", day(12), 4), buy(4, "h", day(14), 30), // new and right, active and half right
	)
	slices.SortStableFunc(log, func(a, b features.Event) int { return a.Time.Compare(b.Time) })
	report, _, _ := run(t, log, subject(t, features.SurfaceHome, 40, nil))
	rate := eval.Metric{Name: eval.HitRate, K: limit}.String()
	var got []string
	for _, s := range report.Stages {
		got = append(got, fmt.Sprintf("%s %s %d %.2f", s.By, s.Value, s.Cases, s.Metrics[rate]))
	}
	if want := []string{"lifecycle new 2 1.00", "lifecycle active 3 0.25", "lifecycle unknown 1 0.00"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, write := range []func(io.Writer) error{report.WriteText, report.WriteHTML} {
		var b strings.Builder
		if err := write(&b); err != nil || !strings.Contains(b.String(), "active") || !strings.Contains(b.String(), "0.2500") {
			t.Errorf("got %v and %s", err, b.String())
		}
	}
}
