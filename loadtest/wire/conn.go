package wire

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"
)

const (
	window    = 1 << 24 // bytes that the server may send unasked, on a stream and on a connection
	readAhead = 32 << 10
	maxStream = 1 << 30 // ids before another connection is taken
	prefix    = 5       // bytes before a gRPC message: compressed or not, and its length
)

// call is a call under way.
type call struct {
	reply   Reply
	keep    bool
	until   time.Time
	message []byte // what came of the answer, when it is kept
}

// conn is one HTTP/2 connection.
type conn struct {
	nc        net.Conn
	authority string
	timeout   string // grpc-timeout of every call
	framer    *http2.Framer
	reader    *bufio.Reader

	mu      sync.Mutex // of what follows; never held while a reply is told
	out     bytes.Buffer
	write   *http2.Framer // into out
	block   bytes.Buffer
	headers *hpack.Encoder // into block
	data    []byte
	next    uint32 // the next stream's id
	calls   map[uint32]call
	most    int // streams that the server takes at once
	largest int // bytes of a frame that the server takes
	credit  int64
	first   int64 // credit of a new stream
	over    bool

	eaten uint32 // by the reader only: bytes since the last window update
}

// open begins HTTP/2 on nc. What the server says is taken in by read.
func open(nc net.Conn, authority string, timeout time.Duration) (*conn, error) {
	c := &conn{
		nc: nc, authority: authority, timeout: strconv.FormatInt(max(timeout.Milliseconds(), 1), 10) + "m",
		next: 1, calls: map[uint32]call{}, most: 100, largest: 16 << 10, credit: 65535, first: 65535,
	}
	c.reader = bufio.NewReaderSize(nc, readAhead)
	c.framer = http2.NewFramer(nil, c.reader)
	c.framer.SetReuseFrames()
	c.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.write = http2.NewFramer(&c.out, nil)
	c.headers = hpack.NewEncoder(&c.block)
	c.out.WriteString(http2.ClientPreface)
	if err := c.write.WriteSettings(
		http2.Setting{ID: http2.SettingEnablePush, Val: 0},
		http2.Setting{ID: http2.SettingInitialWindowSize, Val: window},
	); err != nil {
		return nil, err
	}
	if err := c.write.WriteWindowUpdate(0, window-65535); err != nil {
		return nil, err
	}
	return c, c.flush()
}

// flush writes what is in out; the caller holds mu, or is alone.
func (c *conn) flush() error {
	if c.out.Len() == 0 {
		return nil
	}
	_, err := c.nc.Write(c.out.Bytes())
	c.out.Reset()
	return err
}

func (c *conn) ended() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.over || c.next >= maxStream
}

// call puts a request into out, for send. One that the server has no room for is
// left out.
func (c *conn) call(method string, message []byte, k call) {
	c.mu.Lock()
	size := int64(prefix + len(message))
	switch {
	case c.over:
		c.mu.Unlock()
		k.reply(codes.Unavailable, nil)
		return
	case len(c.calls) >= c.most || size > min(c.credit, c.first, int64(c.largest)):
		c.mu.Unlock()
		k.reply(codes.ResourceExhausted, nil)
		return
	}
	id := c.next
	c.next += 2
	c.credit -= size
	c.calls[id] = k
	err := c.request(id, method, message)
	c.mu.Unlock()
	if err != nil {
		c.fail()
	}
}

// send writes what is in out.
func (c *conn) send() {
	c.mu.Lock()
	err := c.flush()
	c.mu.Unlock()
	if err != nil {
		c.fail()
	}
}

func (c *conn) request(id uint32, method string, message []byte) error {
	c.block.Reset()
	for _, f := range [...]hpack.HeaderField{
		{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "http"}, {Name: ":path", Value: method}, {Name: ":authority", Value: c.authority},
		{Name: "content-type", Value: "application/grpc"}, {Name: "user-agent", Value: "attune-loadtest"}, {Name: "te", Value: "trailers"}, {Name: "grpc-timeout", Value: c.timeout},
	} {
		if err := c.headers.WriteField(f); err != nil {
			return err
		}
	}
	if err := c.write.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: c.block.Bytes(), EndHeaders: true}); err != nil {
		return err
	}
	c.data = append(binary.BigEndian.AppendUint32(append(c.data[:0], 0), uint32(len(message))), message...) // #nosec G115 -- at most one frame
	return c.write.WriteData(id, true, c.data)
}

// expire cancels what was to be answered before now.
func (c *conn) expire(now time.Time) {
	var late []call
	c.mu.Lock()
	for id, k := range c.calls {
		if now.After(k.until) {
			late = append(late, k)
			delete(c.calls, id)
			_ = c.write.WriteRSTStream(id, http2.ErrCodeCancel) // into memory
		}
	}
	if len(late) > 0 {
		_ = c.flush() // the reader meets a lost connection
	}
	c.mu.Unlock()
	for _, k := range late {
		k.reply(codes.DeadlineExceeded, nil)
	}
}

// fail ends the connection and every call on it.
func (c *conn) fail() {
	_ = c.nc.Close()
	c.mu.Lock()
	c.over = true
	left := c.calls
	c.calls = map[uint32]call{}
	c.mu.Unlock()
	for _, k := range left {
		k.reply(codes.Unavailable, nil)
	}
}

// read takes in what the server sends until the connection ends.
func (c *conn) read() {
	defer c.fail()
	for {
		f, err := c.framer.ReadFrame()
		if err != nil || c.frame(f) != nil {
			return
		}
	}
}

func (c *conn) frame(f http2.Frame) error {
	switch f := f.(type) {
	case *http2.DataFrame:
		return c.body(f)
	case *http2.MetaHeadersFrame:
		if f.StreamEnded() {
			c.done(f.StreamID, statusOf(f))
		}
	case *http2.RSTStreamFrame:
		code := codes.Unavailable
		switch f.ErrCode {
		case http2.ErrCodeRefusedStream, http2.ErrCodeEnhanceYourCalm:
			code = codes.ResourceExhausted
		case http2.ErrCodeCancel: // the server saw the deadline first
			code = codes.DeadlineExceeded
		}
		c.done(f.StreamID, code)
	case *http2.WindowUpdateFrame:
		if f.StreamID == 0 {
			c.mu.Lock()
			c.credit += int64(f.Increment)
			c.mu.Unlock()
		}
	case *http2.SettingsFrame:
		return c.settings(f)
	case *http2.PingFrame:
		if !f.IsAck() {
			return c.answer(func() error { return c.write.WritePing(true, f.Data) })
		}
	case *http2.GoAwayFrame:
		return c.leave(f.LastStreamID)
	}
	return nil
}

// answer writes one frame.
func (c *conn) answer(write func() error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := write(); err != nil {
		return err
	}
	return c.flush()
}

func (c *conn) body(f *http2.DataFrame) error {
	if c.eaten += f.Length; c.eaten > window/2 {
		n := c.eaten
		c.eaten = 0
		if err := c.answer(func() error { return c.write.WriteWindowUpdate(0, n) }); err != nil {
			return err
		}
	}
	c.mu.Lock()
	if k, ok := c.calls[f.StreamID]; ok && k.keep {
		k.message = append(k.message, f.Data()...)
		c.calls[f.StreamID] = k
	}
	c.mu.Unlock()
	if f.StreamEnded() { // gRPC ends with headers
		c.done(f.StreamID, codes.Internal)
	}
	return nil
}

func (c *conn) done(id uint32, code codes.Code) {
	c.mu.Lock()
	k, ok := c.calls[id]
	delete(c.calls, id)
	c.mu.Unlock()
	if !ok {
		return // cancelled before
	}
	if k.keep && len(k.message) >= prefix {
		k.message = k.message[prefix:]
	}
	k.reply(code, k.message)
}

func (c *conn) settings(f *http2.SettingsFrame) error {
	if f.IsAck() {
		return nil
	}
	return c.answer(func() error {
		err := f.ForeachSetting(func(s http2.Setting) error {
			switch s.ID {
			case http2.SettingMaxConcurrentStreams:
				c.most = int(s.Val)
			case http2.SettingInitialWindowSize:
				c.first = int64(s.Val)
			case http2.SettingMaxFrameSize:
				c.largest = int(s.Val)
			case http2.SettingHeaderTableSize:
				c.headers.SetMaxDynamicTableSizeLimit(s.Val)
			}
			return nil
		})
		if err != nil {
			return err
		}
		return c.write.WriteSettingsAck()
	})
}

// leave takes no new calls; those up to last are still answered.
func (c *conn) leave(last uint32) error {
	var lost []call
	c.mu.Lock()
	c.over = true
	for id, k := range c.calls {
		if id > last {
			lost = append(lost, k)
			delete(c.calls, id)
		}
	}
	left := len(c.calls)
	c.mu.Unlock()
	for _, k := range lost {
		k.reply(codes.Unavailable, nil)
	}
	if left == 0 {
		return fmt.Errorf("the server closes the connection")
	}
	return nil
}

// statusOf is the status that an answer ends with.
func statusOf(f *http2.MetaHeadersFrame) codes.Code {
	for _, h := range f.Fields {
		if h.Name == "grpc-status" {
			n, err := strconv.ParseUint(h.Value, 10, 32)
			if err != nil {
				return codes.Internal
			}
			return codes.Code(n)
		}
	}
	return codes.Unknown
}
