package guard

import (
	"context"
	"fmt"
	"math"
	"runtime/debug"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"
	"google.golang.org/protobuf/types/known/durationpb"
)

const (
	unlimited = 64 << 20              // bytes of each kind where the process has no limit
	share     = 8                     // of the process's limit, of each kind
	pause     = 10 * time.Millisecond // between two looks for room
	patience  = 100                   // looks before a frame is taken all the same
	little    = 4 << 10               // bytes of a frame of those who send little
	longest   = 5 * time.Second       // that anything waits for its turn
)

// Memory bounds the bytes that requests hold, each kind by itself: what is read
// and not yet unpacked, the large messages that are unpacked, and the large bodies
// of REST calls.
//
// It is the pool that a server reads into, so it knows what the server holds,
// however slowly that comes. When all is taken those who send much wait, and go on
// one frame a second if nothing gets better; at twice as much everybody waits, and
// no new call is let in. Large messages and bodies take turns. It is safe for
// concurrent use.
type Memory struct {
	pool     mem.BufferPool
	bytes    int64
	held     atomic.Int64
	shed     *atomic.Int64
	messages *semaphore.Weighted
	bodies   *semaphore.Weighted
	refusal  error
}

// NewMemory returns a bound of so many bytes of each kind; 0: an eighth of the
// memory limit of the process (GOMEMLIMIT), 64 MiB where it has none.
func NewMemory(bytes int64) (*Memory, error) {
	if bytes <= 0 {
		bytes = unlimited
		if limit := debug.SetMemoryLimit(-1); limit < math.MaxInt64 {
			bytes = limit / share
		}
	}
	s, err := status.New(codes.ResourceExhausted, "requests under way hold all the memory there is for them: try again later, in smaller parts").WithDetails(
		&errdetails.ErrorInfo{Reason: "OUT_OF_MEMORY", Domain: "attune"},
		&errdetails.RetryInfo{RetryDelay: durationpb.New(time.Second)},
	)
	if err != nil {
		return nil, fmt.Errorf("guard: %w", err)
	}
	return &Memory{
		pool: mem.DefaultBufferPool(), bytes: bytes, shed: new(atomic.Int64), refusal: s.Err(),
		messages: semaphore.NewWeighted(bytes), bodies: semaphore.NewWeighted(bytes),
	}, nil
}

// Inside returns a bound of as many bytes, of what requests that have had their
// turn send on within the process. Whom it turns away counts as Shed of m.
func (m *Memory) Inside() *Memory {
	return &Memory{
		pool: m.pool, bytes: m.bytes, shed: m.shed, refusal: m.refusal,
		messages: semaphore.NewWeighted(m.bytes), bodies: semaphore.NewWeighted(m.bytes),
	}
}

// Get implements mem.BufferPool. It waits for room, a second at most: those who
// wait for each other must not wait for ever.
func (m *Memory) Get(n int) *[]byte {
	room := m.bytes
	if n <= little {
		room *= 2
	}
	for range patience {
		if m.held.Load()+int64(n) <= room {
			break
		}
		time.Sleep(pause)
	}
	b := m.pool.Get(n)
	m.held.Add(int64(cap(*b)))
	return b
}

// Put implements mem.BufferPool.
func (m *Memory) Put(b *[]byte) {
	m.held.Add(-int64(cap(*b)))
	m.pool.Put(b)
}

// Held is the bytes that are taken.
func (m *Memory) Held() int64 { return m.held.Load() }

// Shed is how many calls were turned away for want of memory.
func (m *Memory) Shed() int64 { return m.shed.Load() }

// Accept is a tap.ServerInHandle: it lets a call in, or says ResourceExhausted
// with a RetryInfo when twice as much is held as should be.
func (m *Memory) Accept(ctx context.Context, _ *tap.Info) (context.Context, error) {
	if m.held.Load() > 2*m.bytes {
		m.shed.Add(1)
		return ctx, m.refusal
	}
	return ctx, nil
}

// Message waits until a message that takes so many bytes may be unpacked, and
// returns what ends its turn. ResourceExhausted when others take too long.
func (m *Memory) Message(ctx context.Context, bytes int64) (end func(), err error) {
	return m.turn(ctx, m.messages, bytes)
}

// Body waits until a body that takes so many bytes may be read, and returns what
// ends its turn. ResourceExhausted when others take too long.
func (m *Memory) Body(ctx context.Context, bytes int64) (end func(), err error) {
	return m.turn(ctx, m.bodies, bytes)
}

func (m *Memory) turn(ctx context.Context, turns *semaphore.Weighted, bytes int64) (end func(), err error) {
	wait, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	bytes = min(bytes, m.bytes) // the largest go one by one
	if err := turns.Acquire(wait, bytes); err != nil {
		m.shed.Add(1)
		return nil, m.refusal
	}
	return func() { turns.Release(bytes) }, nil
}
