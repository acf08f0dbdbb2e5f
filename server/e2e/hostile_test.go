package e2e

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/encoding/gzip" // the bombs are sent with it

	"github.com/attune-rec/attune/features/raced"
	attunev1 "github.com/attune-rec/attune/proto/attune/v1"
)

// The memory that the process may have, and the address space that the kernel
// lets it have: Go keeps addresses whose memory it gave back.
const (
	hostileLimit     = 512 << 20
	hostileAddresses = 2 * hostileLimit
)

// Callers who mean harm, on a server with 512 MiB: messages of 4 MiB, many at
// once; compressed ones that unpack to a thousand times their size; thousands
// of streams that say nothing; readers that never read. It lives, and answers
// others all the while.
func TestHostileCallers(t *testing.T) {
	if raced.On {
		t.Skip("the race detector alone takes more than the memory that the server is given here")
	}
	streams := times(t, "ATTUNE_STREAMS", 1_000, 10_000)
	senders := times(t, "ATTUNE_SENDERS", 16, 64) // of large messages at once
	dir := stock(t)
	promote(t, dir, publish(t, dir, 1, items()))
	c := startChild(t, dir, "GOMEMLIMIT=400MiB", fmt.Sprintf("%s=%d", childMemory, hostileAddresses))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()

	var answered, refused atomic.Int64
	good := attunev1.NewRecommendationServiceClient(c.conn)
	wg.Go(func() { // somebody who wants an answer
		for ctx.Err() == nil {
			call, done := context.WithTimeout(ctx, 10*time.Second)
			if _, err := good.Recommend(call, &attunev1.RecommendRequest{User: somebody(4)}); err == nil {
				answered.Add(1)
			} else {
				refused.Add(1)
			}
			done()
			time.Sleep(2 * time.Millisecond)
		}
	})
	for _, attack := range []struct {
		name string
		run  func(t *testing.T, c *child)
	}{
		{"4 MiB messages", func(t *testing.T, c *child) { largeMessages(t, c, senders) }}, {"messages of two million empty parts", emptyParts}, {"compression bombs", bombs},
		{fmt.Sprintf("%d idle streams", streams), func(t *testing.T, c *child) { idleStreams(t, c, streams) }}, {"slow readers", slowReaders},
	} {
		before := answered.Load()
		attack.run(t, c)
		if !c.alive() {
			t.Fatalf("%s: the server died", attack.name)
		}
		eventually(t, attack.name+": others are answered", func() bool { return answered.Load() > before+3 })
		t.Logf("%s: %d answers to others meanwhile, at most %d MiB in memory", attack.name, answered.Load()-before, c.status(t, "VmHWM")>>20)
	}
	resident := c.status(t, "VmHWM")
	if resident > hostileLimit {
		t.Errorf("got %d MiB resident at the most, expected at most %d", resident>>20, hostileLimit>>20)
	}
	figure(t, "hostile callers, 512 MiB of memory: 4 MiB messages, messages of empty parts, compression bombs, %d idle streams, slow readers: alive, at most %d MiB resident, others had %d answers and %d refusals meanwhile",
		streams, resident>>20, answered.Load(), refused.Load())
}

func dial(t *testing.T, c *child) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(c.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(t, err)
	return conn
}

// largeMessages sends many requests of 4 MiB at once, by gRPC and REST. When they
// are more than there is memory for, they wait until they give up.
func largeMessages(t *testing.T, c *child, senders int) {
	var wg sync.WaitGroup
	body := bytes.Repeat([]byte("x"), 4<<20)
	for i := range senders {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			defer cancel()
			if i%2 == 0 {
				conn := dial(t, c)
				defer conn.Close()
				for range 4 {
					_, _ = attunev1.NewRecommendationServiceClient(conn).Recommend(ctx, &attunev1.RecommendRequest{User: somebody(4), Query: string(body)})
				}
				return
			}
			for range 4 {
				r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+c.http+"/v1/shops/default:recommend",
					io.MultiReader(bytes.NewReader([]byte(`{"query":"`)), bytes.NewReader(body), bytes.NewReader([]byte(`"}`))))
				if err != nil {
					return
				}
				if resp, err := http.DefaultClient.Do(r); err == nil {
					_ = resp.Body.Close()
				}
			}
		})
	}
	wg.Wait()
	http.DefaultClient.CloseIdleConnections()
}

// emptyParts sends messages of 4 MiB that are two million events, by gRPC and
// REST: unpacked they would take a hundred times as much.
func emptyParts(t *testing.T, c *child) {
	var wg sync.WaitGroup
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	packed := bytes.Repeat([]byte{2<<3 | 2, 0}, 2<<20) // field 2, of length 0
	text := []byte(`{"events":[` + strings.Repeat("{},", 4<<20/3) + `{}]}`)
	for range 4 {
		wg.Go(func() {
			conn := dial(t, c)
			defer conn.Close()
			for range 3 {
				err := conn.Invoke(ctx, attunev1.EventService_CollectBatch_FullMethodName, &packed, &attunev1.CollectBatchResponse{}, grpc.ForceCodec(raw{}))
				if err == nil {
					t.Error("two million empty events were taken by gRPC")
				}
			}
		})
		wg.Go(func() {
			for range 3 {
				resp, err := http.Post("http://"+c.http+"/v1/shops/default/events:batch", "application/json", bytes.NewReader(text))
				if err != nil {
					t.Error(err)
					return
				}
				_ = resp.Body.Close()
				if resp.StatusCode != http.StatusRequestEntityTooLarge && resp.StatusCode != http.StatusTooManyRequests {
					t.Errorf("more than a million empty events by REST: got %s", resp.Status)
				}
			}
		})
	}
	wg.Wait()
}

// raw sends bytes as they are.
type raw struct{}

func (raw) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }

func (raw) Unmarshal([]byte, any) error { return nil }

func (raw) Name() string { return "proto" }

// bombs sends small messages that unpack to far more than a request may have.
func bombs(t *testing.T, c *child) {
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			conn := dial(t, c)
			defer conn.Close()
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			huge := &attunev1.RecommendRequest{Query: string(make([]byte, 16<<20))}
			for range 3 {
				if _, err := attunev1.NewRecommendationServiceClient(conn).Recommend(ctx, huge, grpc.UseCompressor("gzip")); err == nil {
					t.Error("a request of 16 MiB was answered")
				}
			}
		})
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(make([]byte, 64<<20))
	_ = z.Close()
	r, err := http.NewRequest(http.MethodPost, "http://"+c.http+"/v1/shops/default:recommend", &packed)
	must(t, err)
	r.Header.Set("Content-Encoding", "gzip")
	resp, err := http.DefaultClient.Do(r)
	must(t, err)
	must(t, resp.Body.Close())
	if resp.StatusCode < 400 {
		t.Errorf("a bomb by REST: got %s", resp.Status)
	}
	wg.Wait()
}

// idleStreams opens streams of CollectStream that say nothing.
func idleStreams(t *testing.T, c *child, n int) {
	const each = 500 // of a connection
	var opened atomic.Int64
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	defer wg.Wait()
	defer cancel()
	var begun sync.WaitGroup
	for from := 0; from < n; from += each {
		conn := dial(t, c)
		defer conn.Close()
		for range min(each, n-from) {
			begun.Add(1)
			wg.Go(func() {
				s, err := attunev1.NewEventServiceClient(conn).CollectStream(ctx)
				if err == nil {
					opened.Add(1)
				}
				begun.Done()
				if err == nil {
					_ = s.RecvMsg(&attunev1.CollectBatchResponse{}) // until they are given up
				}
			})
		}
	}
	begun.Wait()
	time.Sleep(time.Second)
	if opened.Load() < int64(n)/2 {
		t.Errorf("got %d of %d streams open: the test shows little", opened.Load(), n)
	}
}

// slowReaders ask for answers by HTTP/2 and by HTTP/1.1 and never read them.
func slowReaders(t *testing.T, c *child) {
	var open []net.Conn
	defer func() {
		for _, conn := range open {
			_ = conn.Close()
		}
	}()
	for range 50 {
		conn, err := net.Dial("tcp", c.grpc)
		must(t, err)
		open = append(open, conn)
		_, err = io.WriteString(conn, http2.ClientPreface)
		must(t, err)
		f := http2.NewFramer(conn, conn)
		must(t, f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})) // nothing may be sent
		var head bytes.Buffer
		enc := hpack.NewEncoder(&head)
		for _, h := range [][2]string{
			{":method", "POST"}, {":scheme", "http"}, {":path", "/attune.v1.RecommendationService/Recommend"}, {":authority", "attune"},
			{"content-type", "application/grpc"}, {"te", "trailers"},
		} {
			must(t, enc.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]}))
		}
		for i := range 20 {
			id := uint32(1 + 2*i)
			must(t, f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: head.Bytes(), EndHeaders: true}))
			must(t, f.WriteData(id, true, []byte{0, 0, 0, 0, 0}))
		}
	}
	for range 100 {
		conn, err := net.Dial("tcp", c.http)
		must(t, err)
		open = append(open, conn)
		_, err = io.WriteString(conn, "GET /openapi.json HTTP/1.1\r\nHost: attune\r\n\r\n")
		must(t, err)
	}
	for range 100 { // and those who never end their header
		conn, err := net.Dial("tcp", c.http)
		must(t, err)
		open = append(open, conn)
		_, err = io.WriteString(conn, "GET /openapi.json HTTP/1.1\r\nHost: attune\r\nX-Slow: ")
		must(t, err)
	}
	time.Sleep(time.Second)
}
