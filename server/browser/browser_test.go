package browser

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// The script stays small, and a browser that has it is not sent it again.
func TestHandler(t *testing.T) {
	if n := len(script); n > 8000 {
		t.Errorf("the script has %d bytes: want at most 8000", n)
	}
	get := func(tag string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "/attune.js", nil)
		r.Header.Set("If-None-Match", tag)
		Handler().ServeHTTP(w, r)
		return w
	}
	first := get("")
	if first.Code != http.StatusOK || first.Body.String() != string(script) || !strings.HasPrefix(first.Header().Get("Content-Type"), "text/javascript") {
		t.Errorf("got status %d, %d bytes of %s, want the script", first.Code, first.Body.Len(), first.Header().Get("Content-Type"))
	}
	if again := get(first.Header().Get("ETag")); again.Code != http.StatusNotModified || again.Body.Len() != 0 {
		t.Errorf("asked again: got status %d with %d bytes, want 304 with none", again.Code, again.Body.Len())
	}
}
