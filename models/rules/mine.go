package rules

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
)

// Options bound a search.
type Options struct {
	// MinSupport is the least share of baskets that a set must be found in.
	MinSupport Ratio
	// MinCount is the least number of baskets; the stricter of both holds. When
	// neither is set it is 1.
	MinCount int
	// MaxLength is the largest number of items in a set; 0 means no limit.
	MaxLength int
	// MaxItemsets bounds memory: a search that finds more ends with
	// *TooManyError. 0 means DefaultMaxItemsets.
	MaxItemsets int
	// Workers is the number of goroutines; 0 means one for each processor. The
	// result does not depend on it.
	Workers int
}

// DefaultMaxItemsets holds a search to about half a gigabyte.
const DefaultMaxItemsets = 10_000_000

// ErrTooMany marks a search that found more than it was allowed to keep.
var ErrTooMany = errors.New("too many itemsets")

// TooManyError says that a search passed its limit, and which support does not.
type TooManyError struct {
	Limit    int // the limit that was passed
	MinCount int // the count that was searched at
	TryCount int // the least count at which no more than Limit sets are found
	Baskets  int
}

func (e *TooManyError) Error() string {
	return fmt.Sprintf("more than %d itemsets occur in %d or more of %d baskets: try a minimum support of %.6g (%d baskets) or a higher limit",
		e.Limit, e.MinCount, e.Baskets, float64(e.TryCount)/float64(max(e.Baskets, 1)), e.TryCount)
}

// Unwrap makes errors.Is(err, ErrTooMany) true.
func (e *TooManyError) Unwrap() error { return ErrTooMany }

// Mine returns every set of one or more items that occurs in enough baskets. The
// order of the sets is fixed by the baskets and options, whatever the number of
// workers. It returns *TooManyError when the limit is passed, and ctx.Err() when
// ctx ends first.
func Mine(ctx context.Context, b *Baskets, o Options) (*Itemsets, error) {
	least, err := o.threshold(b)
	if err != nil {
		return nil, err
	}
	limit := o.MaxItemsets
	if limit <= 0 {
		limit = DefaultMaxItemsets
	}
	s := &search{options: o, tree: plant(b, least, o.workers()), limit: int64(limit)}
	s.min.Store(least)
	out, err := s.run(ctx)
	if errors.Is(err, ErrTooMany) {
		s.tree = nil
		try, err := kthCount(ctx, b, limit+1, least, o)
		if err != nil {
			return nil, err
		}
		return nil, &TooManyError{Limit: limit, MinCount: int(least), TryCount: try + 1, Baskets: b.Len()}
	}
	if err != nil {
		return nil, err
	}
	out.baskets = b.Len()
	return out, nil
}

// threshold is the least count that o asks for.
func (o Options) threshold(b *Baskets) (int32, error) {
	if err := b.check(); err != nil {
		return 0, err
	}
	if o.MinCount < 0 || o.MaxLength < 0 || o.MaxItemsets < 0 || o.Workers < 0 {
		return 0, errors.New("minimum count, maximum length, maximum itemsets and workers must not be negative")
	}
	least := max(o.MinCount, o.MinSupport.Count(b.Len()), 1)
	return int32(min(least, 1<<31-1)), nil
}

func (o Options) workers() int {
	if o.Workers > 0 {
		return o.Workers
	}
	return runtime.GOMAXPROCS(0)
}

// search is one run over a tree, shared by its workers.
type search struct {
	options Options
	tree    *tree
	limit   int64        // sets that may be kept
	rise    *riser       // when not nil, sets are counted, not kept
	min     atomic.Int32 // the least count; a riser raises it
	next    atomic.Int32 // the next top item to take
	found   atomic.Int64 // sets kept, as far as workers have told
	stop    atomic.Bool  // the limit is passed, or ctx has ended
}

// run mines the items of the tree, each by one worker, most frequent first, and
// joins what they found in the order of the items.
func (s *search) run(ctx context.Context) (*Itemsets, error) {
	release := context.AfterFunc(ctx, func() { s.stop.Store(true) })
	defer release()
	workers := make([]*worker, max(1, min(s.options.workers(), len(s.tree.ids))))
	var wait sync.WaitGroup
	for i := range workers {
		workers[i] = newWorker(s)
		wait.Go(workers[i].work)
	}
	wait.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	total := int64(0)
	for _, w := range workers {
		total += int64(w.out.Len())
	}
	if s.stop.Load() || s.rise == nil && total > s.limit {
		return nil, ErrTooMany
	}
	return join(workers, len(s.tree.ids)), nil
}

// share is what a worker found for one top item: sets from..to of its output.
type share struct {
	worker   *worker
	from, to int
}

func join(workers []*worker, items int) *Itemsets {
	shares := make([]share, items)
	out := &Itemsets{}
	var sets, length int
	for _, w := range workers {
		for item, sh := range w.shares {
			shares[item] = sh
		}
		sets += w.out.Len()
		length += len(w.out.items)
		out.longest = max(out.longest, w.out.longest)
	}
	out.items = make([]int32, 0, length)
	out.ends = make([]int, 0, sets)
	out.counts = make([]int32, 0, sets)
	for _, sh := range shares {
		if sh.from == sh.to {
			continue
		}
		own := &sh.worker.out
		start := 0
		if sh.from > 0 {
			start = own.ends[sh.from-1]
		}
		shift := len(out.items) - start
		out.items = append(out.items, own.items[start:own.ends[sh.to-1]]...)
		out.counts = append(out.counts, own.counts[sh.from:sh.to]...)
		for _, end := range own.ends[sh.from:sh.to] {
			out.ends = append(out.ends, end+shift)
		}
	}
	return out
}
