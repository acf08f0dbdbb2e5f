package e2e

import "testing"

// figure logs what a campaign showed; .ci/trust keeps it.
func figure(t *testing.T, format string, args ...any) {
	t.Helper()
	t.Logf("FIGURE "+format, args...)
}
