package ingest

import (
	"context"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A server that ends at once is told of at once, with what it said.
func TestServerThatEnds(t *testing.T) {
	program, err := os.Executable() // does not know the flags of a server
	if err != nil {
		t.Fatal(err)
	}
	_, err = serve(context.Background(), program, t.TempDir())
	if err == nil || !strings.Contains(err.Error(), "ended before it served") || !strings.Contains(err.Error(), "flag provided but not defined") {
		t.Errorf("got %v, want that it ended and what it said", err)
	}
}
