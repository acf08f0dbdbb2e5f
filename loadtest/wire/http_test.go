package wire

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestHTTPRequestsAreAnsweredOnce(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		switch {
		case err != nil || r.URL.Path != "/base/ask" || r.Method == http.MethodPost && r.Header.Get("Content-Type") != "application/json":
			w.WriteHeader(http.StatusTeapot)
		case string(body) == "missing":
			w.WriteHeader(http.StatusNotFound)
		case string(body) == "hang up":
			panic(http.ErrAbortHandler)
		case string(body) == "last":
			w.Header().Set("Connection", "close")
		case string(body) == "slow":
			<-r.Context().Done()
		default:
			_, _ = io.WriteString(w, strings.Repeat("x", 100_000)) // in chunks
		}
	}))
	defer server.Close()
	h, err := DialHTTP(context.Background(), server.URL+"/base", 1, 4, 2*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(method, body string) int {
		var raw []byte
		if method == http.MethodPost {
			raw = []byte(body)
		}
		got := make(chan int, 2)
		h.Send(h.Request(method, "/ask", raw), func(status int) { got <- status })
		return <-got
	}
	for _, c := range []struct {
		method, body string
		want         int
	}{
		{http.MethodPost, "fine", 200}, {http.MethodGet, "", 200}, {http.MethodPost, "missing", 404}, {http.MethodPost, "hang up", 0},
		{http.MethodPost, "after one that was lost", 200}, {http.MethodPost, "last", 200}, {http.MethodPost, "after one that closed", 200},
		{http.MethodPost, "slow", 0}, {http.MethodPost, "after one that took too long", 200},
	} {
		if got := ask(c.method, c.body); got != c.want {
			t.Errorf("%s %q: got %d, want %d", c.method, c.body, got, c.want)
		}
	}
	h.Close()
	for _, base := range []string{"127.0.0.1:1", "https://127.0.0.1:1", "http://127.0.0.1:1"} {
		if h, err := DialHTTP(context.Background(), base, 1, 1, time.Second); err == nil {
			h.Close()
			t.Errorf("%s: got no error", base)
		}
	}
}
