package wire

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// Answered is told what became of a request: the status of HTTP, 0 when the
// connection was lost or the time was up.
type Answered func(status int)

// HTTP sends requests of HTTP/1.1, one after the other on each of its
// connections. It is safe for concurrent use.
type HTTP struct {
	host, base string
	timeout    time.Duration
	queue      chan job
	wg         sync.WaitGroup
}

type job struct {
	raw      []byte
	answered Answered
}

// DialHTTP opens n connections to base, "http://host:port" and a path or none.
// As many requests as queue may wait for one of them.
func DialHTTP(ctx context.Context, base string, n, queue int, timeout time.Duration) (*HTTP, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" || u.Host == "" {
		return nil, fmt.Errorf("%q: expected a URL such as http://127.0.0.1:8080", base)
	}
	h := &HTTP{host: u.Host, base: u.Path, timeout: timeout, queue: make(chan job, queue)}
	for range max(n, 1) {
		nc, err := h.dial(ctx)
		if err != nil {
			h.Close()
			return nil, fmt.Errorf("dial %s: %w", base, err)
		}
		h.wg.Go(func() { h.work(nc) })
	}
	return h, nil
}

// Request is a request as it goes over the wire; body may be nil.
func (h *HTTP) Request(method, path string, body []byte) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s%s HTTP/1.1\r\nHost: %s\r\nUser-Agent: attune-loadtest\r\n", method, h.base, path, h.host)
	if body != nil {
		fmt.Fprintf(&b, "Content-Type: application/json\r\nContent-Length: %d\r\n", len(body))
	}
	b.WriteString("\r\n")
	b.Write(body)
	return b.Bytes()
}

// Send begins a request, which is not kept, and tells answered once what became
// of it. It waits only when the queue is full.
func (h *HTTP) Send(raw []byte, answered Answered) { h.queue <- job{raw, answered} }

// Close ends the connections once what waits is answered; nothing may be sent
// any more.
func (h *HTTP) Close() {
	close(h.queue)
	h.wg.Wait()
}

func (h *HTTP) dial(ctx context.Context) (net.Conn, error) {
	d := net.Dialer{Timeout: h.timeout}
	return d.DialContext(ctx, "tcp", h.host)
}

// work is one connection, taken anew when it is lost.
func (h *HTTP) work(nc net.Conn) {
	in := bufio.NewReaderSize(nc, readAhead)
	defer func() { _ = nc.Close() }()
	for j := range h.queue {
		status, err := h.one(nc, in, j.raw)
		j.answered(status)
		if err == nil {
			continue
		}
		_ = nc.Close()
		if again, err := h.dial(context.Background()); err == nil { // otherwise the next one finds it closed
			nc = again
			in.Reset(nc)
		}
	}
}

func (h *HTTP) one(nc net.Conn, in *bufio.Reader, raw []byte) (int, error) {
	if err := nc.SetDeadline(time.Now().Add(h.timeout)); err != nil {
		return 0, err
	}
	if _, err := nc.Write(raw); err != nil {
		return 0, err
	}
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, res.Body)
	if err := cmp.Or(err, res.Body.Close()); err != nil {
		return 0, err
	}
	if res.Close {
		return res.StatusCode, io.EOF
	}
	return res.StatusCode, nil
}
