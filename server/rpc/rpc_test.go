package rpc

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/server/auth"
	"github.com/attune-rec/attune/server/guard"
	"github.com/attune-rec/attune/server/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// moody answers Recommend by what the user is called.
type moody struct {
	attunev1.UnimplementedRecommendationServiceServer
}

func (moody) Recommend(_ context.Context, r *attunev1.RecommendRequest) (*attunev1.RecommendResponse, error) {
	switch r.GetUser() {
	case "panic":
		panic("secret of the house")
	case "break":
		return nil, net.ErrClosed
	}
	return &attunev1.RecommendResponse{
		Release: "v1", Items: []*attunev1.RecommendedItem{{Item: r.GetItem(), Price: &attunev1.Money{Currency: "EUR", Micros: 7}}}, Degraded: true,
	}, nil
}

// server is a running server, its log and its counters.
func server(t *testing.T) (*grpc.ClientConn, *bytes.Buffer, *Calls) {
	t.Helper()
	conn, _, log, calls := both(t)
	return conn, log, calls
}

// both is a running server and a caller of the same services in the process.
func both(t *testing.T) (*grpc.ClientConn, *Local, *bytes.Buffer, *Calls) {
	t.Helper()
	policies, err := auth.Methods()
	if err != nil {
		t.Fatal(err)
	}
	callers, err := auth.NewGuard(auth.Options{Policies: policies})
	if err != nil {
		t.Fatal(err)
	}
	memory, err := guard.NewMemory(0)
	if err != nil {
		t.Fatal(err)
	}
	validate, err := NewValidator()
	if err != nil {
		t.Fatal(err)
	}
	log, calls := &bytes.Buffer{}, NewCalls(prometheus.NewRegistry(), telemetry.Buckets())
	services := Services{
		Recommendation: moody{}, Events: attunev1.UnimplementedEventServiceServer{}, Catalog: attunev1.UnimplementedCatalogServiceServer{},
		Users: attunev1.UnimplementedUserServiceServer{}, Releases: attunev1.UnimplementedReleaseServiceServer{}, Health: health.NewServer(),
	}
	o := Options{Callers: callers, Memory: memory, Validate: validate, Logger: telemetry.NewLogger(log, false, slog.LevelInfo), Calls: calls, MaxMessage: 1 << 10}
	g := New(services, o)
	g.RegisterService(&grpc.ServiceDesc{
		ServiceName: "attune.v1.Undeclared", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Do", Handler: func(srv any, ctx context.Context, dec func(any) error, i grpc.UnaryServerInterceptor) (any, error) {
			in := new(attunev1.GetItemRequest)
			if err := dec(in); err != nil {
				return nil, err
			}
			return i(ctx, in, &grpc.UnaryServerInfo{Server: srv, FullMethod: "/attune.v1.Undeclared/Do"}, func(context.Context, any) (any, error) { return in, nil })
		}}},
	}, struct{}{})
	l := bufconn.Listen(1 << 16)
	done := make(chan error, 1)
	go func() { done <- g.Serve(l) }()
	conn, err := grpc.NewClient("passthrough:///test", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
		g.Stop()
		if err := <-done; err != nil && !errors.Is(err, grpc.ErrServerStopped) { // before it began
			t.Error(err)
		}
	})
	return conn, NewLocal(services, o, conn), log, calls
}

func TestChain(t *testing.T) {
	conn, log, calls := server(t)
	c := attunev1.NewRecommendationServiceClient(conn)
	for _, call := range []struct {
		user   string
		limit  int32
		code   codes.Code
		says   string
		logged string
	}{
		{"fine", 5, codes.OK, "", ""},
		{"fine", 500, codes.InvalidArgument, "limit", ""},
		{"panic", 5, codes.Internal, "the server's log", "secret of the house"},
		{"break", 5, codes.Internal, "the server's log", "use of closed network connection"},
	} {
		log.Reset()
		var header metadata.MD
		ctx := metadata.AppendToOutgoingContext(context.Background(), RequestIDHeader, "my-id-7")
		_, err := c.Recommend(ctx, &attunev1.RecommendRequest{User: call.user, Limit: call.limit}, grpc.Header(&header))
		if status.Code(err) != call.code || err != nil && !strings.Contains(err.Error(), call.says) {
			t.Errorf("%s: got %v, want %v with %q", call.user, err, call.code, call.says)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got the inside of the server: %v", call.user, err)
		}
		if got := header.Get(RequestIDHeader); len(got) != 1 || got[0] != "my-id-7" {
			t.Errorf("%s: got request id %v, want the caller's", call.user, got)
		}
		if said := log.String(); call.logged != "" && (!strings.Contains(said, call.logged) || !strings.Contains(said, "request_id=my-id-7")) {
			t.Errorf("%s: got log %q, want %q with the request's id", call.user, said, call.logged)
		}
	}
	for code, want := range map[string]float64{"OK": 1, "InvalidArgument": 1, "Internal": 2} {
		var m dto.Metric
		if err := calls.handled.WithLabelValues(attunev1.RecommendationService_Recommend_FullMethodName, code).Write(&m); err != nil {
			t.Fatal(err)
		}
		if got := m.GetCounter().GetValue(); got != want {
			t.Errorf("got %v calls counted as %s, want %v", got, code, want)
		}
	}
}

func TestMethodWithoutPolicyIsRefused(t *testing.T) {
	conn, _, _ := server(t)
	err := conn.Invoke(context.Background(), "/attune.v1.Undeclared/Do", &attunev1.GetItemRequest{Id: "x"}, &attunev1.GetItemRequest{})
	if status.Code(err) != codes.PermissionDenied {
		t.Fatalf("got %v, want PermissionDenied", err)
	}
}

func TestRequestIDsAreBounded(t *testing.T) {
	for id, want := range map[string]bool{
		"": false, "abc-1_2.X": true, "with blank": false, "line\nbreak": false, strings.Repeat("x", 64): true, strings.Repeat("x", 65): false,
	} {
		if got := Plain(id); got != want {
			t.Errorf("%q: got %v, want %v", id, got, want)
		}
	}
}
