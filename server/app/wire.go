package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/test/bufconn"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/pace"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/models/ltr"
	"github.com/attune-rec/attune/models/pipeline"
	"github.com/attune-rec/attune/models/release"
	"github.com/attune-rec/attune/models/vector/milvus"
	"github.com/attune-rec/attune/server/api"
	"github.com/attune-rec/attune/server/auth"
	"github.com/attune-rec/attune/server/breaker"
	"github.com/attune-rec/attune/server/canary"
	"github.com/attune-rec/attune/server/collect"
	"github.com/attune-rec/attune/server/engine"
	"github.com/attune-rec/attune/server/gateway"
	"github.com/attune-rec/attune/server/guard"
	"github.com/attune-rec/attune/server/journal"
	"github.com/attune-rec/attune/server/kafka"
	"github.com/attune-rec/attune/server/lately"
	"github.com/attune-rec/attune/server/live"
	"github.com/attune-rec/attune/server/privacy"
	"github.com/attune-rec/attune/server/profile"
	"github.com/attune-rec/attune/server/recommend"
	"github.com/attune-rec/attune/server/risk"
	"github.com/attune-rec/attune/server/rpc"
	"github.com/attune-rec/attune/server/shopper"
	"github.com/attune-rec/attune/server/signals"
	"github.com/attune-rec/attune/server/steer"
	"github.com/attune-rec/attune/server/telemetry"
	"github.com/attune-rec/attune/server/trend"
)

// Server is everything that runs. Build it, Run it; Run closes it.
type Server struct {
	config  Config
	log     *slog.Logger
	metrics telemetry.Metrics
	traces  telemetry.Traces
	health  *health.Server

	store    *store.Store
	withheld *withheld // from what is counted of the many
	risk     *risk.Keeper
	releases release.Store
	engines  *engine.Engines
	breakers *breaker.Set
	cluster  *milvus.Cluster  // nil: none
	judge    *canary.Watcher  // nil: nobody judges releases
	kafka    *kafka.Connector // nil: no Kafka
	rules    *steer.Keeper
	set      *live.Set[*engine.Engine]
	journal  *journal.Journal
	signals  *signals.Keeper

	pacer  pace.Pacer  // of what nobody waits for
	open   atomic.Bool // a start has done what it does
	loaded atomic.Bool // there is something to answer with

	quarantined *withheld
	people      atomic.Pointer[profile.Keeper] // nil: it is not there yet
	trends      *trend.Keeper
	answers     atomic.Pointer[recommend.Recommender] // nil: it is not there yet

	recommendation *api.Recommendation

	stopping     context.Context // ends when nobody is let in any more, so that those who watch health go
	leave        context.CancelFunc
	events       *api.Events
	outer, inner *grpc.Server // for callers, and for the gateway's streams
	pipe         *bufconn.Listener
	conn         *grpc.ClientConn
	web, admin   *http.Server

	grpcListener, httpListener, adminListener net.Listener
	closers                                   []func() error // in the order of building
	once                                      sync.Once      // of saying that there is no release
	refusals                                  sync.Map       // of releases, by shop: the one last written down
}

// Build puts the server together and opens its ports, so that whatever cannot
// work is known before anyone is told that it runs. version is the program's.
func Build(ctx context.Context, c Config, log *slog.Logger, version string) (s *Server, err error) {
	s = &Server{config: c, log: log, metrics: telemetry.NewMetrics(version), health: health.NewServer()}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	s.stopping, s.leave = context.WithCancel(context.Background()) //nolint:contextcheck // the server's own end
	s.closing(func() error { s.leave(); return nil })
	s.serving(false)
	if err := s.listen(); err != nil {
		return s, err
	}
	if err := prepare(c.Data); err != nil {
		return s, err
	}
	if s.traces, err = telemetry.NewTraces(ctx, c.OTLP, c.Traced, version); err != nil {
		return s, err
	}
	s.closing(func() error { return within(c.Grace, s.traces.Shutdown) }) //nolint:contextcheck // runs after the context ended
	if s.store, err = store.Open(ctx, store.Options{Dir: c.Data, Logger: log}); err != nil {
		return s, explain(c.Data, err)
	}
	s.closing(s.store.Close)
	s.withheld = &withheld{read: s.store.Withheld}
	s.quarantined = &withheld{read: s.store.Quarantined}
	if err := s.consents(ctx); err != nil {
		return s, err
	}
	if err := s.fields(ctx); err != nil {
		return s, err
	}
	if s.releases, err = release.OpenStore(ctx, c.releases(), filepath.Join(c.Data, "cache")); err != nil {
		return s, err
	}
	s.closing(s.releases.Close)
	if err := s.liveReleases(); err != nil {
		return s, err
	}
	services, err := s.services() //nolint:contextcheck // the journal outlives every request
	if err != nil {
		return s, err
	}
	if err := s.servers(ctx, services); err != nil {
		return s, err
	}
	return s, s.connector(services)
}

func (s *Server) closing(f func() error) { s.closers = append(s.closers, f) }

func within(d time.Duration, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return f(ctx)
}

func (s *Server) listen() (err error) {
	for _, l := range []struct {
		flag, address string
		to            *net.Listener
	}{{"grpc", s.config.GRPC, &s.grpcListener}, {"http", s.config.HTTP, &s.httpListener}, {"admin", s.config.Admin, &s.adminListener}} {
		if l.address == "" {
			continue
		}
		if *l.to, err = listen(l.flag, l.address); err != nil {
			return err
		}
		listener := *l.to
		s.closing(func() error {
			if err := listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
				return err
			}
			return nil
		})
	}
	return nil
}

// build makes a release ready, with the signals that its ranker looks at.
func (s *Server) build(ctx context.Context, r *release.Release) (*engine.Engine, error) {
	for _, part := range r.Models() {
		if m, ok := part.Model.(*ltr.Model); ok && m.Set().Width() > 0 {
			if err := s.signals.Load(ctx, r.Manifest.Shop); err != nil {
				return nil, err
			}
		}
	}
	return s.engines.Build(ctx, r)
}

// liveReleases is the part that serves releases and swaps them.
func (s *Server) liveReleases() (err error) {
	if s.signals, err = signals.New(signals.Options{Log: s.store, Withheld: s.withheld.holds, Dir: filepath.Join(s.config.Data, "signals"), Logger: s.log}); err != nil {
		return err
	}
	s.closing(s.signals.Close)
	if s.rules, err = steer.New(steer.Options{Store: s.store, Load: s.config.StoreWait, Logger: s.log, Registerer: s.metrics}); err != nil {
		return err
	}
	s.breakers = breaker.NewSet(breaker.Options{})
	s.metrics.MustRegister(s.breakers)
	if s.trends, err = trend.New(trend.Options{Log: s.store, Segments: s.segments, Withheld: s.withheld.holds, Pace: &s.pacer, Logger: s.log, Registerer: s.metrics}); err != nil {
		return err
	}
	s.closing(s.trends.Close)
	o := engine.Options{
		Changes: s.store, Rules: s.rules, Trends: func(shop features.ShopID) pipeline.Trends { return s.trends.Of(shop) }, Warm: s.prepared, Freed: s.signals.Keep, Observer: telemetry.NewComponents(s.metrics), Workers: runtime.GOMAXPROCS(0), Breakers: s.breakers, Logger: s.log,
	}
	if s.config.Milvus.Configured() {
		cluster, err := milvus.NewCluster(s.config.Milvus)
		if err != nil {
			return err
		}
		s.closing(cluster.Close)
		o.Cluster, s.cluster = cluster, cluster
	}
	s.engines = engine.New(o)
	events := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "attune_release_events_total", Help: "What happened to releases: loaded, refused, swapped, freed, unloaded.",
	}, []string{"shop", "what"})
	current := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "attune_release_served", Help: "The release that is served by shop; always 1.",
	}, []string{"shop", "version"})
	s.metrics.MustRegister(events, current)
	s.judge = s.watcher()
	s.set, err = live.New(live.Options[*engine.Engine]{
		Store: s.releases, Kinds: kinds, Build: s.build, Free: s.engines.Free, Warm: s.warm, Probe: probe,
		Every: s.config.Follow, Idle: s.config.IdleShop, Pace: &s.pacer, Log: s.log,
		Observe: func(e live.Event) {
			events.WithLabelValues(string(e.Shop), e.What).Inc()
			s.refused(e)
			if e.What == live.EventSwapped {
				current.DeletePartialMatch(prometheus.Labels{"shop": string(e.Shop)})
				current.WithLabelValues(string(e.Shop), e.Version).Set(1)
				s.watch(e.Shop)
				s.loaded.Store(true)
				s.serving(s.open.Load())
			}
		},
	})
	if err != nil {
		return err
	}
	s.closing(s.set.Close)
	return nil
}

func (s *Server) services() (rpc.Services, error) {
	none := rpc.Services{}
	validate, err := rpc.NewValidator()
	if err != nil {
		return none, err
	}
	secret, err := pageSecret(s.config.PageSecret, s.config.Data)
	if err != nil {
		return none, err
	}
	tokens, names := api.NewTokens(secret), shopper.NewNames(s.store)
	past := &broken{store: s.store}
	past.breaker, _ = s.breakers.New(breaker.Key{Dependency: "store"})
	shoppers, err := shopper.New(shopper.Options{History: past, Consents: past, Size: s.config.Shoppers, Load: s.config.StoreWait, Registerer: s.metrics})
	if err != nil {
		return none, err
	}
	recently, err := lately.New(lately.Options{Shoppers: s.config.Shoppers})
	if err != nil {
		return none, err
	}
	s.journal = journal.New(s.store, journal.Options{Queue: s.config.Queue, Logger: s.log, Registerer: s.metrics})
	s.closing(func() error { return within(s.config.Grace, s.journal.Close) })
	profiles, err := s.profiles()
	if err != nil {
		return none, err
	}
	told := listeners{shoppers, recently, profiles, s.signals, s.trends}
	collector, err := collect.New(collect.Options{
		Log: s.store, Morgue: s.store, Listener: told,
		MaxAge: s.config.EventAge, MaxAhead: s.config.ClockAhead, Logger: s.log, Registerer: s.metrics,
	})
	if err != nil {
		return none, err
	}
	recommender, err := recommend.New(recommend.Options{
		Releases: served{s.set}, Shoppers: profiled{shoppers, profiles}, Lately: recently, States: s.signals, Journal: s.journal, Parallel: runtime.GOMAXPROCS(0), Logger: s.log,
		Observe: s.observe(), Shadow: s.shadow(),
	})
	if err != nil {
		return none, err
	}
	s.closing(recommender.Close)
	s.answers.Store(recommender)
	published, err := s.releaseService(tokens)
	if err != nil {
		return none, err
	}
	s.recommendation = &api.Recommendation{Recommender: recommender, Names: names, Tokens: tokens}
	s.events = &api.Events{Collector: collector, Names: names, Validate: validate, Dead: s.store, Tokens: tokens}
	return rpc.Services{
		Recommendation: s.recommendation,
		Events:         s.events,
		Catalog: &api.Catalog{Store: s.store, Validate: validate, Tokens: tokens, Changed: func(shop features.ShopID) {
			s.engines.Changed(context.Background(), shop)
			profiles.Changed(shop)
		}},
		Users: &api.Users{
			Store: s.store, Validate: validate, Tokens: tokens, Changed: all(shoppers.Forget, recently.Forget, profiles.Forget),
			Linked: told.Linked, Unlinked: profiles.Unlinked,
		},
		Releases: published,
		Rules:    &api.Rules{Keeper: s.rules, Served: s.store, Asked: s.recommendation, Tokens: tokens},
		Risk:     &risk.Service{Keeper: s.risks(), Tokens: tokens},
		Privacy: &privacy.Service{
			Store: s.store, Names: names, Tokens: tokens, Changed: all(shoppers.Forget, recently.Forget, profiles.Forget),
			Memory: []privacy.Memory{
				{Name: "histories in memory", Forget: shoppers.Forget}, {Name: "answers in memory", Forget: recently.Forget},
				{Name: "profiles and their file", Forget: profiles.Erased}, {Name: "signals and their file", Forget: s.signals.Forget},
				{Name: "answers not written yet", Forget: s.unwritten},
				{Name: "questions asked lately", Forget: recommender.Forget},
			},
			Profile: concluded(profiles),
		},
		Profiles: &api.Profiles{Keeper: profiles, Users: s.store, Names: names, Tokens: tokens},
		Segments: &api.Segments{Keeper: profiles, Users: s.store, Names: names, Tokens: tokens},
		Audiences: &api.Audiences{
			Store: s.store, Validate: validate, Tokens: tokens, Changed: profiles.Listed,
		},
		Health: s.health,
	}, nil
}

// servers are the ways in: gRPC, REST within the process, whose streams go to a
// gRPC server of their own, and the operators' port.
func (s *Server) servers(ctx context.Context, services rpc.Services) error {
	policies, err := auth.Methods()
	if err != nil {
		return err
	}
	callers, err := s.callers(ctx, policies)
	if err != nil {
		return err
	}
	validate, err := rpc.NewValidator()
	if err != nil {
		return err
	}
	certificate, err := s.config.certificate(s.log)
	if err != nil {
		return err
	}
	memory, err := guard.NewMemory(s.config.MessageMemory)
	if err != nil {
		return err
	}
	s.metrics.MustRegister(memory)
	auditor := &privacy.Auditor{Policies: policies, Names: shopper.NewNames(s.store), Log: s.store, Logger: s.log, Alarm: privacy.NewAlarm(s.config.BulkReads, s.config.BulkWindow, s.metrics)}
	asked := privacy.NewAsked(auditor, s.metrics) //nolint:contextcheck // it outlives every request
	s.closing(func() error { return within(s.config.Grace, asked.Close) })
	s.recommendation.Asked = asked
	o := rpc.Options{
		Callers: callers, Audit: auditor,
		Validate: validate, Logger: s.log, MaxMessage: s.config.MaxMessage,
		Calls: rpc.NewCalls(s.metrics, telemetry.Buckets()), Refused: s.events.Refused, Stopping: s.stopping,
	}
	if s.config.OTLP != "" {
		o.Traces = s.traces
	}
	if o.Guard, err = s.guard(policies); err != nil {
		return err
	}
	forREST := o
	forREST.Memory = memory.Inside() // REST calls had their turn when their bodies were read
	s.inner = rpc.New(services, forREST)
	if certificate != nil {
		o.TLS = credentials.NewTLS(certificate)
	}
	o.Memory = memory
	s.outer = rpc.New(services, o)
	s.closing(func() error { // one that never served has its workers already
		s.inner.Stop()
		s.outer.Stop()
		return nil
	})
	s.pipe = bufconn.Listen(1 << 20)
	s.conn, err = grpc.NewClient("passthrough:///gateway",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return s.pipe.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
	if err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	s.closing(s.conn.Close)
	inside := rpc.NewLocal(services, forREST, s.conn)
	rest, err := gateway.New(ctx, inside, gateway.Options{Memory: memory, MaxBody: int64(s.config.MaxMessage), Origins: s.config.Origins, Peer: peerOf(callers)})
	if err != nil {
		return err
	}
	s.web = &http.Server{
		Handler: rest, TLSConfig: certificate, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute,
	}
	s.admin = &http.Server{Handler: s.operators(), ReadHeaderTimeout: 10 * time.Second}
	return nil
}

// callers decides who may call. A server that other machines reach does not start
// open to everyone unless it is told to.
func (s *Server) callers(ctx context.Context, policies *auth.Policies) (*auth.Guard, error) {
	o, err := s.config.who()
	if err != nil {
		return nil, err
	}
	o.Policies, o.Keys = policies, s.store.Keys()
	g, err := auth.NewGuard(o)
	if err != nil {
		return nil, err
	}
	s.closing(g.Close)
	on, err := g.On(ctx)
	if err != nil {
		return nil, err
	}
	if flag := s.config.open(); !on && flag != "" && !s.config.Insecure {
		return nil, fmt.Errorf("--%s is open to other machines and nothing says who may call: make a key with 'server keys create', name an --oidc-issuer or a --client, or give --insecure if something else protects it", flag)
	}
	if !on {
		s.log.Warn("everyone who reaches the ports may do everything: make a key with 'server keys create' to change that")
	}
	return g, nil
}

// peerOf passes the verified certificate of a REST call on.
func peerOf(g *auth.Guard) func(*http.Request) (string, string) {
	return func(r *http.Request) (name, value string) {
		if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 || len(r.TLS.VerifiedChains[0]) == 0 {
			return "", ""
		}
		return auth.PeerHeader, g.Peer(r.TLS.VerifiedChains[0][0])
	}
}

// guard watches both servers: what comes by REST counts as what comes by gRPC.
func (s *Server) guard(policies *auth.Policies) (*guard.Guard, error) {
	if s.config.AnswerIn == 0 {
		return nil, nil
	}
	classes, err := guard.Classes(policies)
	if err != nil {
		return nil, err
	}
	g, err := guard.New(guard.Options{Classes: classes, Target: s.config.AnswerIn, Most: s.config.Admit})
	if err != nil {
		return nil, err
	}
	s.closing(g.Close)
	s.metrics.MustRegister(g)
	s.pacer.While(g.Behind)
	return g, nil
}

// unwritten keeps the answers of who is being erased from being written down
// after them.
func (s *Server) unwritten(shop features.ShopID, key features.UserKey) {
	s.journal.Forget(shop, key, time.Now())
}

// operators is what is for operators only.
func (s *Server) operators() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", s.metrics.Handler())
	mux.HandleFunc("GET /healthz", s.healthz)
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}
