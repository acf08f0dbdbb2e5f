package store

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSegmentOfFalseFooter opens files that claim a footer larger than
// themselves, or that are none of ours: no room is made for what they claim.
func TestSegmentOfFalseFooter(t *testing.T) {
	for _, c := range []struct{ file, says string }{
		{"PAR1{}\xff\xff\xff\xffPAR1", "claims a footer of 4294967295 bytes"},
		{"PAR1{}\x02\x00\x00\x00ZIP1", "does not end with PAR1"},
		{"PAR1", "too few"},
	} {
		path := filepath.Join(t.TempDir(), "x.parquet")
		if err := os.WriteFile(path, []byte(c.file), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := openSegment(shop, path)
		if err == nil {
			s.close()
		}
		if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q: got %v, want ErrCorrupt with %q", c.file, err, c.says)
		}
	}
}
