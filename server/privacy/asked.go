package privacy

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/server/auth"
)

// Asked writes down whose answers each caller was given: a person once a caller,
// method and hour, off the path of the request, within AskedEvery. A server that
// is killed loses what waits. It is safe for concurrent use.
type Asked struct {
	to   *Auditor
	now  func() time.Time
	lost prometheus.Counter

	mu      sync.Mutex
	since   time.Time             // when known was emptied last
	known   map[answered]struct{} // written down, or waiting to be
	waiting map[asker][]features.UserKey
	size    int // persons that wait

	stop func()
	done chan struct{}
}

// asker is who asks a method of persons of a shop.
type asker struct {
	shop   features.ShopID
	actor  string
	method string
	alarms bool // no frontend, which asks of every shopper
}

type answered struct {
	by  asker
	who features.UserKey
}

const (
	askedOnce = time.Hour // a person is written down once in so long
	askedMost = 1 << 16   // persons that are known to be written down, and that wait
	// AskedEvery is the time between two writings.
	AskedEvery = time.Second
)

// NewAsked starts to write through a's log, and counts as a does. Close it.
func NewAsked(a *Auditor, r prometheus.Registerer) *Asked {
	s := newAsked(a, r)
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	go s.run(ctx)
	return s
}

func newAsked(a *Auditor, r prometheus.Registerer) *Asked {
	s := &Asked{
		to: a, now: time.Now, stop: func() {}, done: make(chan struct{}),
		known: map[answered]struct{}{}, waiting: map[asker][]features.UserKey{},
		lost: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "attune_reads_unwritten_total", Help: "Persons whose answers were given and whom the audit log lacks, because it could not be written.",
		}),
	}
	if r != nil {
		r.MustRegister(s.lost)
	}
	return s
}

// Note takes down that an answer to ctx's caller rested on what is known of a
// person. It never waits for a disk.
func (s *Asked) Note(ctx context.Context, shop features.ShopID, method string, who features.UserKey) {
	c := auth.From(ctx)
	by := asker{shop, c.ID, method, !slices.Contains(c.Roles, attunev1.Role_ROLE_FRONTEND)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.known[answered{by, who}]; ok {
		return
	}
	if s.size >= askedMost {
		s.lost.Inc()
		return
	}
	if len(s.known) >= askedMost {
		clear(s.known)
	}
	s.known[answered{by, who}] = struct{}{}
	s.waiting[by] = append(s.waiting[by], who)
	s.size++
}

func (s *Asked) run(ctx context.Context) {
	defer close(s.done)
	tick := time.NewTicker(AskedEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.write(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// write writes what waits. What cannot be written waits on.
func (s *Asked) write(ctx context.Context) {
	s.mu.Lock()
	now := s.now()
	if s.since.IsZero() {
		s.since = now
	}
	if now.Sub(s.since) >= askedOnce {
		s.since = now
		clear(s.known)
	}
	all := s.waiting
	s.waiting, s.size = map[asker][]features.UserKey{}, 0
	s.mu.Unlock()
	for by, keys := range all {
		who := make([]string, len(keys))
		for i, k := range keys {
			who[i] = k.String()
		}
		err := s.to.Log.AuditAll(ctx, by.shop, readEntries(by.actor, by.method, who))
		if err != nil {
			s.to.Logger.ErrorContext(ctx, "the audit log lacks whose answers were given; it is tried again", "shop", by.shop, "persons", len(who), "error", err)
			s.again(by, keys)
			continue
		}
		if by.alarms {
			if err := s.to.countOf(ctx, by.shop, by.method, by.actor, who); err != nil {
				s.to.Logger.ErrorContext(ctx, "the audit log lacks an alarm", "shop", by.shop, "actor", by.actor, "error", err)
			}
		}
	}
}

func (s *Asked) again(by asker, keys []features.UserKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	room := min(len(keys), max(0, askedMost-s.size))
	s.lost.Add(float64(len(keys) - room))
	s.waiting[by] = append(s.waiting[by], keys[:room]...)
	s.size += room
}

// Close writes what waits, for as long as ctx lasts, and stops.
func (s *Asked) Close(ctx context.Context) error {
	s.stop()
	<-s.done
	s.write(ctx)
	return nil
}

// noted reports a method whose callers Asked writes down.
func noted(method string) bool {
	return method == attunev1.RecommendationService_Recommend_FullMethodName || method == attunev1.RecommendationService_BatchRecommend_FullMethodName
}
