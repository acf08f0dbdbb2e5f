package app

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/models/release"
	"github.com/attune-rec/attune/server/canary"
	"github.com/attune-rec/attune/server/recommend"
	"github.com/attune-rec/attune/server/telemetry"
)

// Care is how releases in service are watched.
type Care struct {
	Rollback       bool          `name:"auto-rollback" help:"Go back by itself from a canary, and from a release just promoted, whose answers fail, are empty or come late more often than those of the other." default:"true" negatable:""`
	RollbackWindow time.Duration `help:"The answers of so long are compared." default:"30s"`
	RollbackTrial  time.Duration `help:"A release is compared with the one before for so long after its promotion; a canary as long as it is one." default:"5m"`
	RollbackLeast  int           `help:"No release is judged by fewer answers." default:"100"`
	RollbackFailed float64       `help:"Share of answers that may fail, or lack a part, beyond the other release's." default:"0.02"`
	RollbackEmpty  float64       `help:"Share of answers that may be empty beyond the other release's." default:"0.05"`
	RollbackLate   float64       `help:"Share of answers that may take longer than twice the other release's 95th percentile, and 10 ms." default:"0.1"`
	ShadowShare    float64       `help:"Share of the questions that a shadow release answers too, unseen." default:"0.1"`
	Warm           int           `help:"Questions on every surface that a release answers before it is served." default:"32"`
	Settle         time.Duration `help:"Health says no for at most so long after a start while the newest of the log is taken in; 0: not for that." default:"20s"`
}

func (c *Care) wrong() string {
	share := func(v float64) bool { return !(v >= 0 && v <= 1) }
	switch {
	case c.RollbackWindow < 0 || c.RollbackTrial < 0 || c.RollbackLeast < 0:
		return "rollback-window, --rollback-trial, --rollback-least: expected 0 or more"
	case share(c.RollbackFailed) || share(c.RollbackEmpty) || share(c.RollbackLate):
		return "rollback-failed, --rollback-empty, --rollback-late: expected 0 to 1"
	case share(c.ShadowShare):
		return "shadow-share: expected 0 to 1"
	case c.Warm < 0 || c.Settle < 0:
		return "warm, --settle: expected 0 or more"
	}
	return ""
}

// lookEvery is the time between two judgements of releases.
const lookEvery = time.Second

// watcher judges releases; nil when nothing is to be gone back from.
func (s *Server) watcher() *canary.Watcher {
	c := s.config.Care
	if !c.Rollback {
		return nil
	}
	return canary.New(canary.Options{
		Limits: canary.Limits{Least: c.RollbackLeast, Failed: c.RollbackFailed, Empty: c.RollbackEmpty, Late: c.RollbackLate},
		Window: c.RollbackWindow, Trial: c.RollbackTrial, Roll: s.goBack, Registerer: s.metrics, Logger: s.log,
	})
}

// watch tells the watcher what a shop serves now.
func (s *Server) watch(shop features.ShopID) {
	if s.judge == nil {
		return
	}
	if st, ok := s.set.Status(shop); ok && st.Stable != "" {
		s.judge.Serves(shop, canary.State{Number: st.State.Number, Stable: st.Stable, Canary: st.Canary, Before: st.Previous})
	}
}

// goBack writes the state without a release that does worse, and writes down
// that it did. When several replicas see it, one does.
func (s *Server) goBack(ctx context.Context, b canary.Back) error {
	_, err := release.Rollback(ctx, s.releases, b.Shop, b.To, release.Change{By: "server", Reason: b.Verdict.Text, Expect: b.State})
	if errors.Is(err, release.ErrStale) {
		return nil // another has; the new state is followed
	}
	if err != nil {
		return err
	}
	entry := store.Audited{Actor: "server", Method: "/attune.v1.ReleaseService/RollbackRelease", Subject: b.Release, Detail: "by itself: " + b.Verdict.Text}
	if err := s.store.Audit(ctx, b.Shop, entry); err != nil {
		s.log.ErrorContext(ctx, "the audit log lacks that a release was gone back from", "shop", b.Shop, "release", b.Release, "error", err)
	}
	if err := s.set.Load(ctx, b.Shop); err != nil {
		s.log.ErrorContext(ctx, "went back from a release, and this server cannot follow yet", "shop", b.Shop, "error", err)
	}
	if s.cluster != nil {
		s.pointed(ctx, b.Shop)
	}
	return nil
}

// observe is where questions' outcomes go; nil: nowhere.
func (s *Server) observe() func(recommend.Outcome) {
	if s.judge == nil {
		return nil
	}
	return func(o recommend.Outcome) {
		s.judge.Observe(o.Shop, o.Release, canary.Outcome{Took: o.Took, Failed: o.Failed, Empty: o.Empty})
	}
}

// shadow has shadow releases answer beside, and measures them.
func (s *Server) shadow() recommend.Shadow {
	answers := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "attune_shadow_answers_total", Help: "Questions that a shadow release was to answer too: answered, empty, failed, or missed for want of time.",
	}, []string{"shop", "how"})
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "attune_shadow_seconds", Help: "How long a shadow release took for an answer.", Buckets: telemetry.Buckets(),
	}, []string{"shop"})
	overlap := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "attune_shadow_overlap", Help: "Share of the items that a shadow's answer has in common with the one given.", Buckets: prometheus.LinearBuckets(0, .1, 11),
	}, []string{"shop"})
	s.metrics.MustRegister(answers, seconds, overlap)
	return recommend.Shadow{
		Share: s.config.ShadowShare,
		Release: func(shop features.ShopID) (recommend.Release, bool) {
			l, ok := s.set.Shadow(shop)
			if !ok {
				return nil, false
			}
			return lease{l}, true
		},
		Seen: func(x recommend.Shadowed) {
			how, shop := "answered", string(x.Shop)
			switch {
			case x.Missed:
				how = "missed"
			case x.Err != nil:
				how = "failed"
			case x.Empty:
				how = "empty"
			}
			answers.WithLabelValues(shop, how).Inc()
			if x.Missed || x.Err != nil {
				return
			}
			seconds.WithLabelValues(shop).Observe(x.Took.Seconds())
			overlap.WithLabelValues(shop).Observe(x.Overlap)
		},
	}
}
