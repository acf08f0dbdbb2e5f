package guard

import "github.com/prometheus/client_golang/prometheus"

var (
	limitDesc   = prometheus.NewDesc("attune_guard_limit", "Answers that may be worked on at once.", nil, nil)
	waitingDesc = prometheus.NewDesc("attune_guard_waiting", "Answers that were let in and wait to begin.", nil, nil)
	standsDesc  = prometheus.NewDesc("attune_guard_standing", "1 while answers wait longer and longer, or always for long, so that few may.", nil, nil)
	runningDesc = prometheus.NewDesc("attune_guard_running", "Calls under way, those that wait to begin included, by class.", []string{"class"}, nil)
	callsDesc   = prometheus.NewDesc("attune_guard_calls_total", "Calls that were let in or turned away, by class.", []string{"class", "what"}, nil)
	heldDesc    = prometheus.NewDesc("attune_guard_message_bytes", "Bytes that requests hold before they are understood.", nil, nil)
	fullDesc    = prometheus.NewDesc("attune_guard_memory_refusals_total", "Calls that were turned away for want of memory.", nil, nil)
)

// Describe implements prometheus.Collector.
func (g *Guard) Describe(ch chan<- *prometheus.Desc) {
	ch <- limitDesc
	ch <- waitingDesc
	ch <- standsDesc
	ch <- runningDesc
	ch <- callsDesc
}

// Collect implements prometheus.Collector.
func (g *Guard) Collect(ch chan<- prometheus.Metric) {
	ch <- prometheus.MustNewConstMetric(limitDesc, prometheus.GaugeValue, float64(g.Limit()))
	ch <- prometheus.MustNewConstMetric(waitingDesc, prometheus.GaugeValue, float64(g.Waiting()))
	stands := 0.
	if g.Standing() {
		stands = 1
	}
	ch <- prometheus.MustNewConstMetric(standsDesc, prometheus.GaugeValue, stands)
	for _, c := range []Class{Answer, Batch, Transact} {
		ch <- prometheus.MustNewConstMetric(runningDesc, prometheus.GaugeValue, float64(g.Running(c)), c.String())
		ch <- prometheus.MustNewConstMetric(callsDesc, prometheus.CounterValue, float64(g.let[c].Load()), c.String(), "let in")
		ch <- prometheus.MustNewConstMetric(callsDesc, prometheus.CounterValue, float64(g.Shed(c)), c.String(), "turned away")
	}
}

// Describe implements prometheus.Collector.
func (m *Memory) Describe(ch chan<- *prometheus.Desc) {
	ch <- heldDesc
	ch <- fullDesc
}

// Collect implements prometheus.Collector.
func (m *Memory) Collect(ch chan<- prometheus.Metric) {
	ch <- prometheus.MustNewConstMetric(heldDesc, prometheus.GaugeValue, float64(m.Held()))
	ch <- prometheus.MustNewConstMetric(fullDesc, prometheus.CounterValue, float64(m.Shed()))
}
