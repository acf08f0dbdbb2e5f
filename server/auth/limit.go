package auth

import (
	"math"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// bucketsKept is how many callers' use is remembered.
const bucketsKept = 16384

// limits is a token bucket a caller: it holds what one second brings, and at
// least one.
type limits struct {
	now     func() time.Time
	buckets *lru.Cache[string, *bucket]
}

type bucket struct {
	mu     sync.Mutex
	tokens float64
	at     time.Time
}

func newLimits(now func() time.Time) (*limits, error) {
	b, err := lru.New[string, *bucket](bucketsKept)
	if err != nil {
		return nil, err
	}
	return &limits{now: now, buckets: b}, nil
}

// take takes one call of rate a second; 0 when it may go on, or else how long
// to wait before the next.
func (l *limits) take(caller string, rate float64) time.Duration {
	if rate <= 0 {
		return 0
	}
	now, most := l.now(), math.Max(1, rate)
	b, ok := l.buckets.Get(caller)
	if !ok {
		b = &bucket{tokens: most, at: now}
		if before, found, _ := l.buckets.PeekOrAdd(caller, b); found {
			b = before
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if d := now.Sub(b.at); d > 0 {
		b.tokens, b.at = math.Min(most, b.tokens+d.Seconds()*rate), now
	}
	if b.tokens < 1 {
		return time.Duration(math.Ceil((1 - b.tokens) / rate * float64(time.Second)))
	}
	b.tokens--
	return 0
}
