package vector

import (
	"cmp"
	"context"
	"io"

	"github.com/attune-rec/attune/models"
)

// Saved is an index that can be written to a file for Open.
type Saved interface {
	models.Index
	io.WriterTo
	Dim() int
}

// Options are how Build chooses and builds. The zero value suits.
type Options struct {
	HNSWOptions
	// ExactUpTo is how many rows are scanned whatever it costs; 0 means 50,000.
	// Below it a scan takes no longer than a walk, or a quarter of a
	// millisecond at most, and misses nothing.
	ExactUpTo int
}

// scannedRows is how many rows are scanned in the time in which a walk advances
// its width by one. BenchmarkChoice measures it anew.
const scannedRows = 200

// Build indexes vecs, row-major with dim numbers a row, by the way that is
// faster. Up to ExactUpTo rows that is Exact. Beyond, a graph is built and the
// width measured at which it finds what Recall asks for; it is kept if a walk
// of that width costs less than a scan, and Exact taken otherwise: rows without
// neighbourhoods give a graph nothing to go by. vecs is kept.
func Build(ctx context.Context, vecs []float32, dim int, o Options) (Saved, error) {
	if dim > 0 && len(vecs)/dim > cmp.Or(o.ExactUpTo, 50_000) {
		h, err := BuildHNSW(ctx, vecs, dim, o.HNSWOptions)
		if err != nil {
			return nil, err
		}
		if o.Width != 0 || h.worthwhile() {
			return h, nil
		}
	}
	return NewExact(vecs, dim, max(o.Workers, 1))
}

func (h *HNSW) worthwhile() bool { return h.width < widest && h.width*scannedRows < h.n }

// Open searches the index in b, the bytes of a file that WriteTo wrote, where
// they lie: b is kept, must not change, and may be memory-mapped. It checks
// sizes, references and checksums, all but those of the numbers and of which row
// is where, which it does not touch; Verify does. It reports ErrFile.
func Open(b []byte) (Saved, error) {
	o, err := parse(b)
	if err != nil {
		return nil, err
	}
	switch o.kind {
	case exactKind:
		return saved(openExact(o))
	case hnswKind:
		return saved(openHNSW(o))
	}
	return nil, badFile("has kind %d: expected %d or %d; build it again", o.kind, exactKind, hnswKind)
}

// Verify reads all of b and compares it with its checksums. It reports ErrFile.
func Verify(b []byte) error {
	if _, err := Open(b); err != nil {
		return err
	}
	o, err := parse(b)
	if err != nil {
		return err
	}
	return o.check(vecsSection, placeOfSection)
}

func saved[T Saved](x T, err error) (Saved, error) {
	if err != nil {
		return nil, err
	}
	return x, nil
}
