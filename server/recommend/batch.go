package recommend

import (
	"context"
	"sync"
	"sync/atomic"
)

// Batch answers several queries, at most Options.Parallel at once; each calls
// done with its place, its answer or its error, before the answer's memory is
// used again. done may be called by several goroutines at once.
func (rec *Recommender) Batch(ctx context.Context, n int, query func(i int) (*Query, error), done func(i int, ans *Answer, err error)) {
	var next atomic.Int64
	work := func() {
		var ans Answer
		for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
			q, err := query(i)
			if err == nil {
				err = rec.Recommend(ctx, q, &ans)
			}
			if err != nil {
				done(i, nil, err)
				continue
			}
			done(i, &ans, nil)
		}
	}
	var wg sync.WaitGroup
	for range min(n, rec.o.Parallel) {
		wg.Go(work)
	}
	wg.Wait()
}
