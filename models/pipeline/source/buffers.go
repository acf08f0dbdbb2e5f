package source

import (
	"errors"
	"slices"
	"sync"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
	"github.com/attune-rec/attune/models/pipeline"
)

// buffers is the memory of one call of a source.
type buffers struct {
	hits  []models.Hit
	near  []models.Neighbour
	rows  []features.Row
	vec   []float32
	sums  []float32 // by row, zero in between
	seen  []int32   // rows whose sum is above 0
	top   linalg.TopK
	best  []linalg.Scored
	score []float32
}

// pool hands out buffers; the zero value is ready.
type pool struct{ p sync.Pool }

func (p *pool) get() *buffers {
	if b, ok := p.p.Get().(*buffers); ok {
		return b
	}
	return new(buffers)
}

func (p *pool) put(b *buffers) {
	for _, row := range b.seen {
		b.sums[row] = 0
	}
	b.seen = b.seen[:0]
	p.p.Put(b)
}

// reach makes the sums long enough for n rows.
func (b *buffers) reach(n int) {
	if len(b.sums) < n {
		b.sums = make([]float32, n+n/16)
		b.seen = b.seen[:0]
	}
}

// add puts v, above 0, on row's sum.
func (b *buffers) add(row features.Row, v float32) {
	if b.sums[row] == 0 {
		b.seen = append(b.seen, int32(row))
	}
	b.sums[row] += v
}

// give appends the n rows with the largest sums.
func (b *buffers) give(n int, dst []pipeline.Candidate) []pipeline.Candidate {
	b.score = b.score[:0]
	for _, row := range b.seen {
		b.score = append(b.score, b.sums[row])
	}
	b.top.Reset(n)
	b.top.PushGather(b.seen, b.score)
	b.best = b.top.Sorted(b.best[:0])
	for _, c := range b.best {
		dst = append(dst, pipeline.Candidate{Row: features.Row(c.Index), Score: c.Score})
	}
	return dst
}

// newestItems appends the n newest distinct items of the history that the
// shopper showed interest in, newest first.
func newestItems(h []features.Interaction, n int, dst []features.Row) []features.Row {
	for i := len(h) - 1; i >= 0 && len(dst) < n; i-- {
		if h[i].Type.Interest() && !slices.Contains(dst, h[i].Row) {
			dst = append(dst, h[i].Row)
		}
	}
	return dst
}

// degraded reports an error that comes beside good hits.
func degraded(err error) bool {
	_, ok := errors.AsType[*models.Degraded](err)
	return ok
}

// remote reports whether an index is waited for aside.
func remote(x models.Index) bool {
	r, ok := x.(pipeline.Remote)
	return ok && r.Remote()
}

// named is the name of a source, to embed.
type named string

func (n named) Name() string { return string(n) }
