package app

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
)

// parseRetention reads how long what is kept.
func parseRetention(rules map[string]string) (r store.Retention, err error) {
	r.Events = map[features.EventType]time.Duration{}
	for what, text := range rules {
		keep, err := parseDays(text)
		if err != nil {
			return r, fmt.Errorf("%s: %w", what, err)
		}
		switch what {
		case "answer":
			r.Answers = keep
		case "refused":
			r.Refused = keep
		default:
			t, err := features.ParseEventType(what)
			if err != nil {
				return r, fmt.Errorf("%w, answer or refused", err)
			}
			r.Events[t] = keep
		}
	}
	return r, nil
}

// parseDays reads 90d as well as what time.ParseDuration does.
func parseDays(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n > 0 && n < 100_000 {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("expected a time such as 90d or 36h: got %q", text)
	}
	return d, nil
}

// retain takes out what is kept too long, at the start and then now and then.
func (s *Server) retain(ctx context.Context) {
	rules, err := parseRetention(s.config.Retain)
	if err != nil || len(s.config.Retain) == 0 {
		return // Validate has said so
	}
	expired := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "attune_expired_total", Help: "What was taken out because it was kept as long as it may be, by place.",
	}, []string{"shop", "place"})
	s.metrics.MustRegister(expired)
	for {
		shops, err := s.store.Shops(ctx)
		for _, shop := range shops {
			if e := s.expire(ctx, shop, rules, expired); e != nil {
				err = e
			}
		}
		if err != nil && ctx.Err() == nil {
			s.log.Error("what is kept too long could not be taken out; the next look tries again", "error", err)
		}
		if s.config.RetainEvery <= 0 {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(s.config.RetainEvery):
		}
	}
}

// expire takes out what a shop has too long, and writes down that it did.
func (s *Server) expire(ctx context.Context, shop features.ShopID, rules store.Retention, expired *prometheus.CounterVec) error {
	x, err := s.store.Expire(ctx, shop, rules)
	if err != nil || x.Total == 0 {
		return err
	}
	var parts []string
	for _, p := range x.Places {
		expired.WithLabelValues(string(shop), p.Name).Add(float64(p.Removed))
		if p.Removed > 0 {
			parts = append(parts, fmt.Sprintf("%s: %d", p.Name, p.Removed))
		}
	}
	types := make([]features.EventType, 0, len(x.Events))
	for t := range x.Events {
		types = append(types, t)
	}
	slices.Sort(types)
	for _, t := range types {
		parts = append(parts, fmt.Sprintf("%s: %d", t, x.Events[t]))
	}
	s.log.Info("taken out what was kept as long as it may be", "shop", shop, "what", strings.Join(parts, ", "))
	return s.store.Audit(ctx, shop, store.Audited{Actor: "server", Method: "retention", Detail: strings.Join(parts, ", ")})
}
