package guard_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/server/auth"
	"github.com/attune-rec/attune/server/guard"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// desk answers when it is let: each call takes a token, or waits for one.
type desk struct {
	attunev1.UnimplementedRecommendationServiceServer
	attunev1.UnimplementedEventServiceServer
	tokens chan struct{}
}

func (d *desk) wait(ctx context.Context) error {
	select {
	case <-d.tokens:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (d *desk) Recommend(ctx context.Context, _ *attunev1.RecommendRequest) (*attunev1.RecommendResponse, error) {
	return &attunev1.RecommendResponse{}, d.wait(ctx)
}

func (d *desk) BatchRecommend(ctx context.Context, _ *attunev1.BatchRecommendRequest) (*attunev1.BatchRecommendResponse, error) {
	return &attunev1.BatchRecommendResponse{}, d.wait(ctx)
}

func (d *desk) CollectStream(s grpc.ClientStreamingServer[attunev1.CollectStreamRequest, attunev1.CollectBatchResponse]) error {
	for {
		if _, err := s.Recv(); err != nil {
			if errors.Is(err, io.EOF) {
				return s.SendAndClose(&attunev1.CollectBatchResponse{})
			}
			return err
		}
	}
}

type house struct {
	*guard.Guard
	desk *desk
	conn *grpc.ClientConn
	ask  attunev1.RecommendationServiceClient
}

// open serves a desk behind a guard that lets most answers in.
func open(t *testing.T, most int) *house {
	t.Helper()
	policies, err := auth.Methods()
	if err != nil {
		t.Fatal(err)
	}
	known, err := guard.Classes(policies)
	if err != nil {
		t.Fatal(err)
	}
	g, err := guard.New(guard.Options{Classes: known, Target: time.Hour, Least: most, Most: most, Transact: 200})
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{tokens: make(chan struct{}, 1<<16)}
	srv := grpc.NewServer(grpc.InTapHandle(g.Accept),
		grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			ticket, err := guard.Begin(ctx)
			if err != nil {
				return nil, err
			}
			resp, err := next(ctx, req)
			ticket.End(err)
			return resp, err
		}),
		grpc.StreamInterceptor(func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
			ticket, err := guard.Begin(ss.Context())
			if err != nil {
				return err
			}
			err = next(srv, ss)
			ticket.End(err)
			return err
		}))
	attunev1.RegisterRecommendationServiceServer(srv, d)
	attunev1.RegisterEventServiceServer(srv, d)
	l := bufconn.Listen(1 << 16)
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	conn, err := grpc.NewClient("passthrough:///desk", grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDisableRetry(),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
		srv.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	return &house{g, d, conn, attunev1.NewRecommendationServiceClient(conn)}
}

// garbage is a codec whose messages cannot be read.
type garbage struct{}

func (garbage) Name() string                { return "proto" }
func (garbage) Marshal(any) ([]byte, error) { return []byte{0xff}, nil }
func (garbage) Unmarshal([]byte, any) error { return nil }

// settled waits until nothing of any class is under way, and fails when
// something never ends.
func (h *house) settled(t *testing.T, after string) {
	t.Helper()
	h.becomes(t, after, map[guard.Class]int64{guard.Answer: 0, guard.Batch: 0, guard.Transact: 0})
}

func (h *house) becomes(t *testing.T, after string, want map[guard.Class]int64) {
	t.Helper()
	var class guard.Class
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		same := true
		for c, n := range want {
			if h.Running(c) != n {
				same, class = false, c
			}
		}
		if same {
			return
		}
	}
	t.Fatalf("after %s: got %d of class %s under way, want %d", after, h.Running(class), class, want[class])
}

func TestCountReturnsToZero(t *testing.T) {
	h := open(t, 64)
	ctx := context.Background()
	for range 100 {
		err := h.conn.Invoke(ctx, "/attune.v1.RecommendationService/Nothing", &attunev1.RecommendRequest{}, &attunev1.RecommendResponse{})
		if status.Code(err) != codes.Unimplemented {
			t.Fatalf("unknown method: got %v, want Unimplemented", err)
		}
	}
	// Known to the policies, but not registered here.
	for range 100 {
		_, err := attunev1.NewCatalogServiceClient(h.conn).GetItem(ctx, &attunev1.GetItemRequest{Id: "x"})
		if status.Code(err) != codes.Unimplemented {
			t.Fatalf("unregistered method: got %v, want Unimplemented", err)
		}
	}
	h.settled(t, "unknown methods")

	for range 100 { // no handler meets them
		err := h.conn.Invoke(ctx, attunev1.RecommendationService_Recommend_FullMethodName, &attunev1.RecommendRequest{}, &attunev1.RecommendResponse{}, grpc.ForceCodec(garbage{}))
		if code := status.Code(err); code != codes.Internal && code != codes.ResourceExhausted {
			t.Fatalf("a message that cannot be read: got %v, want Internal", err)
		}
	}
	h.settled(t, "messages that cannot be read")

	for i := range 300 { // deadlines that end before, while and after the stream is accepted
		ctx, cancel := context.WithTimeout(ctx, time.Duration(i)*10*time.Microsecond)
		_, err := h.ask.Recommend(ctx, &attunev1.RecommendRequest{})
		cancel()
		if err == nil {
			t.Fatal("got an answer, want none: no token was given")
		}
	}
	h.settled(t, "deadlines")

	for range 100 {
		ctx, cancel := context.WithCancel(ctx)
		go cancel()
		if _, err := h.ask.Recommend(ctx, &attunev1.RecommendRequest{}); err == nil {
			t.Fatal("got an answer, want none: no token was given")
		}
	}
	h.settled(t, "cancelled calls")

	for range 50 {
		ctx, cancel := context.WithCancel(ctx)
		s, err := attunev1.NewEventServiceClient(h.conn).CollectStream(ctx)
		if err == nil {
			_ = s.Send(&attunev1.CollectStreamRequest{})
		}
		cancel()
	}
	h.settled(t, "cancelled streams")
	for range 1000 { // a cancelled call that is still on its way may take one
		h.desk.tokens <- struct{}{}
	}
	// What was cancelled may still arrive in one burst before this call, which is
	// then turned away as it should be; a count that leaked would never let it in.
	for end := time.Now().Add(30 * time.Second); ; {
		_, err := h.ask.Recommend(ctx, &attunev1.RecommendRequest{})
		if err == nil {
			break
		}
		if status.Code(err) != codes.ResourceExhausted || time.Now().After(end) {
			t.Fatalf("afterwards: got %v, want an answer", err)
		}
	}
	h.settled(t, "calls that were still on their way")
	for range 10 {
		if _, err := h.ask.Recommend(ctx, &attunev1.RecommendRequest{}); err != nil {
			t.Fatalf("afterwards: got %v, want an answer", err)
		}
	}
}

// A full server says ResourceExhausted and when to come back, and nothing else.
func TestSaturated(t *testing.T) {
	const most, callers, calls = 4, 32, 20
	h := open(t, most)
	var mu sync.Mutex
	got := map[codes.Code]int{}
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range calls {
				_, err := h.ask.Recommend(context.Background(), &attunev1.RecommendRequest{})
				mu.Lock()
				got[status.Code(err)]++
				mu.Unlock()
				if err != nil && retryOf(err) <= 0 {
					t.Errorf("got %v without a RetryInfo", err)
				}
				if h.Running(guard.Answer) > most+callers {
					t.Errorf("got %d answers under way, want about %d at most", h.Running(guard.Answer), most)
				}
			}
		})
	}
	h.becomes(t, "the start", map[guard.Class]int64{guard.Answer: most})
	for range callers * calls {
		h.desk.tokens <- struct{}{}
	}
	wg.Wait()
	h.settled(t, "saturation")
	if got[codes.OK]+got[codes.ResourceExhausted] != callers*calls || got[codes.OK] < most || got[codes.ResourceExhausted] == 0 {
		t.Errorf("got %v, want OK and ResourceExhausted only, and both", got)
	}
	if shed := h.Shed(guard.Answer); shed != int64(got[codes.ResourceExhausted]) {
		t.Errorf("got %d counted as turned away, want %d", shed, got[codes.ResourceExhausted])
	}
}

func retryOf(err error) time.Duration {
	for _, d := range status.Convert(err).Details() {
		if r, ok := d.(*errdetails.RetryInfo); ok {
			return r.GetRetryDelay().AsDuration()
		}
	}
	return 0
}

// Batches leave half the room to those who wait.
func TestBatchesGiveWay(t *testing.T) {
	h := open(t, 8)
	ctx := context.Background()
	var wg sync.WaitGroup
	batch := func() error {
		_, err := h.ask.BatchRecommend(ctx, &attunev1.BatchRecommendRequest{})
		return err
	}
	for range 4 {
		wg.Go(func() {
			if err := batch(); err != nil {
				t.Errorf("batch within half the room: got %v", err)
			}
		})
	}
	h.becomes(t, "four batches", map[guard.Class]int64{guard.Batch: 4})
	if err := batch(); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a fifth batch: got %v, want ResourceExhausted", err)
	}
	for range 4 {
		wg.Go(func() {
			if _, err := h.ask.Recommend(ctx, &attunev1.RecommendRequest{}); err != nil {
				t.Errorf("answer beside batches: got %v", err)
			}
		})
	}
	h.becomes(t, "four answers", map[guard.Class]int64{guard.Batch: 4, guard.Answer: 4})
	if _, err := h.ask.Recommend(ctx, &attunev1.RecommendRequest{}); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a ninth: got %v, want ResourceExhausted", err)
	}
	for range 8 {
		h.desk.tokens <- struct{}{}
	}
	wg.Wait()
	h.settled(t, "all")
}

func TestClassesOfMethods(t *testing.T) {
	policies, err := auth.Methods()
	if err != nil {
		t.Fatal(err)
	}
	got, err := guard.Classes(policies)
	if err != nil {
		t.Fatal(err)
	}
	for method, want := range map[string]guard.Class{
		attunev1.RecommendationService_Recommend_FullMethodName:      guard.Answer,
		attunev1.RecommendationService_SimilarItems_FullMethodName:   guard.Answer,
		attunev1.RecommendationService_BatchRecommend_FullMethodName: guard.Batch,
		attunev1.CatalogService_BatchUpsertItems_FullMethodName:      guard.Batch,
		attunev1.EventService_Collect_FullMethodName:                 guard.Transact,
		"/grpc.health.v1.Health/Check":                               guard.None,
		"/attune.v1.RecommendationService/Nothing":                   guard.None,
	} {
		if got[method] != want {
			t.Errorf("%s: got %s, want %s", method, got[method], want)
		}
	}
}
