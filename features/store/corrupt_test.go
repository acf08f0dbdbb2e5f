package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/attune-rec/attune/features"
)

// A database whose bytes were damaged is told as such, with what to do, whether
// its beginning or its middle was.
func TestDamagedDatabase(t *testing.T) {
	ctx := context.Background()
	for name, at := range map[string]func(size int64) int64{
		"beginning": func(int64) int64 { return 0 },
		"schema":    func(int64) int64 { return 100 },
		"middle":    func(size int64) int64 { return size / 2 / 4096 * 4096 },
	} {
		t.Run(name, func(t *testing.T) {
			o := Options{Dir: t.TempDir(), SegmentRows: 40, SealAt: -1}
			s, _, _ := stocked(t, o)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(o.Dir, "attune.db")
			b := must(os.ReadFile(path))(t)
			from := at(int64(len(b)))
			to := int64(len(b))
			if name != "middle" {
				to = from + 200
			}
			for i := from; i < to; i++ {
				b[i] = 0xA5
			}
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := Open(ctx, o)
			if err == nil {
				err = s.Scan(ctx, shop, 1, 0, func(*features.Event) error { return nil })
				defer s.Close()
			}
			_, beside := OpenReader(ctx, o)
			if !errors.Is(beside, ErrCorrupt) {
				t.Errorf("for reading: got %v, want ErrCorrupt", beside)
			}
			if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "backup") {
				t.Errorf("got %v, want ErrCorrupt that says what to do", err)
			}
		})
	}
}
