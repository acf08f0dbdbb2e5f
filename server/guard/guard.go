// Package guard keeps a server that is asked too much useful: it counts a call
// when its stream is accepted, before anything is spent on it, turns away what
// would only make everyone wait, and says when to try again.
//
// The number of answers under way adapts to how long they take. Batches may
// use half of it, so that a shopper who waits goes before a job that does not.
// Whatever becomes of a call, it is counted out once: when it ends, or when
// its context does and it was never begun.
//
// It imports server/auth and grpc. Start reading at Guard.Accept.
package guard

import (
	"context"
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
	Least    int              // answers under way that are always let in; 0: 4 a core
	Most     int              // answers under way at most, however fast; 0: 128 a core
	Transact int              // calls of that class under way at most; 0: 1024
	Clock    func() time.Time // nil: time.Now
}

// Guard admits calls. Its Accept is the tap of the servers it guards, and
// whoever runs their calls brackets each with Begin and Ticket.End; one guard may
// serve several. It is safe for concurrent use.
type Guard struct {
	o       Options
	limit   *limit
	running [classes]atomic.Int64
	shed    [classes]atomic.Int64
	let     [classes]atomic.Int64
	refusal [classes]error // made once: to refuse must cost nothing
}

// New returns a guard.
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
	return g, nil
}

// Ticket is one call that was let in; nil is one that nobody counts.
type Ticket struct {
	guard *Guard
	class Class
	state atomic.Uint32
	at    time.Time
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
	t := &Ticket{guard: g, class: class, at: g.o.Clock()}
	t.stop = context.AfterFunc(ctx, func() {
		if t.state.CompareAndSwap(waiting, gone) {
			g.running[class].Add(-1)
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
		room = g.limit.now.Load()
		n += g.running[Batch].Load()
	case Batch:
		room = max(g.limit.now.Load()/2, 1)
		n += g.running[Answer].Load()
	}
	if n <= room {
		return true
	}
	g.running[class].Add(-1)
	if class == Answer {
		g.limit.reached()
	}
	return false
}

// Begin takes over a call that Accept let in: it is counted out by End, and by
// nothing else. ctx is the call's; nil when Accept did not count it.
func Begin(ctx context.Context) *Ticket {
	t, ok := ctx.Value(key{}).(*Ticket)
	if !ok || !t.state.CompareAndSwap(waiting, begun) {
		return nil // it is over already: its context ended
	}
	t.stop()
	return t
}

// End counts the call out; err is what it ended with.
func (t *Ticket) End(err error) {
	if t == nil || !t.state.CompareAndSwap(begun, gone) {
		return
	}
	g := t.guard
	g.running[t.class].Add(-1)
	if t.class == Answer && status.Code(err) != codes.Canceled {
		now := g.o.Clock()
		g.limit.took(now.Sub(t.at), now)
	}
}

// Running is how many calls of a class are under way.
func (g *Guard) Running(c Class) int64 { return g.running[c].Load() }

// Limit is how many answers may be under way now.
func (g *Guard) Limit() int64 { return g.limit.now.Load() }

// Shed is how many calls of a class were turned away so far.
func (g *Guard) Shed(c Class) int64 { return g.shed[c].Load() }
