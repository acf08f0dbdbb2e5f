package gateway

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/attune-rec/attune/server/guard"
)

// pass sends text as a body and returns what a handler could read of it.
func pass(t *testing.T, m *guard.Memory, text string) (read string, err error) {
	t.Helper()
	h := bounded(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var b []byte
		b, err = io.ReadAll(r.Body)
		read = string(b)
	}), Options{Memory: m, MaxBody: 4 << 20})
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/", strings.NewReader(text)))
	return read, err
}

func TestBody(t *testing.T) {
	m, err := guard.NewMemory(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	quoted := `{"query":"` + strings.Repeat(`,{[\"`, 300_000) + `"}`
	many := `{"events":[` + strings.Repeat("{},", mostParts/2) + `{}]}`
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"small":                {text: `{"query":"tea"}`},
		"text that is no list": {text: quoted},
		"too many parts":       {text: many, want: errParts},
		"too long":             {text: strings.Repeat(" ", 5<<20), want: &http.MaxBytesError{}},
	} {
		t.Run(name, func(t *testing.T) {
			read, err := pass(t, m, c.text)
			var long *http.MaxBytesError
			switch {
			case c.want == nil:
				if err != nil || read != c.text {
					t.Errorf("got %d of %d bytes, %v", len(read), len(c.text), err)
				}
			case errors.As(c.want, &long):
				if !errors.As(err, &long) {
					t.Errorf("got %v, expected one that is too long", err)
				}
			case !errors.Is(err, c.want):
				t.Errorf("got %v, expected %v", err, c.want)
			}
		})
	}
}

// A large body waits for others, a small one does not.
func TestLargeBodiesTakeTurns(t *testing.T) {
	m, err := guard.NewMemory(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	end, err := m.Body(t.Context(), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pass(t, m, `{}`); err != nil {
		t.Errorf("a small body waits: %v", err)
	}
	done := make(chan error)
	go func() {
		_, err := pass(t, m, strings.Repeat(" ", 1<<20))
		done <- err
	}()
	select {
	case err := <-done:
		t.Errorf("a large body did not wait: %v", err)
	default:
	}
	end()
	if err := <-done; err != nil {
		t.Errorf("got %v once there was room", err)
	}
}
