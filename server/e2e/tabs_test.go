package e2e

import (
	_ "embed"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
)

//go:embed testdata/tabs.html
var tabsPage string

// Two tabs of one shop each keep what they could not send: neither writes over
// the other's, and the next page sends what a tab left behind, once.
func TestBrowserTabs(t *testing.T) {
	chromium := os.Getenv("ATTUNE_CHROMIUM")
	if chromium == "" {
		t.Skip("ATTUNE_CHROMIUM is not set: it needs the path of a chromium, which .ci/chromium installs")
	}
	var mu sync.Mutex
	marks := map[string]bool{}
	is := func(what string) bool {
		mu.Lock()
		defer mu.Unlock()
		return marks[what]
	}
	var to *httputil.ReverseProxy
	way := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && !is("up") {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		to.ServeHTTP(w, r)
	}))
	defer way.Close()
	told := make(chan string, 16)
	shopPages := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/mark":
			mu.Lock()
			marks[r.FormValue("at")] = true
			mu.Unlock()
		case "/marked":
			if !is(r.FormValue("at")) {
				http.NotFound(w, r)
			}
		case "/tell":
			b, _ := io.ReadAll(io.LimitReader(r.Body, 4096))
			told <- string(b)
		case "/": // a browser without a window opens one page: two frames share what two tabs do
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			fmt.Fprint(w, `<!doctype html><iframe src="/first"></iframe><iframe src="/second"></iframe>`)
		case "/first", "/second", "/gone", "/third":
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			fmt.Fprint(w, strings.ReplaceAll(tabsPage, "{{server}}", way.URL))
		default:
			http.NotFound(w, r)
		}
	}))
	defer shopPages.Close()
	dir := stock(t)
	before := scanAll(t, dir)
	o := config(dir)
	o.Origins = []string{shopPages.URL}
	c := start(t, o)
	at, err := url.Parse("http://" + c.HTTP())
	must(t, err)
	to = httputil.NewSingleHostReverseProxy(at)
	browse(t, chromium, shopPages.URL)
	select {
	case got := <-told:
		if got != "done" {
			t.Fatalf("a page says: %s", got)
		}
	case <-time.After(3 * time.Minute):
		t.Fatalf("the tabs did not end within three minutes; marks: %v", marks)
	}
	count := map[string]int{}
	for _, e := range scanAll(t, dir)[len(before):] {
		if e.Type == features.WishAdd {
			count[e.Item]++
		}
	}
	if count["one"] != 1 || count["two"] != 1 || len(count) != 2 {
		t.Errorf("got %v, want what either tab kept, once", count)
	}
}
