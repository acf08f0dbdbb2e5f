package vector

import (
	"math"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
)

// scan is the working set of one search.
type scan struct {
	query  linalg.QuantisedQuery
	mask   []uint64 // allowed rows; nil when all are
	words  []uint64 // memory of mask
	scores []float32
	top    linalg.TopK
	best   []linalg.Scored
	rows   []features.Row
	packed []float32
	many   []linalg.TopK
	// Of arranged rows.
	plan       plan
	candidates []candidate
	picked     []int32
	inRun      []int32   // the runs of picked, where that is known
	span       []float32 // rows just read from a file
	floor      float32   // some k rows are as good
	gained     int       // rows kept by comparing the last runs
	bars       []float32
	passed     []uint64
	word       [1]uint64
}

var minusInf = float32(math.Inf(-1))

// allow fills the mask with the rows that w lets through and counts them.
func (s *scan) allow(n int, w models.Where) int {
	s.mask = nil
	if w.Allow == nil && w.Deny == nil {
		return n
	}
	words := (n + 63) / 64
	if cap(s.words) < words {
		s.words = make([]uint64, words)
	}
	s.mask = s.words[:words]
	if w.Allow != nil {
		clear(s.mask[copy(s.mask, w.Allow.Words()):])
	} else {
		for i := range s.mask {
			s.mask[i] = ^uint64(0)
		}
	}
	if tail := uint(n) & 63; tail != 0 {
		s.mask[words-1] &= 1<<tail - 1
	}
	deny := w.Deny.Words()
	for i := range min(words, len(deny)) {
		s.mask[i] &^= deny[i]
	}
	return count(s.mask)
}

func (s *scan) hits(dst []models.Hit) []models.Hit {
	s.best = s.top.Sorted(s.best[:0])
	for _, c := range s.best {
		dst = append(dst, models.Hit{Row: features.Row(c.Index), Score: c.Score})
	}
	return dst
}
