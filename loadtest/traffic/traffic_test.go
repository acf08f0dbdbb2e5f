package traffic

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"
)

// counter is a backend that keeps what it is sent.
type counter struct {
	mu    sync.Mutex
	users map[string]int
	items map[string]int
	ids   map[string]bool
}

func (c *counter) Recommend(_ context.Context, r *attunev1.RecommendRequest) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.users[r.GetUser()+r.GetSession()]++
	return nil
}

func (c *counter) Similar(_ context.Context, r *attunev1.SimilarItemsRequest) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.items[r.GetItem()]++
	return status.Error(codes.NotFound, "no")
}

func (c *counter) Collect(_ context.Context, r *attunev1.CollectRequest) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ids[r.GetEvent().GetId()] = true
	return nil
}

func TestMixKeepsItsShares(t *testing.T) {
	c := &counter{users: map[string]int{}, items: map[string]int{}, ids: map[string]bool{}}
	s, err := NewSender(Mix{
		Shop: "default", Shares: map[string]float64{Recommend: 6, Similar: 3, Collect: 1}, Users: 50, Prefix: "u", ItemIDs: []string{"a", "b", "c"},
		Skew: 1, Seed: 1, Run: "r", Personal: true,
	}, c)
	if err != nil {
		t.Fatal(err)
	}
	ops := map[string]int{}
	for n := range uint64(5000) {
		op, code := s.Send(context.Background(), n)
		ops[op]++
		if want := map[bool]string{true: "NotFound", false: "OK"}[op == Similar]; code != want {
			t.Fatalf("%s: got code %s, want %s", op, code, want)
		}
	}
	for op, want := range map[string]int{Recommend: 3000, Similar: 1500, Collect: 500} {
		if got := ops[op]; got < want-150 || got > want+150 {
			t.Errorf("%s: got %d of 5000, want about %d", op, got, want)
		}
	}
	if c.users["u0"] < 3*c.users["u9"] {
		t.Errorf("got %d requests of the first user and %d of the tenth, want a skew", c.users["u0"], c.users["u9"])
	}
	if c.items["a"] <= c.items["b"] || c.items["b"] <= c.items["c"] {
		t.Errorf("got %v, want the popular item first", c.items)
	}
	if len(c.ids) != ops[Collect] {
		t.Errorf("got %d event ids for %d events", len(c.ids), ops[Collect])
	}
}

func TestBadMixes(t *testing.T) {
	for name, m := range map[string]Mix{
		"nothing":  {Users: 1},
		"no users": {Shares: map[string]float64{Recommend: 1}},
		"no items": {Shares: map[string]float64{Similar: 1}, Users: 1},
		"unknown":  {Shares: map[string]float64{"buy": 1}, Users: 1},
	} {
		if _, err := NewSender(m, &counter{}); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

func TestOnlyLoopbackIsLoaded(t *testing.T) {
	for _, good := range []string{"127.0.0.1:9090", "localhost:9090", "[::1]:9090", "http://127.0.0.1:8080", "http://localhost:8080/", "127.9.9.9:1"} {
		if err := CheckLoopback(good); err != nil {
			t.Errorf("%s: got %v, want no error", good, err)
		}
	}
	for _, bad := range []string{"10.0.0.1:9090", "example.com:9090", "http://example.com", "127.0.0.1.example.com:80", "", "http://localhost.example.com:80"} {
		if err := CheckLoopback(bad); !errors.Is(err, ErrNotLoopback) {
			t.Errorf("%s: got %v, want ErrNotLoopback", bad, err)
		}
	}
}

func TestZipfStaysInRange(t *testing.T) {
	z := newZipf(3, 1)
	random := rand.New(rand.NewPCG(1, 2))
	for range 10000 {
		if i := z.draw(random); i < 0 || i > 2 {
			t.Fatalf("drew %d of 3", i)
		}
	}
}
