// Package guard keeps a server that is asked too much useful: it counts a call
// when its stream is accepted, before anything is spent on it, turns away what
// would only make everyone wait, and says when to try again.
//
// Answers begin one after another, as the processors come free: a burst waits,
// and a queue that stands is kept short. How many may be begun at once adapts to
// how long they take by themselves. Batches may use half of it, so that a shopper
// who waits goes before a job that does not. Whatever becomes of a call, it is
// counted out once: when it ends, or when its context does and it was never begun.
//
// It imports server/auth and grpc. Start reading at Guard.Accept; queue.go has
// who begins when.
package guard

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/attune-rec/attune/server/auth"
)

// Class is how a call is treated when there are too many.
type Class uint8

// The classes. What is in none is never turned away: health checks, and
// methods that do not exist, which the server refuses at no cost.
const (
	None     Class = iota
	Answer         // a shopper waits for it
	Batch          // a job that can wait
	Transact       // it waits for the disk more than for the processor
	classes
)

// String is the class's name in metrics.
func (c Class) String() string { return [...]string{"none", "answer", "batch", "transact"}[c] }

// Classes reads every method's class from its policy.
func Classes(p *auth.Policies) (map[string]Class, error) {
	out := map[string]Class{}
	for _, name := range p.Names() {
		policy, err := p.Of(name)
		if err != nil {
			return nil, fmt.Errorf("guard: %w", err)
		}
		switch {
		case policy.GetBatch():
			out[name] = Batch
		case strings.HasPrefix(name, "/attune.v1.RecommendationService/"):
			out[name] = Answer
		case strings.HasPrefix(name, "/attune.v1."):
			out[name] = Transact
		}
	}
	return out, nil
}

// Options are what a guard works with. Classes is needed.
type Options struct {
	Classes  map[string]Class
	Target   time.Duration    // answers that take longer are too late; 0: 20 ms
	Least    int              // answers that are always worked on at once where they wait for something else; 0: 4 a core
	Most     int              // answers under way at most, those that wait to begin included; 0: 128 a core
	Transact int              // calls of that class under way at most; 0: 1024
	Clock    func() time.Time // nil: time.Now
}

// Guard admits calls. Its Accept is the tap of the servers it guards, and
// whoever runs their calls brackets each with Begin and Ticket.End; one guard may
// serve several. It is safe for concurrent use.
type Guard struct {
	o       Options
	limit   *limit
	queue   *queue
	running [classes]atomic.Int64
	shed    [classes]atomic.Int64
	let     [classes]atomic.Int64
	refusal [classes]error // made once: to refuse must cost nothing
}

// New returns a guard. Close it.
func New(o Options) (*Guard, error) {
	cores := runtime.GOMAXPROCS(0)
	if o.Target <= 0 {
		o.Target = 20 * time.Millisecond
	}
	if o.Most <= 0 {
		o.Most = 128 * cores
	}
	if o.Least <= 0 {
		o.Least = min(4*cores, o.Most)
	}
	if o.Least > o.Most {
		return nil, fmt.Errorf("guard: at least %d answers under way, at most %d: expected the first to be no more than the second", o.Least, o.Most)
	}
	if o.Transact <= 0 {
		o.Transact = 1024
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	g := &Guard{o: o, limit: newLimit(o.Target, o.Least, o.Most)}
	for c, retry := range map[Class]time.Duration{Answer: 100 * time.Millisecond, Batch: time.Second, Transact: 250 * time.Millisecond} {
		s, err := status.New(codes.ResourceExhausted, "the server has as much to do as it can answer in time: try again later").WithDetails(
			&errdetails.ErrorInfo{Reason: "OVERLOADED", Domain: "attune", Metadata: map[string]string{"class": c.String()}},
			&errdetails.RetryInfo{RetryDelay: durationpb.New(retry)},
		)
		if err != nil {
			return nil, fmt.Errorf("guard: %w", err)
		}
		g.refusal[c] = s.Err()
	}
	var err error
	g.queue, err = newQueue(cores, o.Most, o.Target, g.limit, o.Clock)
	return g, err
}

// Close lets everyone begin who waits, and whoever comes after. It may be called
// more than once.
func (g *Guard) Close() error {
	g.queue.close()
	return nil
}

// Ticket is one call that was let in; nil is one that nobody counts.
type Ticket struct {
	guard *Guard
	class Class
	state atomic.Uint32
	at    time.Time   // when it began
	stop  func() bool // of waiting for a call that is never begun
}

const (
	waiting = iota
	begun
	gone
)

type key struct{}

// Accept is a tap.ServerInHandle: it lets a call in, or says ResourceExhausted
// with a RetryInfo.
func (g *Guard) Accept(ctx context.Context, info *tap.Info) (context.Context, error) {
	class := g.o.Classes[info.FullMethodName]
	if class == None {
		return ctx, nil
	}
	if !g.admit(class) {
		g.shed[class].Add(1)
		return ctx, g.refusal[class]
	}
	g.let[class].Add(1)
	t := &Ticket{guard: g, class: class}
	t.stop = context.AfterFunc(ctx, func() {
		if !t.state.CompareAndSwap(waiting, gone) {
			return
		}
		g.running[class].Add(-1)
		if class == Answer {
			g.queue.gone()
		}
	})
	return context.WithValue(ctx, key{}, t), nil
}

// admit counts a call in when there is room for it.
func (g *Guard) admit(class Class) bool {
	n := g.running[class].Add(1)
	room := int64(g.o.Transact)
	switch class {
	case Answer:
		room = int64(g.o.Most)
		n += g.running[Batch].Load()
	case Batch:
		room = max(g.limit.now.Load()/2, 1)
		n += g.running[Answer].Load()
	}
	if n <= room && (class != Answer || g.queue.admit()) {
		return true
	}
	g.running[class].Add(-1)
	return false
}

// Begin takes over a call that Accept let in, once it is its turn: it is counted
// out by End, and by nothing else. ctx is the call's; the ticket is nil when
// Accept did not count it. The error is ResourceExhausted where the call has
// waited too long, or the context's.
func Begin(ctx context.Context) (*Ticket, error) {
	t, ok := ctx.Value(key{}).(*Ticket)
	if !ok || !t.state.CompareAndSwap(waiting, begun) {
		return nil, nil // it is over already: its context ended
	}
	t.stop()
	g := t.guard
	if t.class == Answer {
		if err := g.queue.begin(ctx); err != nil {
			t.state.Store(gone)
			g.running[Answer].Add(-1)
			if errors.Is(err, errLate) {
				g.shed[Answer].Add(1)
				err = g.refusal[Answer]
			}
			return nil, err
		}
	}
	t.at = g.o.Clock()
	return t, nil
}

// End counts the call out; err is what it ended with.
func (t *Ticket) End(err error) {
	if t == nil || !t.state.CompareAndSwap(begun, gone) {
		return
	}
	g := t.guard
	g.running[t.class].Add(-1)
	if t.class != Answer {
		return
	}
	now := g.o.Clock()
	g.queue.end(now.Sub(t.at))
	if status.Code(err) != codes.Canceled {
		g.limit.took(now.Sub(t.at), now)
	}
}

// Running is how many calls of a class are under way, those that wait to begin
// included.
func (g *Guard) Running(c Class) int64 { return g.running[c].Load() }

// Waiting is how many answers were let in and have not begun.
func (g *Guard) Waiting() int64 {
	g.queue.mu.Lock()
	defer g.queue.mu.Unlock()
	return int64(g.queue.ahead)
}

// Behind reports whether an answer has waited to begin for longer than a little:
// what nobody waits for should rest then.
func (g *Guard) Behind() bool { return g.queue.behind() }

// Standing reports whether the queue becomes longer and longer, or is always long,
// so that few may wait.
func (g *Guard) Standing() bool {
	g.queue.mu.Lock()
	defer g.queue.mu.Unlock()
	return g.queue.stands.on
}

// Limit is how many answers may be worked on at once.
func (g *Guard) Limit() int64 { return g.limit.now.Load() }

// Shed is how many calls of a class were turned away so far.
func (g *Guard) Shed(c Class) int64 { return g.shed[c].Load() }
