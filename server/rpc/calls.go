package rpc

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
)

// Calls counts calls and how long they take; nil counts none.
type Calls struct {
	handled *prometheus.CounterVec
	seconds *prometheus.HistogramVec
	running prometheus.Gauge
	known   sync.Map // method -> *method
}

// method is the series of a method that nearly every call counts in.
type method struct {
	ok      prometheus.Counter
	seconds prometheus.Observer
}

// NewCalls returns counters registered with r.
func NewCalls(r prometheus.Registerer, buckets []float64) *Calls {
	c := &Calls{
		handled: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "attune_rpc_total", Help: "Calls that ended, by method and status code.",
		}, []string{"method", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "attune_rpc_seconds", Help: "How long calls took.", Buckets: buckets,
		}, []string{"method"}),
		running: prometheus.NewGauge(prometheus.GaugeOpts{Name: "attune_rpc_running", Help: "Calls being answered now."}),
	}
	r.MustRegister(c.handled, c.seconds, c.running)
	return c
}

// begin counts a call in.
func (c *Calls) begin() {
	if c != nil {
		c.running.Inc()
	}
}

// end counts out a call that began then.
func (c *Calls) end(name string, code codes.Code, began time.Time) {
	if c == nil {
		return
	}
	c.running.Dec()
	v, ok := c.known.Load(name)
	if !ok {
		v, _ = c.known.LoadOrStore(name, &method{ok: c.handled.WithLabelValues(name, codes.OK.String()), seconds: c.seconds.WithLabelValues(name)})
	}
	m := v.(*method)
	m.seconds.Observe(time.Since(began).Seconds())
	if code == codes.OK {
		m.ok.Inc()
		return
	}
	c.handled.WithLabelValues(name, code.String()).Inc()
}
