package e2e

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
)

//go:embed testdata/browser.html
var page string

func reader(t *testing.T, dir string) *store.Store {
	t.Helper()
	st, err := store.OpenReader(context.Background(), store.Options{Dir: dir, Logger: quiet()})
	must(t, err)
	t.Cleanup(func() { must(t, st.Close()) })
	return st
}

// line is what lies between a browser and the server, and can be bad.
type line struct {
	to *httputil.ReverseProxy

	mu    sync.Mutex
	calls int    // of events:batch
	next  string // letters for the calls to come: c cut off, u unavailable, l answer lost
}

func (l *line) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		l.to.ServeHTTP(w, r)
		return
	}
	l.mu.Lock()
	l.calls++
	how := byte(0)
	if l.next != "" {
		how, l.next = l.next[0], l.next[1:]
	}
	l.mu.Unlock()
	switch how {
	case 'c':
		panic(http.ErrAbortHandler)
	case 'u':
		w.WriteHeader(http.StatusServiceUnavailable)
	case 'l':
		l.to.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	default:
		l.to.ServeHTTP(w, r)
	}
}

// A real browser on a page of another origin sends nothing before consent,
// then what was seen and clicked, in batches; a bad line costs no event and
// doubles none; what was done last arrives though the page is left at once.
func TestBrowserCollects(t *testing.T) {
	chromium := os.Getenv("ATTUNE_CHROMIUM")
	if chromium == "" {
		t.Skip("ATTUNE_CHROMIUM is not set: it needs the path of a chromium, which .ci/chromium installs")
	}
	l := &line{}
	way := httptest.NewServer(l)
	defer way.Close()
	told := make(chan string, 16)
	calls := map[string]int{} // when a mark was told
	shopPages := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/mark":
			l.mu.Lock()
			calls[r.FormValue("at")], l.next = l.calls, r.FormValue("line")
			l.mu.Unlock()
		case "/tell":
			b, _ := io.ReadAll(io.LimitReader(r.Body, 4096))
			told <- string(b)
		case "/", "/left":
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			fmt.Fprint(w, strings.ReplaceAll(page, "{{server}}", way.URL))
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
	to, err := url.Parse("http://" + c.HTTP())
	must(t, err)
	l.to = httputil.NewSingleHostReverseProxy(to)

	browse(t, chromium, shopPages.URL)
	select {
	case got := <-told:
		if got != "left" {
			t.Fatalf("the page says: %s", got)
		}
	case <-time.After(2 * time.Minute):
		t.Fatal("the page was not left within two minutes")
	}
	if n := calls["before"]; n != 0 {
		t.Errorf("got %d calls before consent, want none", n)
	}
	if n := calls["seen"]; n < 1 || n > 3 {
		t.Errorf("got %d calls for what was seen and clicked at once, want it in 1 to 3 batches", n)
	}
	if n := calls["lost"] - calls["cut"]; n != 2 {
		t.Errorf("got %d calls for the event whose answer was lost, want 2", n)
	}
	// The beacon may still be on its way.
	var events []features.Event
	for range 600 {
		if events = scanAll(t, dir)[len(before):]; len(events) > 0 && has(events, "wish_add last") {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	count := map[string]int{}
	for _, e := range events {
		what := strings.TrimSpace(e.Type.String() + " " + e.Item + e.Text)
		count[what]++
		if e.Session != events[0].Session || e.Session.IsZero() {
			t.Errorf("%s: got session %s, want that of the others", what, e.Session)
		}
		if e.Type == features.Click && (e.Recommendation != "r1" || e.Position != 1 || e.Surface != "home" || e.Market != "DE") {
			t.Errorf("click: got %+v", e)
		}
		if e.Type == features.Dwell && (e.Value < 1 || e.Value > 120) {
			t.Errorf("dwell: got %v seconds", e.Value)
		}
	}
	want := []string{"impression a", "impression b", "click a", "view main", "search tea", "cart_add a", "cart_add b", "wish_add last", "dwell main", "impression far"}
	for _, w := range want {
		if count[w] != 1 {
			t.Errorf("%s: got %d, want 1", w, count[w])
		}
	}
	if len(count) != len(want) {
		t.Errorf("got %v, want no more than %v", count, want)
	}
}

func has(events []features.Event, what string) bool {
	for _, e := range events {
		if e.Type.String()+" "+e.Item == what {
			return true
		}
	}
	return false
}

func scanAll(t *testing.T, dir string) (all []features.Event) {
	t.Helper()
	st, err := store.OpenReader(context.Background(), store.Options{Dir: dir, Logger: quiet()})
	must(t, err)
	must(t, st.Scan(context.Background(), shop, 0, 0, func(e *features.Event) error { all = append(all, *e); return nil }))
	must(t, st.Close())
	return all
}

// browse opens a page in a browser of its own for the time of the test.
func browse(t *testing.T, chromium, page string) {
	t.Helper()
	args := []string{"--headless=new", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-extensions",
		"--disable-dev-shm-usage", "--user-data-dir=" + t.TempDir(), "--remote-debugging-port=0", page}
	if os.Geteuid() == 0 {
		args = append([]string{"--no-sandbox"}, args...)
	}
	cmd := exec.Command(chromium, args...)
	var out strings.Builder
	cmd.Stderr = &out
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("the browser said:\n%s", out.String())
		}
	})
}
