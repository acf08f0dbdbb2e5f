// Package rpc is the gRPC server around the services: who may call, what a
// valid request is, how much is taken in, and what operators see of it.
//
// Start reading at New; interceptors.go has the chain that every call passes,
// in order.
package rpc

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"buf.build/go/protovalidate"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/experimental"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/tap"
	"google.golang.org/protobuf/proto"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/server/api"
	"github.com/attune-rec/attune/server/auth"
	"github.com/attune-rec/attune/server/guard"
)

// Services are what the server offers.
type Services struct {
	Recommendation attunev1.RecommendationServiceServer
	Events         attunev1.EventServiceServer
	Catalog        attunev1.CatalogServiceServer
	Users          attunev1.UserServiceServer
	Releases       attunev1.ReleaseServiceServer
	Rules          attunev1.RuleServiceServer
	Privacy        attunev1.PrivacyServiceServer  // nil: not offered
	Profiles       attunev1.ProfileServiceServer  // nil: not offered
	Segments       attunev1.SegmentServiceServer  // nil: not offered
	Audiences      attunev1.AudienceServiceServer // nil: not offered
	Risk           attunev1.RiskServiceServer     // nil: not offered
	Health         *health.Server
}

// Options are what a server works with. Callers, Validate, Logger and Memory are
// needed.
type Options struct {
	Callers    *auth.Guard
	Audit      Auditor // nil: nothing is written down
	Validate   protovalidate.Validator
	Refused    func(context.Context, proto.Message, error) // told of invalid requests; nil: nobody
	Logger     *slog.Logger
	Calls      *Calls                           // nil: none are counted
	Traces     trace.TracerProvider             // nil: nothing is traced
	TLS        credentials.TransportCredentials // nil: plain text
	Guard      *guard.Guard                     // nil: everything is let in
	Memory     *guard.Memory                    // what requests may hold
	MaxMessage int                              // bytes of a request; 0: 8 MiB
	Stopping   context.Context                  // ends the calls of those who watch health; nil: they stay
}

// Auditor writes down who calls what.
type Auditor interface {
	// Begin is told of an admitted, valid call, which does not go on when it fails.
	Begin(ctx context.Context, method string, req proto.Message) error
	Failed(ctx context.Context, method string, req proto.Message, code string)
	// Done is told of the answer, which is not given when it fails.
	Done(ctx context.Context, method string, req, resp proto.Message) error
	// Reads reports a method that only reads: instead of Begin and what follows
	// Answered is told of its answer and of what was told of it, and Refused where
	// there is none. Neither is given when that fails. Early writes persons down
	// while the answer is made.
	Reads(method string) bool
	Early(ctx context.Context, method string, req proto.Message, who []features.UserKey) error
	Answered(ctx context.Context, method string, req, resp proto.Message, told *api.Told) error
	Refused(ctx context.Context, method string, req proto.Message, code string) error
}

// What a server has ready. A caller may send as much as a window holds before
// the server has read it; goroutines that wait for calls keep the stacks they
// have grown, and where all of them work a call gets one of its own.
const (
	streamWindow = 1 << 18 // bytes
	connWindow   = 1 << 20 // bytes
	workers      = 128     // a core, as many as a guard lets in
)

// New returns a server with all services registered, ready to serve.
func New(s Services, o Options) *grpc.Server {
	if o.MaxMessage <= 0 {
		o.MaxMessage = 8 << 20
	}
	c := chain{o}
	opts := []grpc.ServerOption{
		grpc.ForceServerCodecV2(newCodec()),
		experimental.BufferPool(o.Memory),
		grpc.InTapHandle(o.accept),
		grpc.UnaryInterceptor(c.unary),
		grpc.StreamInterceptor(c.stream),
		grpc.StaticStreamWindowSize(streamWindow), // windows that adapt cost a ping, and its answer, for nearly every call
		grpc.StaticConnWindowSize(connWindow),
		grpc.NumStreamWorkers(uint32(workers * runtime.GOMAXPROCS(0))), // #nosec G115 -- a few cores
		grpc.MaxRecvMsgSize(o.MaxMessage),
		grpc.MaxConcurrentStreams(1000),
		grpc.ConnectionTimeout(10 * time.Second),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionIdle: 15 * time.Minute, Time: 2 * time.Minute, Timeout: 20 * time.Second,
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
	}
	if spans := o.spans(); spans != nil {
		opts = append(opts, grpc.StatsHandler(spans))
	}
	if o.TLS != nil {
		opts = append(opts, grpc.Creds(o.TLS))
	}
	server := grpc.NewServer(opts...)
	g := registrar{server, o.Memory, new(api.Rooms)}
	s.register(g)
	healthpb.RegisterHealthServer(g, s.Health)
	reflection.Register(server)
	return server
}

// spans makes a span of each call; nil: nothing is traced.
func (o Options) spans() stats.Handler {
	if o.Traces == nil {
		return nil
	}
	return otelgrpc.NewServerHandler(otelgrpc.WithTracerProvider(o.Traces))
}

// accept lets a call in, or says why not.
func (o Options) accept(ctx context.Context, info *tap.Info) (context.Context, error) {
	ctx, err := o.Memory.Accept(ctx, info)
	if err != nil || o.Guard == nil {
		return ctx, err
	}
	return o.Guard.Accept(ctx, info)
}

// register tells r of the services of the API.
func (s Services) register(r grpc.ServiceRegistrar) {
	attunev1.RegisterRecommendationServiceServer(r, s.Recommendation)
	attunev1.RegisterEventServiceServer(r, s.Events)
	attunev1.RegisterCatalogServiceServer(r, s.Catalog)
	attunev1.RegisterUserServiceServer(r, s.Users)
	attunev1.RegisterReleaseServiceServer(r, s.Releases)
	attunev1.RegisterRuleServiceServer(r, s.Rules)
	if s.Privacy != nil {
		attunev1.RegisterPrivacyServiceServer(r, s.Privacy)
	}
	if s.Risk != nil {
		attunev1.RegisterRiskServiceServer(r, s.Risk)
	}
	if s.Profiles != nil {
		attunev1.RegisterProfileServiceServer(r, s.Profiles)
	}
	if s.Segments != nil {
		attunev1.RegisterSegmentServiceServer(r, s.Segments)
	}
	if s.Audiences != nil {
		attunev1.RegisterAudienceServiceServer(r, s.Audiences)
	}
}

// NewValidator returns a validator of every message of the API, compiled
// before the first request.
func NewValidator() (protovalidate.Validator, error) {
	v, err := protovalidate.New(protovalidate.WithMessages(
		&attunev1.RecommendRequest{}, &attunev1.SimilarItemsRequest{}, &attunev1.BatchRecommendRequest{},
		&attunev1.CollectRequest{}, &attunev1.CollectBatchRequest{}, &attunev1.CollectStreamRequest{}, &attunev1.Event{},
		&attunev1.UpsertItemRequest{}, &attunev1.BatchUpsertItemsRequest{}, &attunev1.Item{}, &attunev1.GetItemRequest{},
		&attunev1.ListItemsRequest{}, &attunev1.DeleteItemRequest{},
		&attunev1.UpsertUserRequest{}, &attunev1.BatchUpsertUsersRequest{}, &attunev1.User{}, &attunev1.GetUserRequest{},
		&attunev1.ListUsersRequest{}, &attunev1.DeleteUserRequest{},
		&attunev1.ListReleasesRequest{}, &attunev1.GetReleaseRequest{}, &attunev1.GetCurrentReleaseRequest{},
		&attunev1.PromoteReleaseRequest{}, &attunev1.RollbackReleaseRequest{},
		&attunev1.UpsertRuleSetRequest{}, &attunev1.GetRuleSetRequest{}, &attunev1.ListRuleSetsRequest{}, &attunev1.DeleteRuleSetRequest{}, &attunev1.DryRunRulesRequest{},
		&attunev1.ExportUserRequest{}, &attunev1.EraseUserRequest{},
		&attunev1.GetConsentRequest{}, &attunev1.SetConsentRequest{}, &attunev1.ListAccessesRequest{}, &attunev1.ListAffectedRequest{},
		&attunev1.AssessRiskRequest{}, &attunev1.ListRiskFlagsRequest{}, &attunev1.QuarantineRiskFlagRequest{}, &attunev1.ReleaseRiskFlagRequest{},
		&attunev1.ListDeadLettersRequest{}, &attunev1.ReplayDeadLettersRequest{},
		&attunev1.GetProfileRequest{}, &attunev1.BatchGetProfilesRequest{}, &attunev1.ListProfilesRequest{},
		&attunev1.UpsertSegmentRequest{}, &attunev1.TrainSegmentRequest{}, &attunev1.DiscoverSegmentsRequest{}, &attunev1.GetSegmentRequest{},
		&attunev1.ListSegmentsRequest{}, &attunev1.DeleteSegmentRequest{}, &attunev1.GetGridRequest{}, &attunev1.CountSegmentsRequest{},
		&attunev1.StreamMembersRequest{},
		&attunev1.ImportAudienceRequest{}, &attunev1.AudienceMember{}, &attunev1.GetAudienceRequest{}, &attunev1.ListAudiencesRequest{}, &attunev1.DeleteAudienceRequest{},
	))
	if err != nil {
		return nil, fmt.Errorf("validator: %w", err)
	}
	return api.Quick(v), nil
}
