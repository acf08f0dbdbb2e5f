package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/server/app"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// client is a running server and the ways to ask it.
type client struct {
	*app.Server
	attunev1.RecommendationServiceClient
	events   attunev1.EventServiceClient
	catalog  attunev1.CatalogServiceClient
	users    attunev1.UserServiceClient
	releases attunev1.ReleaseServiceClient
	conn     *grpc.ClientConn
	end      func() // tells it to stop, as a signal would
	stop     func() // and waits until everything is closed; may be called again
}

// config is that of a server on free ports of this machine.
func config(dir string) app.Config {
	return app.Config{
		Data: dir, GRPC: "127.0.0.1:0", HTTP: "127.0.0.1:0", Admin: "127.0.0.1:0", LogFormat: "text",
		Follow: 20 * time.Millisecond, Shoppers: 1000, StoreWait: time.Minute, Queue: 1 << 16, EventAge: 9600 * time.Hour, ClockAhead: 5 * time.Minute,
		MaxMessage: 1 << 20, Grace: 30 * time.Second,
	}
}

// start serves a data directory.
func start(t *testing.T, c app.Config) *client {
	t.Helper()
	return startLogged(t, c, quiet())
}

// startLogged does so and says what it does.
func startLogged(t *testing.T, c app.Config, log *slog.Logger) *client {
	t.Helper()
	must(t, c.Validate())
	s, err := app.Build(context.Background(), c, log, "test")
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- s.Run(ctx, func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-done:
		t.Fatalf("server stopped at once: %v", err)
	}
	conn, err := grpc.NewClient(s.GRPC(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(t, err)
	stopped := false
	cl := &client{
		Server: s, RecommendationServiceClient: attunev1.NewRecommendationServiceClient(conn), events: attunev1.NewEventServiceClient(conn),
		catalog: attunev1.NewCatalogServiceClient(conn), users: attunev1.NewUserServiceClient(conn), releases: attunev1.NewReleaseServiceClient(conn),
		conn: conn, end: cancel,
	}
	cl.stop = func() {
		if stopped {
			return
		}
		stopped = true
		must(t, conn.Close())
		cancel()
		must(t, <-done)
		http.DefaultClient.CloseIdleConnections()
	}
	t.Cleanup(cl.stop)
	return cl
}

// rest is a call by REST: its status and its JSON.
func (c *client) rest(t *testing.T, method, path, body string) (int, map[string]any) {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, "http://"+c.HTTP()+path, bytes.NewBufferString(body))
	must(t, err)
	resp, err := http.DefaultClient.Do(r)
	must(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(t, err)
	out := map[string]any{}
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatalf("%s %s: got %q, which is no JSON object: %v", method, path, b, err)
	}
	return resp.StatusCode, out
}

// ask recommends, and fails the test when it cannot.
func (c *client) ask(t *testing.T, r *attunev1.RecommendRequest) *attunev1.RecommendResponse {
	t.Helper()
	resp, err := c.Recommend(context.Background(), r)
	must(t, err)
	if resp.GetDegraded() {
		t.Fatalf("degraded: %v", resp.GetDegradations())
	}
	return resp
}

func (c *client) collect(t *testing.T, e *attunev1.Event) *attunev1.CollectResponse {
	t.Helper()
	resp, err := c.events.Collect(context.Background(), &attunev1.CollectRequest{Event: e})
	must(t, err)
	return resp
}
