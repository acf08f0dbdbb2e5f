package milvustest

import (
	"net"
	"sync"
	"testing"
	"time"
)

// Fault is what a Proxy does to connections.
type Fault uint8

// The faults.
const (
	None   Fault = iota
	Refuse       // nobody listens, and connections that stood are closed
	Hang         // connections are taken and stand, and nothing moves
	Slow         // every answer comes Proxy.Delay later
	Reset        // connections break in the middle of an answer
)

// String is the fault's name.
func (f Fault) String() string { return [...]string{"none", "refuse", "hang", "slow", "reset"}[f] }

// Proxy is a way to a server that can be made bad. It is safe for concurrent
// use.
type Proxy struct {
	Delay time.Duration // of Slow
	to    string

	mu       sync.Mutex
	address  string
	listener net.Listener // nil: refused
	fault    Fault
	changed  chan struct{} // closed when the fault changes
	conns    map[net.Conn]bool
	closed   bool
	wg       sync.WaitGroup
}

// NewProxy listens on a free port of this machine and passes on to the server
// at the address. It ends with the test.
func NewProxy(t testing.TB, to string) *Proxy {
	t.Helper()
	p := &Proxy{Delay: 2 * time.Second, to: to, changed: make(chan struct{}), conns: map[net.Conn]bool{}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.address = l.Addr().String()
	p.listen(l)
	t.Cleanup(p.close)
	return p
}

// Address is where the proxy listens, with None of the faults.
func (p *Proxy) Address() string { return p.address }

// Set makes the way good or bad from now on, connections that stand included.
func (p *Proxy) Set(t testing.TB, f Fault) {
	t.Helper()
	p.mu.Lock()
	was := p.fault
	p.fault = f
	close(p.changed)
	p.changed = make(chan struct{})
	l := p.listener
	if f == Refuse && l != nil {
		p.listener = nil
		_ = l.Close()
		for c := range p.conns {
			_ = c.Close()
		}
	}
	p.mu.Unlock()
	if was == Refuse && f != Refuse {
		l, err := net.Listen("tcp", p.address)
		if err != nil {
			t.Fatalf("listen again: %v", err)
		}
		p.listen(l)
	}
}

func (p *Proxy) listen(l net.Listener) {
	p.mu.Lock()
	p.listener = l
	p.mu.Unlock()
	p.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.wg.Go(func() { p.serve(c) })
		}
	})
}

// serve passes one connection on.
func (p *Proxy) serve(client net.Conn) {
	server, err := net.Dial("tcp", p.to)
	if err != nil {
		_ = client.Close()
		return
	}
	p.mu.Lock()
	if p.closed || p.fault == Refuse {
		p.mu.Unlock()
		_, _ = client.Close(), server.Close()
		return
	}
	p.conns[client], p.conns[server] = true, true
	p.mu.Unlock()
	var wg sync.WaitGroup
	wg.Go(func() { p.pass(server, client, false) })
	wg.Go(func() { p.pass(client, server, true) })
	wg.Wait()
	p.mu.Lock()
	delete(p.conns, client)
	delete(p.conns, server)
	p.mu.Unlock()
}

// pass copies what arrives at from to to, as well as the fault lets it. When
// one end is gone, both are.
func (p *Proxy) pass(to, from net.Conn, answers bool) {
	defer to.Close()
	defer from.Close()
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		fault := p.wait(answers)
		if fault == Reset && answers {
			_, _ = to.Write(b[:n/2])
			if c, ok := to.(*net.TCPConn); ok {
				_ = c.SetLinger(0) // a reset, not an end
			}
			return
		}
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
	}
}

// wait returns when the next bytes may go on, and how.
func (p *Proxy) wait(answers bool) Fault {
	for {
		p.mu.Lock()
		fault, changed, closed := p.fault, p.changed, p.closed
		p.mu.Unlock()
		switch {
		case closed:
			return Refuse
		case fault == Hang:
			<-changed
			continue
		case fault == Slow && answers:
			select {
			case <-changed:
			case <-time.After(p.Delay):
			}
		}
		return fault
	}
}

func (p *Proxy) close() {
	p.mu.Lock()
	p.closed = true
	p.fault = None
	close(p.changed)
	p.changed = make(chan struct{})
	if p.listener != nil {
		_ = p.listener.Close()
	}
	for c := range p.conns {
		_ = c.Close()
	}
	p.mu.Unlock()
	p.wg.Wait()
}
