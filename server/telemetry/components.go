package telemetry

import (
	"sync"

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
}

type part struct {
	surface   string
	stage     pipeline.Stage
	component string
}

type gauges struct {
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
	v, ok := c.series.Load(k)
	if !ok {
		stage := string(o.Stage)
		v, _ = c.series.LoadOrStore(k, &gauges{
			seconds: c.seconds.WithLabelValues(o.Surface, stage, o.Component), items: c.items.WithLabelValues(o.Surface, stage, o.Component),
			filled: c.filled.WithLabelValues(o.Surface, stage, o.Component),
		})
	}
	g := v.(*gauges)
	g.seconds.Observe(o.Took.Seconds())
	g.items.Add(float64(o.Items))
	if o.Items > 0 {
		g.filled.Inc()
	}
	if o.Why != "" {
		c.degraded.WithLabelValues(o.Surface, string(o.Stage), o.Component, o.Why).Inc()
	}
}
