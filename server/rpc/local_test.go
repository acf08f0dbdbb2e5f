package rpc

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/server/guard"
)

// What is called in the process is answered, refused and logged as what comes
// over a connection.
func TestLocalCallsAreCallsLikeOthers(t *testing.T) {
	conn, local, log, _ := both(t)
	for name, r := range map[string]*attunev1.RecommendRequest{
		"answered":   {User: "fine", Item: "x", Limit: 5},
		"invalid":    {User: "fine", Limit: 500},
		"a panic":    {User: "panic", Limit: 5},
		"an error":   {User: "break", Limit: 5},
		"too large":  {User: "fine", Query: strings.Repeat("x", 2<<10)},
		"no request": {},
	} {
		ask := func(invoke func(context.Context, string, any, any) error) (*attunev1.RecommendResponse, *status.Status, bool) {
			log.Reset()
			out := &attunev1.RecommendResponse{}
			ctx := metadata.AppendToOutgoingContext(context.Background(), RequestIDHeader, "my-id-7")
			err := invoke(ctx, attunev1.RecommendationService_Recommend_FullMethodName, r, out)
			return out, status.Convert(err), strings.Contains(log.String(), "request_id=my-id-7")
		}
		want, why, said := ask(func(ctx context.Context, method string, in, out any) error { return conn.Invoke(ctx, method, in, out) })
		got, because, told := ask(func(ctx context.Context, method string, in, out any) error { return local.Invoke(ctx, method, in, out) })
		if !proto.Equal(got, want) || because.Code() != why.Code() || said != told {
			t.Errorf("%s: got %v, %v, logged %v, want %v, %v, logged %v", name, got, because, told, want, why, said)
		}
		if name != "too large" && !proto.Equal(because.Proto(), why.Proto()) {
			t.Errorf("%s: got %v, want %v", name, because.Proto(), why.Proto())
		}
	}
	out := &attunev1.RecommendResponse{}
	err := local.Invoke(context.Background(), attunev1.RecommendationService_Recommend_FullMethodName, &attunev1.RecommendRequest{User: "\xff"}, out)
	if status.Code(err) != codes.InvalidArgument {
		t.Errorf("text that is none: got %v, want InvalidArgument", err)
	}
	if err := local.Invoke(context.Background(), "/attune.v1.RecommendationService/Nothing", &attunev1.RecommendRequest{}, out); status.Code(err) != codes.Unimplemented {
		t.Errorf("a method that is not there: got %v, want Unimplemented", err)
	}
}

func TestLocalCallsAreCounted(t *testing.T) {
	_, local, _, _ := both(t)
	const method = attunev1.RecommendationService_Recommend_FullMethodName
	g, err := guard.New(guard.Options{Classes: map[string]guard.Class{method: guard.Answer}, Target: time.Hour, Least: 4, Most: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = g.Close() }()
	local.chain.o.Guard = g
	for range 20 {
		for _, r := range []*attunev1.RecommendRequest{{User: "fine"}, {User: "\xff"}, {User: "panic"}} {
			_ = local.Invoke(context.Background(), method, r, &attunev1.RecommendResponse{})
		}
	}
	if running, shed := g.Running(guard.Answer), g.Shed(guard.Answer); running != 0 || shed != 0 {
		t.Errorf("got %d under way and %d turned away, want none of one after the other", running, shed)
	}
}

// A call within the process has the span that one over a connection has.
func TestLocalCallsAreTraced(t *testing.T) {
	_, local, _, _ := both(t)
	seen := tracetest.NewSpanRecorder()
	local.spans = Options{Traces: sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(seen))}.spans()
	const method = attunev1.RecommendationService_Recommend_FullMethodName
	for _, r := range []*attunev1.RecommendRequest{{User: "fine"}, {User: "panic"}} {
		_ = local.Invoke(context.Background(), method, r, &attunev1.RecommendResponse{})
	}
	var got []string
	for _, s := range seen.Ended() {
		got = append(got, s.Name()+" "+s.SpanKind().String()+" "+s.Status().Code.String())
	}
	if want := []string{method[1:] + " server Unset", method[1:] + " server Error"}; !slices.Equal(got, want) {
		t.Errorf("got spans %q, want %q", got, want)
	}
}

// What the chain takes of memory, each call takes. The bound is what it needs, 39
// pieces with the request and a small answer, and a little room.
func TestACallTakesLittleMemory(t *testing.T) {
	if underRace {
		t.Skip("the race detector takes memory of its own")
	}
	_, local, _, _ := both(t)
	r, out := &attunev1.RecommendRequest{User: "fine", Item: "x", Limit: 5}, &attunev1.RecommendResponse{}
	ask := func() {
		if err := local.Invoke(context.Background(), attunev1.RecommendationService_Recommend_FullMethodName, r, out); err != nil {
			t.Fatal(err)
		}
	}
	ask()
	if got := testing.AllocsPerRun(500, ask); got > 44 {
		t.Errorf("got %v allocations a call, want 44 at most", got)
	}
}
