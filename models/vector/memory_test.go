package vector_test

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"github.com/attune-rec/attune/features/allocated"
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
				if n := allocated.Bytes(func() { _ = harmless(t, bad) }); n > 64<<20 {
					t.Errorf("%s, %d at byte %d: %d bytes are allocated for %d", name, claim, at, n, len(bad))
				}
			}
		}
	}
}
