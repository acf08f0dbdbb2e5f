package e2e

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"
)

// A server asked for more than it lets in answers, or says RESOURCE_EXHAUSTED
// and 429, and nothing else; its health is never turned away.
func TestSaturatedServer(t *testing.T) {
	dir := stock(t)
	promote(t, dir, publish(t, dir, 1, items()))
	cfg := config(dir)
	cfg.AnswerIn, cfg.Admit = time.Hour, 1
	c := start(t, cfg)
	var ok, shed atomic.Int64
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for range 40 {
				_, err := c.Recommend(context.Background(), &attunev1.RecommendRequest{User: somebody(i % 8), Limit: 3})
				switch status.Code(err) {
				case codes.OK:
					ok.Add(1)
				case codes.ResourceExhausted:
					shed.Add(1)
				default:
					t.Errorf("got %v, want an answer or RESOURCE_EXHAUSTED", err)
				}
			}
		})
		wg.Go(func() {
			for range 5 {
				switch code, _ := c.rest(t, http.MethodPost, "/v1/shops/default:recommend", `{"user": "`+somebody(i%8)+`"}`); code {
				case http.StatusOK, http.StatusTooManyRequests:
				default:
					t.Errorf("REST: got %d, want 200 or 429", code)
				}
			}
		})
	}
	for range 20 {
		if _, err := healthpb.NewHealthClient(c.conn).Check(context.Background(), &healthpb.HealthCheckRequest{}); err != nil {
			t.Errorf("health: got %v, want an answer", err)
		}
	}
	wg.Wait()
	if ok.Load() == 0 || shed.Load() == 0 {
		t.Errorf("got %d answers and %d turned away, want some of both", ok.Load(), shed.Load())
	}
	eventually(t, "no answer under way", func() bool {
		resp, err := http.Get("http://" + c.Admin() + "/metrics")
		must(t, err)
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		must(t, err)
		return strings.Contains(string(b), `attune_guard_running{class="answer"} 0`)
	})
}

// At a stop health says so while the doors are still open, calls that were let
// in are answered, and the server is gone within its grace.
func TestHealthGoesFirst(t *testing.T) {
	dir := stock(t)
	promote(t, dir, publish(t, dir, 1, items()))
	cfg := config(dir)
	cfg.Drain = 2 * time.Second
	c := start(t, cfg)
	watch, err := healthpb.NewHealthClient(c.conn).Watch(context.Background(), &healthpb.HealthCheckRequest{})
	must(t, err)
	first, err := watch.Recv()
	must(t, err)
	if first.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Fatalf("got %v before the stop, want SERVING", first.GetStatus())
	}
	var down atomic.Bool
	var after atomic.Int64 // answers to calls made after health said no
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() { // a client that leaves when it is told to: it must never see an error
			for !down.Load() {
				if _, err := c.Recommend(context.Background(), &attunev1.RecommendRequest{User: somebody(i), Limit: 3}); err != nil {
					t.Errorf("while serving: got %v, want an answer", err)
					return
				}
			}
			if _, err := c.Recommend(context.Background(), &attunev1.RecommendRequest{User: somebody(i), Limit: 3}); err == nil {
				after.Add(1)
			}
		})
	}
	c.end()
	said, err := watch.Recv()
	must(t, err)
	down.Store(true)
	if said.GetStatus() != healthpb.HealthCheckResponse_NOT_SERVING {
		t.Errorf("got %v at the stop, want NOT_SERVING", said.GetStatus())
	}
	wg.Wait()
	if _, err := watch.Recv(); err == nil { // those who watch are sent away, and hold nothing up
		t.Error("got more of health after NOT_SERVING, want the end")
	}
	if after.Load() == 0 {
		t.Error("got no answer after health said no, want the doors open for a while")
	}
	c.stop()
}
