package telemetry

import (
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/attune-rec/attune/models/pipeline"
)

// Components measures the parts of pipelines. It is a pipeline.Observer.
type Components struct {
	seconds  *prometheus.HistogramVec
	items    *prometheus.CounterVec
	filled   *prometheus.CounterVec
	degraded *prometheus.CounterVec
	series   sync.Map // part -> *gauges
	near     [nearby]atomic.Pointer[gauges]
}

// nearby is the places where what was asked for last is found at a glance.
const nearby = 512

type part struct {
	surface   string
	stage     pipeline.Stage
	component string
}

// place is the one of a part among nearby: by a few bytes, which tell parts of
// one program apart well enough.
func (p *part) place() int {
	mix := func(h int, s string) int {
		if s == "" {
			return h * 31
		}
		return (h*31+int(s[0]))*31 + int(s[len(s)-1]) + 7*len(s)
	}
	return mix(mix(mix(0, p.surface), string(p.stage)), p.component) & (nearby - 1)
}

type gauges struct {
	part    part
	seconds prometheus.Observer
	items   prometheus.Counter
	filled  prometheus.Counter
}

// NewComponents returns measures registered with r.
func NewComponents(r prometheus.Registerer) *Components {
	labels := []string{"surface", "stage", "component"}
	c := &Components{
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "attune_component_seconds", Help: "How long a part of a pipeline took for a request.", Buckets: Buckets(),
		}, labels),
		items: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "attune_component_items_total", Help: "Candidates a source gave, rows a filter left, items a selector chose.",
		}, labels),
		filled: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "attune_component_filled_total", Help: "Requests that a part gave, left or chose something in.",
		}, labels),
		degraded: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "attune_component_degraded_total", Help: "Requests that a part did not do its part for, and why.",
		}, append(labels[:3:3], "why")),
	}
	r.MustRegister(c.seconds, c.items, c.filled, c.degraded)
	return c
}

// Observe implements pipeline.Observer.
func (c *Components) Observe(o pipeline.Observation) {
	k := part{o.Surface, o.Stage, o.Component}
	near := &c.near[k.place()]
	g := near.Load()
	if g == nil || g.part != k {
		g = c.find(k)
		near.Store(g)
	}
	g.seconds.Observe(o.Took.Seconds())
	g.items.Add(float64(o.Items))
	if o.Items > 0 {
		g.filled.Inc()
	}
	if o.Why != "" {
		c.degraded.WithLabelValues(o.Surface, string(o.Stage), o.Component, o.Why).Inc()
	}
}

// find is the gauges of a part, made where there are none.
func (c *Components) find(k part) *gauges {
	v, ok := c.series.Load(k)
	if !ok {
		labels := []string{k.surface, string(k.stage), k.component}
		v, _ = c.series.LoadOrStore(k, &gauges{
			part: k, seconds: c.seconds.WithLabelValues(labels...), items: c.items.WithLabelValues(labels...), filled: c.filled.WithLabelValues(labels...),
		})
	}
	return v.(*gauges)
}
