// Package telemetry is what operators see of the server: metrics, traces and
// logs. Nothing in it decides anything.
//
// Start reading at Metrics.
package telemetry

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics is a registry of a server of its own: nothing of it is global. It is
// safe for concurrent use.
type Metrics struct {
	*prometheus.Registry
}

// NewMetrics returns a registry that knows the process, the runtime and the
// version of the program.
func NewMetrics(version string) Metrics {
	r := prometheus.NewRegistry()
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "attune_build_info", Help: "The version of the program; always 1.", ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	r.MustRegister(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collectors.NewGoCollector(), build)
	return Metrics{r}
}

// Handler serves the metrics in Prometheus' format.
func (m Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.Registry, promhttp.HandlerOpts{Registry: m.Registry})
}

// Buckets are the bounds of latencies, in seconds: 0.1 ms to 10 s.
func Buckets() []float64 {
	return []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .02, .05, .1, .25, .5, 1, 2.5, 5, 10}
}
