package shopper

import (
	"bytes"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"sort"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"
)

// shop is a server that ranks by order, and remembers what it was told.
type shop struct {
	order func(user, market string) []string // best first
	fail  error

	mu     sync.Mutex
	stock  int
	events []*attunev1.Event
	seen   map[string]int // views by session
}

func (s *shop) Stock(_ context.Context, _ string, items []*attunev1.Item) error {
	s.stock += len(items)
	return nil
}

func (s *shop) Recommend(_ context.Context, r *attunev1.RecommendRequest) (*attunev1.RecommendResponse, error) {
	if s.fail != nil {
		return nil, s.fail
	}
	s.mu.Lock()
	views := s.seen[r.GetSession()]
	s.mu.Unlock()
	resp := &attunev1.RecommendResponse{RecommendationId: "r", Release: "v1"}
	for _, id := range s.order(r.GetUser(), r.GetContext().GetMarket())[:r.GetLimit()] {
		resp.Items = append(resp.Items, &attunev1.RecommendedItem{Item: id, Source: "test", Score: float64(views)})
	}
	return resp, nil
}

func (s *shop) Collect(_ context.Context, _ string, events []*attunev1.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, events...)
	for _, e := range events {
		if e.GetType() == attunev1.EventType_EVENT_TYPE_VIEW {
			if s.seen == nil {
				s.seen = map[string]int{}
			}
			s.seen[e.GetSession()]++
		}
	}
	return nil
}

func world(t *testing.T, o Options) *World {
	t.Helper()
	w, err := NewWorld(o)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func run(t *testing.T, w *World, s *shop, sessions, workers int) *Report {
	t.Helper()
	r, err := Run(context.Background(), w, s, Plan{Sessions: sessions, Workers: workers})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var small = Options{Seed: 3, Items: 200, Shoppers: 40, Organic: .5}

// oracle ranks by the truth, blind without looking.
func oracle(w *World) func(string, string) []string {
	best := map[string][]string{}
	for n := range w.o.Shoppers {
		ids := make([]string, w.o.Items)
		for i := range ids {
			ids[i] = w.ItemID(i)
		}
		sort.SliceStable(ids, func(a, b int) bool { return w.Likes(n, ids[a], 0) > w.Likes(n, ids[b], 0) })
		best["sim-"+strings.TrimPrefix(w.ItemID(n), "sim-")] = ids
	}
	return func(user, _ string) []string {
		var n int
		for _, c := range strings.TrimPrefix(user, "sim-") {
			n = 10*n + int(c-'0')
		}
		return best[w.ItemID(n)]
	}
}

func blind(w *World) func(string, string) []string {
	ids := make([]string, w.o.Items)
	for i := range ids {
		ids[i] = w.ItemID(i)
	}
	rand.New(rand.NewPCG(9, 9)).Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	return func(string, string) []string { return ids }
}

func home(t *testing.T, r *Report) Answers {
	t.Helper()
	for _, a := range r.Answers {
		if a.Surface == "home" {
			return a
		}
	}
	t.Fatalf("got no answers of home: %+v", r)
	return Answers{}
}

func TestTruthTellsGoodFromBad(t *testing.T) {
	w := world(t, small)
	good, bad := home(t, run(t, w, &shop{order: oracle(w)}, 1500, 4)), home(t, run(t, w, &shop{order: blind(w)}, 1500, 4))
	if math.Abs(good.Regret) > 1e-9 || math.Abs(good.Share-1) > 1e-9 {
		t.Errorf("the best answers: got regret %v and share %v, want 0 and 1", good.Regret, good.Share)
	}
	if bad.Regret < .2*bad.Best || bad.CTR >= good.CTR {
		t.Errorf("blind answers: got regret %v of %v and CTR %v, want much regret and less than CTR %v", bad.Regret, bad.Best, bad.CTR, good.CTR)
	}
}

// What shoppers do depends on the seed and the answers, not on who is first.
func TestDecisionsFollowFromTheSeed(t *testing.T) {
	w := world(t, small)
	once, again := run(t, w, &shop{order: blind(w)}, 400, 1), run(t, w, &shop{order: blind(w)}, 400, 8)
	for _, r := range []*Report{once, again} {
		r.Fresh = Fresh{}
		for i := range r.Answers { // summed in another order
			a := &r.Answers[i]
			a.Chance, a.Best, a.Regret, a.Share = math.Round(1e9*a.Chance), math.Round(1e9*a.Best), 0, 0
		}
		for i := range r.Rows {
			r.Rows[i].Chance, r.Rows[i].chance = math.Round(1e9*r.Rows[i].Chance), 0
		}
	}
	if !reflect.DeepEqual(once, again) {
		t.Errorf("got %+v with 8 workers, want %+v as with one", again, once)
	}
	o := small
	o.Seed = 4
	other := world(t, o)
	if r := run(t, other, &shop{order: blind(other)}, 400, 1); reflect.DeepEqual(r.Rows, once.Rows) {
		t.Error("another seed: got the same clicks")
	}
}

func TestEventsAreWhatShoppersDid(t *testing.T) {
	w := world(t, small)
	s := &shop{order: blind(w)}
	r := run(t, w, s, 800, 4)
	if s.stock != small.Items {
		t.Errorf("got %d items in stock, want %d", s.stock, small.Items)
	}
	count, ids, clicked := map[attunev1.EventType]int{}, map[string]bool{}, make([]int, 11)
	for _, e := range s.events {
		count[e.GetType()]++
		if ids[e.GetId()] {
			t.Fatalf("got two events %s", e.GetId())
		}
		ids[e.GetId()] = true
		if e.GetType() == attunev1.EventType_EVENT_TYPE_CLICK {
			clicked[e.GetPosition()]++
		}
		if w.Likes(0, e.GetItem(), 0) == 0 && w.Likes(1, e.GetItem(), 0) == 0 && w.Likes(2, e.GetItem(), 0) == 0 {
			t.Fatalf("%s is sold nowhere", e.GetItem())
		}
	}
	impressions, clicks := 0, 0
	for _, row := range r.Rows {
		impressions, clicks = impressions+row.Impressions, clicks+row.Clicks
	}
	if count[attunev1.EventType_EVENT_TYPE_IMPRESSION] != impressions || count[attunev1.EventType_EVENT_TYPE_CLICK] != clicks ||
		count[attunev1.EventType_EVENT_TYPE_PURCHASE] != r.Purchases || count[attunev1.EventType_EVENT_TYPE_RETURN] != r.Returns {
		t.Errorf("got events %v, want those of the report: %+v", count, r)
	}
	if clicks == 0 || r.Purchases == 0 || r.Returns == 0 || count[attunev1.EventType_EVENT_TYPE_CART_ADD] < r.Purchases {
		t.Errorf("got %d clicks, %d purchases, %d returns and %v: want some of each", clicks, r.Purchases, r.Returns, count)
	}
	if clicked[0] != 0 || clicked[1]+clicked[2] <= clicked[9]+clicked[10] {
		t.Errorf("got clicks by position %v, want most at the top, none at 0", clicked)
	}
	if r.Fresh.Count == 0 || r.Fresh.Changed != 1 {
		t.Errorf("got %+v, want every answer changed by the view before it", r.Fresh)
	}
}

func TestBotsCountForNothing(t *testing.T) {
	o := small
	o.Bots = 1
	w := world(t, o)
	s := &shop{order: blind(w)}
	r := run(t, w, s, 50, 2)
	if r.Bots != 50 || len(r.Rows) != 0 || len(r.Answers) != 0 || r.Purchases != 0 || len(s.events) == 0 {
		t.Errorf("got %+v and %d events, want 50 bots that click and are in no figure", r, len(s.events))
	}
}

func TestTastesDrift(t *testing.T) {
	o := small
	o.Drift = 1
	w := world(t, o)
	moved := 0.
	for i := range o.Items {
		moved += math.Abs(w.Likes(0, w.ItemID(i), 0) - w.Likes(0, w.ItemID(i), 1))
	}
	if moved < 1 {
		t.Errorf("got tastes moved by %v in sum, want more", moved)
	}
	still := world(t, small)
	if a, b := still.Likes(0, w.ItemID(1), 0), still.Likes(0, w.ItemID(1), 1); a != b {
		t.Errorf("without drift: got %v, then %v", a, b)
	}
}

// A shop that was never trained sees shoppers who find things by themselves; a
// server that fails is counted, and does not stop the run.
func TestServersThatCannotAnswer(t *testing.T) {
	w := world(t, small)
	s := &shop{fail: status.Error(codes.FailedPrecondition, "no release")}
	if r := run(t, w, s, 50, 2); r.Failed != 0 || r.Unserved < 50 || len(s.events) < 50 {
		t.Errorf("no release: got %+v and %d events", r, len(s.events))
	}
	s = &shop{fail: errors.New("it burns")}
	r := run(t, w, s, 50, 2)
	if r.Failed != 50 || len(r.Errors) != 5 {
		t.Errorf("failing: got %+v, want 50 failed", r)
	}
	var b bytes.Buffer
	if err := r.Table(&b); err != nil || !strings.Contains(b.String(), "50 failed") {
		t.Errorf("got %q, %v", b.String(), err)
	}
}

func TestOptionsThatCannotBe(t *testing.T) {
	for _, o := range []Options{{Bots: 2}, {Drift: -1}, {Items: 5}, {Limit: 500}, {Shoppers: -1}, {Anon: math.NaN()}} {
		if _, err := NewWorld(o); !errors.Is(err, ErrOptions) {
			t.Errorf("%+v: got %v, want ErrOptions", o, err)
		}
	}
	if _, err := Run(context.Background(), world(t, small), &shop{}, Plan{}); !errors.Is(err, ErrOptions) {
		t.Errorf("no sessions: got %v, want ErrOptions", err)
	}
}
