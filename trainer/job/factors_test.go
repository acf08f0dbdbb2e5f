package job

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFactorsOfFalseFooter reads a file that claims a footer larger than
// itself: no room is made for what it claims.
func TestFactorsOfFalseFooter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "part-0.parquet")
	if err := os.WriteFile(path, []byte("PAR1{}\xff\xff\xff\xffPAR1"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := readSparkFactors(path); err == nil || !strings.Contains(err.Error(), "claims a footer of 4294967295 bytes") {
		t.Errorf("got %v, want what the file claims", err)
	}
}
