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

	streamAhead = 64 // messages that are decoded while others are stored
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
		case r, more := <-in:
			if !more {
				return s.answer(stream, t, <-end)
			}
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
		}
		if err := t.store(stream.Context()); err != nil {
			return Status(err)
		}
	}
}

// answer stores what is left of a stream that ended, and answers it.
func (s *Events) answer(stream attunev1.EventService_CollectStreamServer, t *taking, err error) error {
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

// receive reads a stream until it ends: then in is closed, and end says why,
// nil for the proper end.
func receive(stream attunev1.EventService_CollectStreamServer) (<-chan *attunev1.CollectStreamRequest, <-chan error) {
	in, end := make(chan *attunev1.CollectStreamRequest, streamAhead), make(chan error, 1)
	go func() {
		defer close(in)
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
				end <- stream.Context().Err()
				return
			}
		}
	}()
	return in, end
}
