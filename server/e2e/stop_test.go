package e2e

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features/store"
)

// A stop under traffic fails no request that was begun, and loses no record of
// an answer that was given.
func TestStopKeepsWhatWasAnswered(t *testing.T) {
	dir := stock(t)
	promote(t, dir, publish(t, dir, 1, items()))
	c := start(t, config(dir))
	began := time.Now().Add(-time.Minute)
	var mu sync.Mutex
	given := map[string][]string{}
	var answered atomic.Int64
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for {
				resp, err := c.Recommend(context.Background(), &attunev1.RecommendRequest{User: somebody(i), Limit: 3})
				if code := status.Code(err); code == codes.Unavailable || code == codes.Canceled {
					return // the door was closed before the request was begun
				}
				if err != nil {
					t.Errorf("got %v, want an answer", err)
					return
				}
				mu.Lock()
				given[resp.GetRecommendationId()] = idsOf(resp.GetItems())
				mu.Unlock()
				answered.Add(1)
			}
		})
	}
	eventually(t, "100 answers", func() bool { return answered.Load() >= 100 })
	c.stop()
	wg.Wait()
	st := openStore(t, dir)
	defer func() { must(t, st.Close()) }()
	written := map[string]bool{}
	must(t, st.ScanServed(context.Background(), shop, began, time.Now().Add(time.Minute), func(s *store.Served) error {
		written[s.Recommendation] = true
		got := make([]string, len(s.Items))
		for i := range s.Items {
			got[i] = s.Items[i].Item
		}
		if want, ok := given[s.Recommendation]; ok && !slices.Equal(got, want) {
			t.Errorf("answer %s: got record of %v, want %v", s.Recommendation, got, want)
		}
		return nil
	}))
	for id := range given {
		if !written[id] {
			t.Errorf("answer %s has no record", id)
		}
	}
}

// Browsers are let in from the origins that were named, and from no others.
func TestOrigins(t *testing.T) {
	dir := stock(t)
	cfg := config(dir)
	cfg.Origins = []string{"https://shop.example"}
	c := start(t, cfg)
	for origin, want := range map[string]string{"https://shop.example": "https://shop.example", "https://other.example": ""} {
		r, err := http.NewRequestWithContext(context.Background(), http.MethodOptions, "http://"+c.HTTP()+"/v1/shops/default/events", nil)
		must(t, err)
		r.Header.Set("Origin", origin)
		r.Header.Set("Access-Control-Request-Method", "POST")
		resp, err := http.DefaultClient.Do(r)
		must(t, err)
		must(t, resp.Body.Close())
		if got := resp.Header.Get("Access-Control-Allow-Origin"); got != want {
			t.Errorf("%s: got %q, want %q", origin, got, want)
		}
		if resp.Header.Get("X-Request-Id") == "" {
			t.Error("got no request id")
		}
	}
}

// The page of the API asks nothing of anyone else.
func TestDocsAreSelfContained(t *testing.T) {
	dir := stock(t)
	c := start(t, config(dir))
	resp, err := http.Get("http://" + c.HTTP() + "/docs")
	must(t, err)
	defer resp.Body.Close()
	var b strings.Builder
	_, err = io.Copy(&b, resp.Body)
	must(t, err)
	if resp.StatusCode != http.StatusOK || !strings.Contains(b.String(), "/openapi.json") {
		t.Fatalf("got %d and %d bytes", resp.StatusCode, b.Len())
	}
	for _, elsewhere := range []string{"https://", "http://", "//cdn"} {
		if strings.Contains(b.String(), elsewhere) {
			t.Errorf("the page names %s", elsewhere)
		}
	}
}
