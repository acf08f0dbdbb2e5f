package recommend

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/models/pipeline"
	"github.com/attune-rec/attune/server/shopper"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// stand is a release whose pipeline answers eligible rows in order, a shopper
// store and a journal in one.
type stand struct {
	version string
	items   []features.Item
	none    bool
	lost    error
	who     *features.Shopper
	last    features.Request
	mu      sync.Mutex
	held    int
	served  []store.Served
	reason  pipeline.Reason
}

func newStand(version string, n int) *stand {
	s := &stand{version: version}
	for i := range n {
		s.items = append(s.items, features.Item{
			ID: fmt.Sprintf("item-%d", i), Title: fmt.Sprintf("Mug %d", i),
			Variants: map[string]features.Text{"de": {Title: fmt.Sprintf("Tasse %d", i)}},
			Prices:   map[string]features.Money{"": features.MoneyOf(2, "GBP"), "DE": features.MoneyOf(3, "EUR")},
		})
	}
	return s
}

func (s *stand) Acquire(context.Context, features.ShopID, features.UserKey) (Release, error) {
	if s.none {
		return nil, ErrNoRelease
	}
	s.mu.Lock()
	s.held++
	s.mu.Unlock()
	return s, nil
}

func (s *stand) Done() {
	s.mu.Lock()
	s.held--
	s.mu.Unlock()
}

func (s *stand) Version() string           { return s.version }
func (s *stand) Catalog() features.Catalog { return s }
func (s *stand) Surfaces() []string        { return []string{"home", "item"} }

func (s *stand) Pipeline(surface string) Pipeline {
	if surface == "home" || surface == "item" {
		return s
	}
	return nil
}

func (s *stand) Answer(_ context.Context, r *features.Request, ans *pipeline.Answer) error {
	s.mu.Lock()
	s.last = *r
	s.last.Exclude = slices.Clone(r.Exclude)
	s.mu.Unlock()
	ans.Items, ans.Degraded = ans.Items[:0], ans.Degraded[:0]
	for row := range features.Row(len(s.items)) {
		if len(ans.Items) < r.Limit && !slices.Contains(r.Exclude, row) && row != r.Item {
			ans.Items = append(ans.Items, pipeline.Answered{
				Candidate: pipeline.Candidate{Row: row, Score: -float32(row), Propensity: 1}, Source: "order", Reason: s.reason,
			})
		}
	}
	return nil
}

func (s *stand) Get(context.Context, features.ShopID, features.UserKey, features.UserKey, shopper.View) (*features.Shopper, error) {
	return s.who, s.lost
}

func (s *stand) Put(_ features.ShopID, r store.Served) { s.served = append(s.served, r) }

func (s *stand) Len() int { return len(s.items) }

func (s *stand) Row(id string) (features.Row, bool) {
	i := slices.IndexFunc(s.items, func(it features.Item) bool { return it.ID == id })
	return features.Row(i), i >= 0
}

func (s *stand) Item(row features.Row) *features.Item       { return &s.items[row] }
func (s *stand) ID(row features.Row) string                 { return s.items[row].ID }
func (s *stand) Where(string, string) *features.Bitmap      { return nil }
func (s *stand) swap(version string, items []features.Item) { s.version, s.items = version, items }

func recommender(t *testing.T, s *stand) *Recommender {
	t.Helper()
	rec, err := New(Options{Releases: s, Shoppers: s, Journal: s, Clock: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

func ids(ans *Answer) []string {
	out := make([]string, len(ans.Items))
	for i := range ans.Items {
		out[i] = ans.Items[i].ID
	}
	return out
}

func TestAnswerSpeaksTheCallersWords(t *testing.T) {
	s := newStand("v1", 4)
	s.who = &features.Shopper{Consent: features.AllPurposes}
	s.reason = pipeline.Reason{Kind: pipeline.BecauseOf, Item: 3, Type: features.Purchase, Contribution: 0.5}
	rec := recommender(t, s)
	var ans Answer
	q := &Query{Shop: "default", User: features.UserKey{1}, Market: "DE", Locale: "de-AT", Exclude: []string{"item-1", "nothing"}, Limit: 2}
	if err := rec.Recommend(context.Background(), q, &ans); err != nil {
		t.Fatal(err)
	}
	want := Item{
		ID: "item-0", Title: "Tasse 0", Price: features.MoneyOf(3, "EUR"), Source: "order", Reason: s.reason, Because: "item-3",
		Text: "weil Sie „Tasse 3“ gekauft haben",
	}
	if len(ans.Items) != 2 || ans.Items[0] != want || ans.Items[1].ID != "item-2" || ans.Release != "v1" || len(ans.ID) != 26 {
		t.Fatalf("got %+v, want %+v and item-2", ans, want)
	}
	if len(ans.Degraded) != 0 || s.held != 0 {
		t.Fatalf("got degraded %v and %d releases held, want none", ans.Degraded, s.held)
	}
	r := s.served[0]
	if r.Recommendation != ans.ID || r.User != q.User || r.Surface != "home" || r.Release != "v1" || r.Items[1] != (store.ServedItem{Item: "item-2", Source: "order", Score: -2, Propensity: 1}) {
		t.Fatalf("got record %+v", r)
	}
}

func TestRecordNamesNobodyWhoDidNotAgree(t *testing.T) {
	s := newStand("v1", 4)
	s.who = &features.Shopper{Consent: features.Personalisation}
	var ans Answer
	if err := recommender(t, s).Recommend(context.Background(), &Query{Shop: "default", User: features.UserKey{1}, Session: features.UserKey{2}, Limit: 2}, &ans); err != nil {
		t.Fatal(err)
	}
	if r := s.served[0]; !r.User.IsZero() || !r.Session.IsZero() {
		t.Fatalf("got %v and %v, want nobody", r.User, r.Session)
	}
}

func TestSurfaceFollowsFromWhatIsGiven(t *testing.T) {
	for _, c := range []struct {
		q    Query
		want string
	}{
		{Query{}, "home"}, {Query{Item: "item-1"}, "item"}, {Query{Cart: []string{"item-1"}}, "cart"},
		{Query{Item: "item-1", Cart: []string{"item-1"}}, "item"}, {Query{Surface: "mail", Item: "item-1"}, "mail"},
	} {
		if got := surfaceOf(&c.q); got != c.want {
			t.Errorf("%+v: got %q, want %q", c.q, got, c.want)
		}
	}
}

func TestPagesNeverRepeatAcrossASwap(t *testing.T) {
	s := newStand("v1", 50)
	rec := recommender(t, s)
	q := &Query{Shop: "default", Limit: 7}
	got := map[string]int{}
	var ans Answer
	for page := 0; ; page++ {
		if page == 3 { // other rows, and one item more
			items := slices.Clone(s.items)
			slices.Reverse(items)
			s.swap("v2", append(items, features.Item{ID: "new"}))
		}
		if page == 5 { // a tail item within a release
			s.items = append(s.items, features.Item{ID: "newer"})
		}
		if err := rec.Recommend(context.Background(), q, &ans); err != nil {
			t.Fatal(err)
		}
		for _, id := range ids(&ans) {
			if got[id]++; got[id] > 1 {
				t.Fatalf("page %d repeats %s", page, id)
			}
		}
		if ans.Seen == nil {
			break
		}
		q.Seen = ans.Seen
	}
	if len(got) != 52 {
		t.Fatalf("got %d items on all pages, want 52", len(got))
	}
}

func TestPagingEndsWhereATokenIsFull(t *testing.T) {
	s := newStand("v1", 2000)
	rec := recommender(t, s)
	q := &Query{Shop: "default", Limit: 200}
	var ans Answer
	pages := 0
	for q.Seen = nil; pages == 0 || ans.Seen != nil; pages++ {
		q.Seen = ans.Seen
		if err := rec.Recommend(context.Background(), q, &ans); err != nil {
			t.Fatal(err)
		}
	}
	if pages != 4 {
		t.Fatalf("got %d pages of 200, want 4", pages)
	}
	q.Seen = []byte{1, 2, 3}
	if err := rec.Recommend(context.Background(), q, &ans); !errors.Is(err, ErrPage) {
		t.Fatalf("got %v, want ErrPage", err)
	}
}

func TestLostShopperAndUnknownItemDegrade(t *testing.T) {
	s := newStand("v1", 4)
	s.lost = errors.New("disk on fire")
	var ans Answer
	if err := recommender(t, s).Recommend(context.Background(), &Query{Shop: "default", User: features.UserKey{1}, Item: "unknown", Limit: 2}, &ans); err != nil {
		t.Fatal(err)
	}
	want := []pipeline.Degradation{{Component: "shopper", Why: "error"}, {Component: "item", Why: "missing"}}
	if !slices.Equal(ans.Degraded, want) || len(ans.Items) != 2 {
		t.Fatalf("got %v with %d items, want %v with 2", ans.Degraded, len(ans.Items), want)
	}
}

func TestWhatCannotBeAnswered(t *testing.T) {
	s := newStand("v1", 4)
	rec := recommender(t, s)
	var ans Answer
	var surface *SurfaceError
	if err := rec.Recommend(context.Background(), &Query{Surface: "mail", Limit: 1}, &ans); !errors.As(err, &surface) || surface.Surface != "mail" || len(surface.Known) != 2 {
		t.Errorf("got %v, want a SurfaceError", err)
	}
	if err := rec.Similar(context.Background(), &Query{Item: "unknown", Limit: 1}, &ans); !errors.Is(err, ErrItem) {
		t.Errorf("got %v, want ErrItem", err)
	}
	if s.held != 0 {
		t.Errorf("got %d releases held, want none", s.held)
	}
	s.none = true
	if err := rec.Recommend(context.Background(), &Query{Limit: 1}, &ans); !errors.Is(err, ErrNoRelease) {
		t.Errorf("got %v, want ErrNoRelease", err)
	}
}

func TestSimilarLooksAtNoShopper(t *testing.T) {
	s := newStand("v1", 4)
	s.who = &features.Shopper{Consent: features.AllPurposes}
	var ans Answer
	if err := recommender(t, s).Similar(context.Background(), &Query{Shop: "default", Item: "item-0", Limit: 2}, &ans); err != nil {
		t.Fatal(err)
	}
	if s.last.Shopper != nil || s.last.Item != 0 || len(s.served) != 0 || !slices.Equal(ids(&ans), []string{"item-1", "item-2"}) {
		t.Fatalf("got shopper %v, item %d, %d records, %v", s.last.Shopper, s.last.Item, len(s.served), ids(&ans))
	}
}

func TestBatchKeepsPlaces(t *testing.T) {
	s := newStand("v1", 20)
	rec := recommender(t, s)
	rec.o.Journal = nil
	first := make([]string, 30)
	failed := make([]bool, 30)
	rec.Batch(context.Background(), 30, func(i int) (*Query, error) {
		if i == 7 {
			return nil, errors.New("bad")
		}
		return &Query{Item: "item-0", Limit: 1, Exclude: []string{"item-1", "item-2"}[:i%3]}, nil
	}, func(i int, ans *Answer, err error) {
		if err != nil {
			failed[i] = true
			return
		}
		first[i] = ans.Items[0].ID
	})
	for i := range first {
		if want := fmt.Sprintf("item-%d", 1+i%3); (i == 7) != failed[i] || i != 7 && first[i] != want {
			t.Errorf("query %d: got %q, failed %v, want %q", i, first[i], failed[i], want)
		}
	}
}

func TestIDsSortByTimeAndDiffer(t *testing.T) {
	a, b, c := newID(now), newID(now), newID(now.Add(time.Millisecond))
	if a == b || a >= c || b >= c || len(a) != 26 {
		t.Fatalf("got %s, %s, %s", a, b, c)
	}
}
