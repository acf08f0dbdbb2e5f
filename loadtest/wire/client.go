package wire

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
)

// Reply is told what became of a call: its status and, where that was asked
// for, the answer's message, which is only valid during the call.
type Reply func(code codes.Code, message []byte)

// Client sends calls over several connections in turn. It is safe for
// concurrent use.
type Client struct {
	target  string
	timeout time.Duration
	lines   []*line
	next    atomic.Uint64
	stop    chan struct{}
	wg      sync.WaitGroup

	mu   sync.Mutex
	open map[*conn]bool // those whose reader runs
}

// Dial opens n connections to target, "host:port" without TLS. A call that
// takes longer than timeout is cancelled and is DeadlineExceeded.
func Dial(ctx context.Context, target string, n int, timeout time.Duration) (*Client, error) {
	if timeout <= 0 {
		return nil, fmt.Errorf("dial %s: timeout %v: expected more than 0", target, timeout)
	}
	c := &Client{target: target, timeout: timeout, stop: make(chan struct{}), open: map[*conn]bool{}}
	for range max(n, 1) {
		l, err := c.dial(ctx)
		if err != nil {
			c.Close()
			return nil, fmt.Errorf("dial %s: %w", target, err)
		}
		c.lines = append(c.lines, &line{conn: l})
	}
	c.wg.Go(c.expire)
	return c, nil
}

// line is a place of a connection: another takes it when one is lost.
type line struct {
	mu   sync.Mutex
	conn *conn
}

// Call begins a unary call of method, "/package.Service/Method", and tells
// reply once what became of it. keep asks for the answer's message. message is
// not kept.
func (c *Client) Call(method string, message []byte, keep bool, reply Reply) {
	on, err := c.turn()
	if err != nil {
		reply(codes.Unavailable, nil)
		return
	}
	on.call(method, message, call{reply: reply, keep: keep, until: time.Now().Add(c.timeout)})
	on.send()
}

// turn is the connection whose turn it is, opened anew where it was lost.
func (c *Client) turn() (*conn, error) {
	l := c.lines[c.next.Add(1)%uint64(len(c.lines))]
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn.ended() {
		again, err := c.dial(context.Background())
		if err != nil {
			return nil, err
		}
		l.conn = again
	}
	return l.conn, nil
}

// Batch sends calls that begin together over one connection and in one write,
// as a client does that many goroutines call. Its zero value with a Client is
// ready; one goroutine uses it.
type Batch struct {
	Client *Client
	on     *conn // nil: nothing waits to be sent
}

// Call is Client.Call, but what it says is only sent by Flush.
func (b *Batch) Call(method string, message []byte, keep bool, reply Reply) {
	if b.on == nil {
		var err error
		if b.on, err = b.Client.turn(); err != nil {
			reply(codes.Unavailable, nil)
			return
		}
	}
	b.on.call(method, message, call{reply: reply, keep: keep, until: time.Now().Add(b.Client.timeout)})
}

// Flush sends the calls begun since the last one.
func (b *Batch) Flush() {
	if b.on != nil {
		b.on.send()
		b.on = nil
	}
}

// Close ends all calls with Unavailable; none may begin any more.
func (c *Client) Close() {
	close(c.stop)
	for _, on := range c.conns() {
		on.fail()
	}
	c.wg.Wait()
}

func (c *Client) dial(ctx context.Context) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", c.target)
	if err != nil {
		return nil, err
	}
	on, err := open(nc, c.target, c.timeout)
	if err != nil {
		_ = nc.Close()
		return nil, err
	}
	c.mu.Lock()
	c.open[on] = true
	c.mu.Unlock()
	c.wg.Go(func() {
		on.read()
		c.mu.Lock()
		delete(c.open, on)
		c.mu.Unlock()
	})
	return on, nil
}

// conns is every connection, those that take no new calls included.
func (c *Client) conns() []*conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Keys(c.open))
}

// expire cancels what takes too long.
func (c *Client) expire() {
	tick := time.NewTicker(max(c.timeout/20, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-c.stop:
			return
		case now := <-tick.C:
			for _, on := range c.conns() {
				on.expire(now)
			}
		}
	}
}
