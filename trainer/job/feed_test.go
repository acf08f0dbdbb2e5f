package job

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

// A feed is fetched under its own name; what is not there, not whole, or could be
// read along is refused with what to mend.
func TestFetchFeed(t *testing.T) {
	const table = "id,name\n1,mug\n"
	mux := http.NewServeMux()
	mux.HandleFunc("/goods/feed.csv", func(w http.ResponseWriter, _ *http.Request) {
		if _, err := w.Write([]byte(table)); err != nil {
			t.Error(err)
		}
	})
	mux.Handle("/moved.csv", http.RedirectHandler("/goods/feed.csv", http.StatusFound))
	mux.Handle("/away.csv", http.RedirectHandler("http://shop.example/feed.csv", http.StatusFound))
	mux.HandleFunc("/cut.csv", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		if _, err := w.Write([]byte(table)); err != nil {
			t.Error(err)
		}
	})
	shop := httptest.NewServer(mux)
	defer shop.Close()
	for name, want := range map[string]string{"/goods/feed.csv?key=1": "feed.csv", "/moved.csv": "moved.csv"} {
		file, err := fetchFeed(context.Background(), shop.URL+name, t.TempDir())
		if err != nil || !strings.HasSuffix(file, "/"+want) {
			t.Errorf("%s: got %q, %v, want the file %s", name, file, err, want)
			continue
		}
		if b, err := os.ReadFile(file); err != nil || string(b) != table {
			t.Errorf("%s: got %q, %v, want the table", name, b, err)
		}
	}
	for address, says := range map[string]string{
		shop.URL + "/gone.csv": "404", shop.URL + "/cut.csv": "EOF", shop.URL + "/away.csv": "https://", shop.URL: "name of a file",
		"http://shop.example/feed.csv": "https://",
	} {
		if _, err := fetchFeed(context.Background(), address, t.TempDir()); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: got %v, want a refusal that says %s", address, err, says)
		}
	}
}
