// Package traffic is what shoppers send: recommendations, similar items and
// events in a given mix, by users and for items of a realistic skew, over gRPC
// or REST.
//
// It imports proto. Start reading at Mix.
package traffic

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"net/url"
	"sort"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"
)

// The operations of a mix.
const (
	Recommend = "recommend"
	Similar   = "similar"
	Collect   = "collect"
)

// Mix is what is sent, and how much of it. The zero value of a share sends
// none.
type Mix struct {
	Shop     string
	Surface  string
	Market   string
	Limit    int32
	Shares   map[string]float64 // by operation
	Users    int                // ids 0 … Users-1 behind UserPrefix, or UserIDs
	UserIDs  []string
	Prefix   string
	ItemIDs  []string // popular first
	Skew     float64  // of users and items: the exponent of Zipf's law
	Seed     uint64
	Run      string // tells this run's events from another's
	Personal bool   // name the user; else sessions only
}

// Backend carries requests to a server.
type Backend interface {
	Recommend(ctx context.Context, r *attunev1.RecommendRequest) error
	Similar(ctx context.Context, r *attunev1.SimilarItemsRequest) error
	Collect(ctx context.Context, r *attunev1.CollectRequest) error
}

// Sender makes the requests of a mix: the n-th is the same in every run.
type Sender struct {
	mix     Mix
	backend Backend
	ops     []string
	until   []float64
	users   *zipf
	items   *zipf
}

// NewSender checks the mix. Without a backend, only Over sends.
func NewSender(m Mix, b Backend) (*Sender, error) {
	s := &Sender{mix: m, backend: b}
	total := 0.
	for _, op := range []string{Recommend, Similar, Collect} {
		if share := m.Shares[op]; share > 0 {
			total += share
			s.ops, s.until = append(s.ops, op), append(s.until, total)
		}
	}
	for op := range m.Shares {
		if op != Recommend && op != Similar && op != Collect {
			return nil, fmt.Errorf("mix: unknown operation %q: expected %s, %s or %s", op, Recommend, Similar, Collect)
		}
	}
	if total <= 0 {
		return nil, errors.New("mix: every share is 0")
	}
	for i := range s.until {
		s.until[i] /= total
	}
	if len(m.UserIDs) > 0 {
		s.mix.Users = len(m.UserIDs)
	}
	if s.mix.Users < 1 {
		return nil, errors.New("mix: no users")
	}
	if len(m.ItemIDs) == 0 && (m.Shares[Similar] > 0 || m.Shares[Collect] > 0) {
		return nil, errors.New("mix: no items")
	}
	s.users, s.items = newZipf(s.mix.Users, m.Skew), newZipf(max(len(m.ItemIDs), 1), m.Skew)
	return s, nil
}

// question is what the n-th request is about.
type question struct {
	op         string
	user, item int
}

func (s *Sender) draw(n uint64) (q question) {
	random := rand.New(rand.NewPCG(s.mix.Seed, n))
	q.op = s.ops[sort.SearchFloat64s(s.until, random.Float64())]
	q.user = s.users.draw(random)
	if q.op != Recommend {
		q.item = s.items.draw(random)
	}
	return q
}

// Send is a load.Call.
func (s *Sender) Send(ctx context.Context, n uint64) (op, code string) {
	var err error
	q := s.draw(n)
	switch q.op {
	case Recommend:
		err = s.backend.Recommend(ctx, s.recommend(q))
	case Similar:
		err = s.backend.Similar(ctx, s.similar(q))
	case Collect:
		err = s.backend.Collect(ctx, s.collect(q, n))
	}
	return q.op, Code(err)
}

func (s *Sender) place() *attunev1.Context { return &attunev1.Context{Market: s.mix.Market} }

func (s *Sender) recommend(q question) *attunev1.RecommendRequest {
	r := &attunev1.RecommendRequest{Shop: s.mix.Shop, Surface: s.mix.Surface, Context: s.place(), Limit: s.mix.Limit}
	if s.mix.Personal {
		r.User = s.user(q.user)
	} else {
		r.Session = s.user(q.user)
	}
	return r
}

func (s *Sender) similar(q question) *attunev1.SimilarItemsRequest {
	return &attunev1.SimilarItemsRequest{Shop: s.mix.Shop, Item: s.mix.ItemIDs[q.item], Context: s.place(), Limit: s.mix.Limit}
}

func (s *Sender) collect(q question, n uint64) *attunev1.CollectRequest {
	e := &attunev1.Event{
		Id: fmt.Sprintf("%s-%d", s.mix.Run, n), Type: attunev1.EventType_EVENT_TYPE_VIEW,
		Item: s.mix.ItemIDs[q.item], Context: s.place(), Surface: s.mix.Surface,
	}
	if s.mix.Personal {
		e.User = s.user(q.user)
	} else {
		e.Session = s.user(q.user)
	}
	return &attunev1.CollectRequest{Shop: s.mix.Shop, Event: e}
}

func (s *Sender) user(i int) string {
	if len(s.mix.UserIDs) > 0 {
		return s.mix.UserIDs[i]
	}
	return fmt.Sprintf("%s%d", s.mix.Prefix, i)
}

// Code names an error as a status code does.
func Code(err error) string {
	if err == nil {
		return "OK"
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return codes.DeadlineExceeded.String()
	}
	var rest *RESTError
	if errors.As(err, &rest) {
		return fmt.Sprintf("HTTP %d", rest.Status)
	}
	return status.Code(err).String()
}

// ErrNotLoopback is returned for a target on another machine.
var ErrNotLoopback = errors.New("target is not a loopback address")

// CheckLoopback refuses targets, "host:port" or a URL, that lie beyond this
// machine.
func CheckLoopback(target string) error {
	host := target
	if u, err := url.Parse(target); err == nil && u.Host != "" {
		host = u.Host
	}
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if host == "localhost" {
		return nil
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("%w: %s: a load test belongs on 127.0.0.1, ::1 or localhost; give --allow-remote to load a server of your own elsewhere", ErrNotLoopback, target)
}

// zipf draws 0 … n-1 with probability proportional to 1/(i+1)^skew.
type zipf struct{ cumulative []float64 }

func newZipf(n int, skew float64) *zipf {
	z := &zipf{cumulative: make([]float64, n)}
	sum := 0.
	for i := range n {
		sum += math.Pow(float64(i+1), -skew)
		z.cumulative[i] = sum
	}
	return z
}

func (z *zipf) draw(random *rand.Rand) int {
	x := random.Float64() * z.cumulative[len(z.cumulative)-1]
	return min(sort.SearchFloat64s(z.cumulative, x), len(z.cumulative)-1)
}
