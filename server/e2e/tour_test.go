package e2e

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The tour shows what it says it shows, and the calls that it prints work.
func TestTour(t *testing.T) {
	dir := stock(t)
	promote(t, dir, publish(t, dir, 1, items()))
	must(t, os.WriteFile(filepath.Join(dir, "demo.json"), []byte(`{"shop":"default","shopper":"shopper-04","market":"Germany"}`), 0o600))
	c := start(t, config(dir))
	var w bytes.Buffer
	must(t, c.Tour(context.Background(), &w, ""))
	said := w.String()
	for _, want := range []string{
		"Shopper shopper-04 from Germany", "purchase", "Recommended on the home page", "because you bought", "similar to", "grpcurl -plaintext", c.GRPC() + " list",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("got no %q in\n%s", want, said)
		}
	}
	calls := regexp.MustCompile(`curl -s 'http://[^/]+(/[^']*)'(?: -d '([^']*)')?`).FindAllStringSubmatch(said, -1)
	if len(calls) != 4 {
		t.Fatalf("got %d curl lines, want 4, in\n%s", len(calls), said)
	}
	for _, call := range calls {
		method := http.MethodGet
		if call[2] != "" {
			method = http.MethodPost
		}
		if code, out := c.rest(t, method, call[1], call[2]); code != http.StatusOK || len(out) == 0 {
			t.Errorf("%s: got %d %v", call[0], code, out)
		}
	}
}

func TestTourWithoutDemoSaysWhatToDo(t *testing.T) {
	dir := stock(t)
	c := start(t, config(dir))
	if err := c.Tour(context.Background(), &bytes.Buffer{}, ""); err == nil || !strings.Contains(err.Error(), "trainer demo --data") {
		t.Fatalf("got %v, want what to do", err)
	}
}

// A server that wants a key gets one from the tour, or the tour says how to make
// one; what it prints names the key's variable and not the key.
func TestTourWithKey(t *testing.T) {
	dir := stock(t)
	promote(t, dir, publish(t, dir, 1, items()))
	must(t, os.WriteFile(filepath.Join(dir, "demo.json"), []byte(`{"shopper":"shopper-04","market":"Germany"}`), 0o600))
	secret := keyFor(t, dir, "frontend")
	c := start(t, config(dir))
	err := c.Tour(context.Background(), &bytes.Buffer{}, "")
	if err == nil || !strings.Contains(err.Error(), "server keys create --data "+dir) {
		t.Errorf("without a key: got %v, want how to make one", err)
	}
	var w bytes.Buffer
	must(t, c.Tour(context.Background(), &w, secret))
	if said := w.String(); strings.Contains(said, secret) || strings.Count(said, `-H "authorization: Bearer $ATTUNE_TOUR_KEY"`) != 6 {
		t.Errorf("got %s, want the key's variable in six lines, and not the key", said)
	}
}
