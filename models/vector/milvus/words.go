package milvus

import (
	"context"
	"fmt"
	"math/bits"
	"sync"

	"github.com/milvus-io/milvus-sdk-go/v2/entity"

	sdk "github.com/milvus-io/milvus-sdk-go/v2/client"
)

// mostWords is how many expressions are remembered, at an eighth of a byte a row each.
const mostWords = 64

// words are the rows that expressions of attributes let through, asked for once
// each: a collection does not change. It is safe for concurrent use.
type words struct {
	mu sync.Mutex
	of map[string]*worded
}

// worded is what an expression lets through, once done is closed.
type worded struct {
	done chan struct{}
	mask []uint64
	err  error
}

// rowsOf is the rows that expr lets through. It is found out beside the search, whose
// time may end before; the next search goes on from there.
func (x *Index) rowsOf(ctx context.Context, expr string) ([]uint64, error) {
	x.words.mu.Lock()
	w := x.words.of[expr]
	if w == nil {
		w = &worded{done: make(chan struct{})}
		if x.words.of == nil || len(x.words.of) >= mostWords {
			x.words.of = map[string]*worded{}
		}
		x.words.of[expr] = w
		go func() {
			defer close(w.done)
			if w.mask, w.err = x.translate(context.WithoutCancel(ctx), expr); w.err != nil {
				x.words.mu.Lock()
				defer x.words.mu.Unlock()
				if x.words.of[expr] == w {
					delete(x.words.of, expr)
				}
			}
		}()
	}
	x.words.mu.Unlock()
	select {
	case <-w.done:
		return w.mask, w.err
	case <-ctx.Done():
		return nil, fmt.Errorf("search %s: %w: rows of %s: %w", x.collection, ErrMilvus, expr, ctx.Err())
	}
}

// translate asks Milvus for the rows, a stretch of them at a time. It takes
// Config.Admin at most.
func (x *Index) translate(ctx context.Context, expr string) ([]uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, x.client.c.Admin)
	defer cancel()
	mask := make([]uint64, (x.n+63)/64)
	for lo := 0; lo < x.n; lo += mostHits {
		hi := min(lo+mostHits, x.n)
		part := and(expr, fmt.Sprintf("%s >= %d and %s < %d", rowField, lo, rowField, hi))
		columns, err := x.client.sdk.Query(ctx, x.collection, nil, part, []string{rowField}, sdk.WithLimit(mostHits),
			sdk.WithSearchQueryConsistencyLevel(levels[x.client.c.Consistency]))
		if err != nil {
			return nil, fmt.Errorf("rows of %s in %s: %w: %w", expr, x.collection, ErrMilvus, err)
		}
		rows, ok := columns.GetColumn(rowField).(*entity.ColumnInt64)
		if !ok {
			return nil, fmt.Errorf("rows of %s in %s: %w: an answer without rows", expr, x.collection, ErrMilvus)
		}
		for _, row := range rows.Data() {
			if row < int64(lo) || row >= int64(hi) {
				return nil, fmt.Errorf("rows of %s in %s: %w: row %d, asked for %d to %d", expr, x.collection, ErrMilvus, row, lo, hi-1)
			}
			mask[row>>6] |= 1 << (row & 63)
		}
	}
	return mask, nil
}

func count(mask []uint64) (n int) {
	for _, w := range mask {
		n += bits.OnesCount64(w)
	}
	return n
}
