package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// GRPC is the address that gRPC is served at.
func (s *Server) GRPC() string { return s.grpcListener.Addr().String() }

// HTTP is the address that REST is served at.
func (s *Server) HTTP() string { return s.httpListener.Addr().String() }

// Admin is the operators' address, or "".
func (s *Server) Admin() string {
	if s.adminListener == nil {
		return ""
	}
	return s.adminListener.Addr().String()
}

// Run serves until ctx ends, then stops in order: health says so first, running
// requests end, records are written, the store closes. ready, where given, is
// called once everything serves and what was promoted is loaded. Run may be
// called once.
func (s *Server) Run(ctx context.Context, ready func()) error {
	failed := make(chan error, 4)
	var wg sync.WaitGroup
	start := func(what string, serve func() error) {
		wg.Go(func() {
			if err := serve(); err != nil && !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("%s: %w", what, err)
			}
		})
	}
	start("gateway", func() error { return s.inner.Serve(s.pipe) })
	start("grpc", func() error { return s.outer.Serve(s.grpcListener) })
	start("http", func() error {
		if s.config.TLSCert != "" {
			return s.web.ServeTLS(s.httpListener, "", "")
		}
		return s.web.Serve(s.httpListener)
	})
	if s.adminListener != nil {
		start("admin", func() error { return s.admin.Serve(s.adminListener) })
	}
	s.load(ctx)
	s.settle(ctx)
	wg.Go(func() { s.follow(ctx) })
	wg.Go(func() { s.risk.Run(ctx) })
	wg.Go(func() { s.retain(ctx) })
	if s.kafka != nil {
		wg.Go(func() { s.kafka.Run(ctx) })
	}
	if s.judge != nil {
		wg.Go(func() { s.judge.Run(ctx, lookEvery) })
	}
	if ctx.Err() == nil { // it may have been stopped while it loaded
		s.log.Info("attune serves", "grpc", s.GRPC(), "http", s.HTTP(), "admin", s.Admin(), "data", s.config.Data)
		if ready != nil {
			ready()
		}
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	s.log.Info("attune stops", "grace", s.config.Grace)
	s.stop() //nolint:contextcheck // what ends in order must not end with the context that ended
	wg.Wait()
	return errors.Join(err, s.close())
}

// stop ends what callers see: first health says no, and for a while the doors
// stay open for those who have not heard; then none is let in any more, and
// those inside have the rest of the grace.
func (s *Server) stop() {
	grace, cancel := context.WithTimeout(context.Background(), s.config.Grace)
	defer cancel()
	s.health.Shutdown()
	if s.config.Drain > 0 {
		select {
		case <-time.After(s.config.Drain):
		case <-grace.Done():
		}
	}
	s.leave()
	if err := s.web.Shutdown(grace); err != nil {
		s.log.Warn("REST calls were cut off", "error", err)
		_ = s.web.Close()
	}
	var wg sync.WaitGroup
	for _, g := range []interface {
		GracefulStop()
		Stop()
	}{s.outer, s.inner} {
		wg.Go(func() {
			done := make(chan struct{})
			go func() { g.GracefulStop(); close(done) }()
			select {
			case <-done:
			case <-grace.Done():
				s.log.Warn("gRPC calls were cut off")
				g.Stop()
				<-done
			}
		})
	}
	wg.Wait()
	_ = s.admin.Close()
}

// close gives everything back, last built first.
func (s *Server) close() error {
	var errs []error
	for _, f := range slices.Backward(s.closers) {
		errs = append(errs, f())
	}
	s.closers = nil
	return errors.Join(errs...)
}

// load takes what was promoted into service, shop by shop. What cannot be is
// logged, and what was served before stays.
func (s *Server) load(ctx context.Context) {
	shops, err := s.releases.Shops(ctx)
	if err != nil {
		if ctx.Err() == nil {
			s.log.Error("releases cannot be listed", "where", s.config.releases(), "error", err)
		}
		return
	}
	for _, shop := range shops {
		if status, ok := s.set.Status(shop); ok && (status.Stable != "" || status.Err != nil) {
			continue // followed already
		}
		if err := s.set.Load(ctx, shop); err != nil && ctx.Err() == nil && !notServed(err) {
			s.log.Error("release cannot be served: publish it anew, or go back with 'trainer rollback'", "shop", shop, "error", err)
		}
	}
	if len(s.set.Shops()) == 0 {
		s.once.Do(func() {
			s.log.Warn("no release is served yet: train one with 'trainer fit', then 'trainer publish' and 'trainer promote'; it is taken as soon as it is there",
				"releases", s.config.releases())
		})
	}
}

// settle waits for what a start takes in beside the releases, since it would take
// a processor from the first answers. Health says no meanwhile; what cannot be
// waited for goes on with rests.
func (s *Server) settle(ctx context.Context) {
	began := time.Now()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !s.people.Load().Settled() || !s.trends.Settled() {
		if time.Since(began) >= s.config.Settle {
			s.log.Info("the log is taken in beside the answers from here on", "after", s.config.Settle)
			break
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
	s.warmAgain(ctx)
	s.pacer.Rest()
	s.open.Store(true)
	s.serving(s.loaded.Load())
}

// warmAgain has the releases answer once more now that it is known which markets
// shoppers come from.
func (s *Server) warmAgain(ctx context.Context) {
	for _, shop := range s.set.Shops() {
		l, err := s.set.Acquire(ctx, shop, nil)
		if err != nil {
			continue // it is loaded when it is asked for
		}
		if err := s.warm(ctx, l); err != nil && ctx.Err() == nil {
			s.log.Warn("the first answers may be slow", "shop", shop, "error", err)
		}
		l.Done()
	}
}

// follow looks for shops that begin to serve something.
func (s *Server) follow(ctx context.Context) {
	tick := time.NewTicker(s.config.Follow)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.load(ctx)
		}
	}
}

// serving tells health checks whether there is something to answer with.
func (s *Server) serving(yes bool) {
	status := healthpb.HealthCheckResponse_NOT_SERVING
	if yes {
		status = healthpb.HealthCheckResponse_SERVING
	}
	for _, service := range []string{"", "attune.v1.RecommendationService"} {
		s.health.SetServingStatus(service, status)
	}
	for _, service := range []string{
		"attune.v1.EventService", "attune.v1.CatalogService", "attune.v1.UserService", "attune.v1.ReleaseService", "attune.v1.PrivacyService", "attune.v1.RiskService",
		"attune.v1.ProfileService", "attune.v1.SegmentService", "attune.v1.AudienceService",
	} {
		s.health.SetServingStatus(service, healthpb.HealthCheckResponse_SERVING)
	}
}

func (s *Server) healthz(w http.ResponseWriter, r *http.Request) {
	resp, err := s.health.Check(r.Context(), &healthpb.HealthCheckRequest{Service: r.URL.Query().Get("service")})
	status := healthpb.HealthCheckResponse_UNKNOWN
	if err == nil {
		status = resp.GetStatus()
	}
	if status != healthpb.HealthCheckResponse_SERVING {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_, _ = fmt.Fprintln(w, status)
}
