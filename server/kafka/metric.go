package kafka

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/attune-rec/attune/server/api"
)

type metrics struct {
	records, rows, errors *prometheus.CounterVec
	lag                   *prometheus.GaugeVec
	well, last            prometheus.Gauge
}

// outcomes of rows.
const accepted, duplicate, deleted, rejected = "accepted", "duplicate", "deleted", "rejected"

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		records: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "attune_kafka_records_total", Help: "Records that are durable, taken or kept as refused."}, []string{"topic"}),
		rows:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: "attune_kafka_rows_total", Help: "Events, items and users of records by what became of them."}, []string{"topic", "outcome"}),
		errors:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "attune_kafka_errors_total", Help: "Failures by what was tried: brokers, fetch, store, commit."}, []string{"what"}),
		lag:     prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "attune_kafka_lag", Help: "Records of a partition that the group has not committed yet, as the brokers last said."}, []string{"topic", "partition"}),
		well:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "attune_kafka_up", Help: "1: the brokers answer."}),
		last:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "attune_kafka_last_error_timestamp_seconds", Help: "When something failed last, in Unix time; 0: nothing did."}),
	}
	for what := range troubles {
		m.errors.WithLabelValues(what)
	}
	if r != nil {
		r.MustRegister(m.records, m.rows, m.errors, m.lag, m.well, m.last)
	}
	return m
}

// expect makes the series of a topic.
func (m *metrics) expect(topic string) {
	m.records.WithLabelValues(topic)
	m.took(topic, api.Taken{})
}

func (m *metrics) took(topic string, t api.Taken) {
	for outcome, n := range map[string]int64{accepted: t.Accepted, duplicate: t.Duplicates, deleted: t.Deleted, rejected: t.Rejected} {
		m.rows.WithLabelValues(topic, outcome).Add(float64(n))
	}
}

func (m *metrics) failed(what string) {
	m.errors.WithLabelValues(what).Inc()
	m.last.SetToCurrentTime()
}

func (m *metrics) lags(all []Lag) {
	for _, l := range all {
		m.lag.WithLabelValues(l.Topic, strconv.Itoa(int(l.Partition))).Set(float64(l.Records))
	}
}

func (m *metrics) up(yes bool) {
	m.well.Set(0)
	if yes {
		m.well.Set(1)
	}
}
