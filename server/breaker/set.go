package breaker

import (
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// Key is what a breaker guards, as metrics call it.
type Key struct {
	Dependency string // milvus, store
	Shop       string // "" where it is everyone's
	What       string // the model whose vectors are searched; "" where there is one thing only
}

// Set makes breakers and measures them. It is a prometheus.Collector, and safe
// for concurrent use.
type Set struct {
	o  Options
	mu sync.Mutex
	of map[Key]*kept
}

// kept is the breakers of one key, and what is counted over all there were.
type kept struct {
	live            []*Breaker
	opened, refused atomic.Int64
}

// NewSet returns an empty set whose breakers work by o.
func NewSet(o Options) *Set { return &Set{o: o, of: map[Key]*kept{}} }

// New is another closed breaker for k; several releases may each have one. drop
// takes it out of the metrics' state.
func (s *Set) New(k Key) (b *Breaker, drop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.of[k]
	if all == nil {
		all = &kept{}
		s.of[k] = all
	}
	b = New(s.o)
	b.opened, b.refuse = func() { all.opened.Add(1) }, func() { all.refused.Add(1) }
	all.live = append(all.live, b)
	return b, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for i := range all.live {
			if all.live[i] == b {
				all.live = append(all.live[:i:i], all.live[i+1:]...)
				return
			}
		}
	}
}

// Opened is how often breakers of k opened.
func (s *Set) Opened(k Key) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if all := s.of[k]; all != nil {
		return all.opened.Load()
	}
	return 0
}

var (
	labels     = []string{"dependency", "shop", "what"}
	stateDesc  = prometheus.NewDesc("attune_breaker_state", "What the circuit breaker does: 0 closed, 1 tries, 2 open; the worst of several.", labels, nil)
	openedDesc = prometheus.NewDesc("attune_breaker_opened_total", "How often the circuit breaker opened.", labels, nil)
	refuseDesc = prometheus.NewDesc("attune_breaker_refused_total", "Calls that were not made, since the circuit breaker was open.", labels, nil)
)

// Describe implements prometheus.Collector.
func (s *Set) Describe(ch chan<- *prometheus.Desc) {
	ch <- stateDesc
	ch <- openedDesc
	ch <- refuseDesc
}

// Collect implements prometheus.Collector.
func (s *Set) Collect(ch chan<- prometheus.Metric) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, all := range s.of {
		worst := Closed
		for _, b := range all.live {
			worst = max(worst, b.State())
		}
		ch <- prometheus.MustNewConstMetric(stateDesc, prometheus.GaugeValue, float64(worst), k.Dependency, k.Shop, k.What)
		ch <- prometheus.MustNewConstMetric(openedDesc, prometheus.CounterValue, float64(all.opened.Load()), k.Dependency, k.Shop, k.What)
		ch <- prometheus.MustNewConstMetric(refuseDesc, prometheus.CounterValue, float64(all.refused.Load()), k.Dependency, k.Shop, k.What)
	}
}
