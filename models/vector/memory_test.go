package vector_test

import (
	"encoding/binary"
	"math"
	"runtime"
	"slices"
	"testing"
)

// An index of some kilobytes takes no more memory than it should, whatever its
// header and its table claim, with checksums that hold.
func TestFilesWhoseLengthsLie(t *testing.T) {
	for name, b := range small(t) {
		for at := 8; at+8 <= min(len(b), headSize+lines(b)*lineSize); at += 4 {
			for _, claim := range []uint64{1 << 20, 1 << 31, math.MaxUint32, 1 << 62, math.MaxUint64} {
				bad := slices.Clone(b)
				binary.LittleEndian.PutUint64(bad[at:], claim)
				bad = vouch(bad)
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				_ = harmless(t, bad)
				runtime.ReadMemStats(&after)
				if n := after.TotalAlloc - before.TotalAlloc; n > 64<<20 {
					t.Errorf("%s, %d at byte %d: %d bytes are allocated for %d", name, claim, at, n, len(bad))
				}
			}
		}
	}
}
