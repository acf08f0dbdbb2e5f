package wire

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stand answers a recommendation with what the user's name asks for.
type stand struct {
	attunev1.UnimplementedRecommendationServiceServer
}

func (*stand) Recommend(ctx context.Context, r *attunev1.RecommendRequest) (*attunev1.RecommendResponse, error) {
	switch r.GetUser() {
	case "refused":
		return nil, status.Error(codes.ResourceExhausted, "too much")
	case "slow":
		<-ctx.Done()
		return nil, ctx.Err()
	case "large":
		return &attunev1.RecommendResponse{RecommendationId: strings.Repeat("x", 1<<20)}, nil
	}
	return &attunev1.RecommendResponse{RecommendationId: r.GetUser()}, nil
}

func serve(t *testing.T, address string) (*grpc.Server, string) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	attunev1.RegisterRecommendationServiceServer(s, &stand{})
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	t.Cleanup(func() { s.Stop(); <-done })
	return s, l.Addr().String()
}

func dial(t *testing.T, target string, timeout time.Duration) *Client {
	t.Helper()
	c, err := Dial(context.Background(), target, 3, timeout)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

type told struct {
	code codes.Code
	id   string
}

func ask(t *testing.T, c *Client, user string, keep bool) <-chan told {
	t.Helper()
	raw, err := proto.Marshal(&attunev1.RecommendRequest{User: user})
	if err != nil {
		t.Fatal(err)
	}
	out := make(chan told, 2)
	c.Call(attunev1.RecommendationService_Recommend_FullMethodName, raw, keep, func(code codes.Code, message []byte) {
		var r attunev1.RecommendResponse
		if err := proto.Unmarshal(message, &r); err != nil {
			code = codes.DataLoss
		}
		out <- told{code, r.GetRecommendationId()}
	})
	return out
}

func TestCallsAreAnsweredOnceAndWhole(t *testing.T) {
	_, target := serve(t, "127.0.0.1:0")
	c := dial(t, target, 10*time.Second)
	large := strings.Repeat("x", 1<<20)
	for _, want := range []struct {
		user string
		keep bool
		told told
	}{
		{"a", true, told{codes.OK, "a"}}, {"b", false, told{codes.OK, ""}}, {"refused", true, told{codes.ResourceExhausted, ""}},
		{"large", true, told{codes.OK, large}},
	} {
		if got := <-ask(t, c, want.user, want.keep); got != want.told {
			t.Errorf("%s, kept %v: got %v and %d bytes, want %v and %d", want.user, want.keep, got.code, len(got.id), want.told.code, len(want.told.id))
		}
	}
	got := make(chan codes.Code, 1)
	c.Call("/attune.v1.RecommendationService/Nothing", nil, false, func(code codes.Code, _ []byte) { got <- code })
	if code := <-got; code != codes.Unimplemented {
		t.Errorf("a method that is not there: got %v", code)
	}
	// More bytes than the windows hold, so that they must be opened again.
	for range 40 {
		if got := <-ask(t, c, "large", false); got.code != codes.OK {
			t.Fatalf("got %v", got.code)
		}
	}
}

func TestManyAtOnceKeepTheirAnswers(t *testing.T) {
	_, target := serve(t, "127.0.0.1:0")
	c := dial(t, target, 10*time.Second)
	users := []string{"one", "two", "three", "refused"}
	var wg sync.WaitGroup
	for i := range 200 {
		user := users[i%len(users)]
		got := ask(t, c, user, true)
		wg.Go(func() {
			want := told{codes.OK, user}
			if user == "refused" {
				want = told{codes.ResourceExhausted, ""}
			}
			if got := <-got; got != want {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
	wg.Wait()
}

func TestWhatTakesTooLongIsCancelled(t *testing.T) {
	_, target := serve(t, "127.0.0.1:0")
	c := dial(t, target, 50*time.Millisecond)
	slow := ask(t, c, "slow", false)
	if got := <-slow; got.code != codes.DeadlineExceeded {
		t.Fatalf("got %v", got.code)
	}
	if got := <-ask(t, c, "quick", true); got.code != codes.OK && got.code != codes.DeadlineExceeded {
		t.Fatalf("after one that was cancelled: got %v", got.code)
	}
}

func TestALostServerIsFoundAgain(t *testing.T) {
	s, target := serve(t, "127.0.0.1:0")
	c := dial(t, target, 10*time.Second)
	if got := <-ask(t, c, "a", true); got.code != codes.OK {
		t.Fatalf("got %v", got.code)
	}
	slow := ask(t, c, "slow", false)
	s.Stop()
	if got := <-slow; got.code == codes.OK {
		t.Fatalf("a call of a server that went: got %v", got.code)
	}
	for end := time.Now().Add(30 * time.Second); len(c.conns()) > 0; time.Sleep(time.Millisecond) { // until it has met the loss of each
		if time.Now().After(end) {
			t.Fatal("connections outlive their server")
		}
	}
	if got := <-ask(t, c, "b", true); got.code != codes.Unavailable {
		t.Fatalf("no server: got %v", got.code)
	}
	serve(t, target)
	for range 2 * len(c.lines) {
		if got := <-ask(t, c, "c", true); got != (told{codes.OK, "c"}) {
			t.Fatalf("a server that came back: got %v", got)
		}
	}
}

func TestAServerThatLeavesAnswersWhatItHas(t *testing.T) {
	s, target := serve(t, "127.0.0.1:0")
	c := dial(t, target, 10*time.Second)
	var answers []<-chan told
	for range 30 {
		answers = append(answers, ask(t, c, "a", true))
	}
	for _, a := range answers[:3] { // it has met every connection
		<-a
	}
	s.GracefulStop()
	for _, a := range answers[3:] {
		if got := <-a; got.code != codes.OK && got.code != codes.Unavailable {
			t.Fatalf("got %v", got)
		}
	}
}

func TestNoServer(t *testing.T) {
	if c, err := Dial(context.Background(), "127.0.0.1:1", 1, time.Second); err == nil {
		c.Close()
		t.Fatal("got no error")
	}
	if _, err := Dial(context.Background(), "127.0.0.1:1", 1, 0); err == nil {
		t.Fatal("no timeout: got no error")
	}
}
