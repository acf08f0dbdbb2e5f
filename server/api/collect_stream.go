package api

import (
	"errors"
	"io"
	"time"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"
)

// An event of a stream waits for at most so many others, and so long, before
// all are stored together.
const (
	streamBatch  = 512
	streamLinger = 20 * time.Millisecond
)

// CollectStream implements the RPC.
func (s *Events) CollectStream(stream attunev1.EventService_CollectStreamServer) error {
	var t *taking
	var index int64
	in, end := receive(stream)
	timer := time.NewTimer(streamLinger)
	defer timer.Stop()
	for {
		select {
		case r := <-in:
			shop, err := shopOf(r.GetShop())
			if err != nil {
				return Status(err)
			}
			if t == nil {
				if t, err = s.take(stream.Context(), shop, "CollectStream"); err != nil {
					return Status(err)
				}
			}
			if shop != t.shop {
				return Status(fieldErrorf("shop", "expected %q throughout the stream: got %q at message %d", t.shop, shop, index))
			}
			if len(t.events) == 0 {
				timer.Reset(streamLinger)
			}
			t.add(index, r.GetEvent())
			index++
			if len(t.events) < streamBatch {
				continue
			}
		case <-timer.C:
			if t == nil {
				continue
			}
		case err := <-end:
			if err != nil {
				return Status(err)
			}
			if t == nil {
				return stream.SendAndClose(&attunev1.CollectBatchResponse{})
			}
			if err := t.store(stream.Context()); err != nil {
				return Status(err)
			}
			return stream.SendAndClose(&t.out)
		}
		if err := t.store(stream.Context()); err != nil {
			return Status(err)
		}
	}
}

// receive reads a stream until it ends: nil for its proper end, which comes
// after every message was taken.
func receive(stream attunev1.EventService_CollectStreamServer) (<-chan *attunev1.CollectStreamRequest, <-chan error) {
	in, end := make(chan *attunev1.CollectStreamRequest), make(chan error, 1)
	go func() {
		for {
			r, err := stream.Recv()
			if err != nil {
				if errors.Is(err, io.EOF) {
					err = nil
				}
				end <- err
				return
			}
			select {
			case in <- r:
			case <-stream.Context().Done():
				return
			}
		}
	}()
	return in, end
}
