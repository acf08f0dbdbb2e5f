package job

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/attune-rec/attune/features/store"
)

// The last line says what to do, whatever a library adds to its error.
func TestExplain(t *testing.T) {
	rollback := errors.New("cannot rollback - no transaction is active")
	for _, c := range []struct {
		err  error
		last string
	}{
		{fmt.Errorf("import: %w", errors.Join(store.ErrFull, rollback)), "make room"},
		{errors.Join(fmt.Errorf("publish: %w", syscall.ENOSPC), rollback), "make room"},
		{errors.Join(syscall.EROFS, rollback), "cannot be written to"},
	} {
		got := Explain(c.err)
		lines := strings.Split(got.Error(), "\n")
		if len(lines) != 2 || !strings.Contains(lines[1], c.last) || !errors.Is(got, c.err) {
			t.Errorf("got %q, want the cause and then %q", got, c.last)
		}
	}
	if got := Explain(errors.New("unknown model")); got.Error() != "unknown model" {
		t.Errorf("got %q: an error that says enough was changed", got)
	}
}
