package rpc

import (
	"bytes"
	"context"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"
	"github.com/attune-rec/attune/server/guard"
)

// counted is the messages within m, found in the message itself.
func counted(m protoreflect.Message) (n int) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.Message() == nil:
		case f.IsMap():
			n += v.Map().Len()
		case f.IsList():
			for i := range v.List().Len() {
				n += 1 + counted(v.List().Get(i).Message())
			}
		default:
			n += 1 + counted(v.Message())
		}
		return true
	})
	return n
}

func TestParts(t *testing.T) {
	batch := &attunev1.CollectBatchRequest{}
	for i := range 50 {
		e := &attunev1.Event{}
		for f := range i % 5 { // some with messages of their own
			set(e.ProtoReflect(), f)
		}
		batch.Events = append(batch.Events, e)
	}
	b, err := proto.Marshal(batch)
	if err != nil {
		t.Fatal(err)
	}
	want := counted(batch.ProtoReflect())
	if want <= 50 {
		t.Fatalf("the events have nothing within: %d", want)
	}
	kind := batch.ProtoReflect().Descriptor()
	if got := parts(b, kind, 1000); got != want {
		t.Errorf("got %d messages within, counted one by one %d", got, want)
	}
	if got := parts(b, kind, 10); got <= 10 || got > 13 {
		t.Errorf("got %d, expected to stop soon after 10", got)
	}
	for cut := range b { // what is torn is counted as far as it goes
		if got := parts(b[:cut], kind, 1000); got > want {
			t.Fatalf("got %d of %d messages in %d of %d bytes", got, want, cut, len(b))
		}
	}
}

// set makes the n-th field of m that is one message.
func set(m protoreflect.Message, n int) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		if f := fields.Get(i); f.Message() != nil && !f.IsList() && !f.IsMap() {
			if n == 0 {
				m.Mutable(f)
				return
			}
			n--
		}
	}
}

func TestLargeMessagesTakeTurns(t *testing.T) {
	memory, err := guard.NewMemory(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	read := func(b []byte) func(any) error {
		return func(v any) error { return newCodec().Unmarshal(mem.BufferSlice{mem.SliceBuffer(b)}, v) }
	}
	query := &attunev1.RecommendRequest{Query: string(make([]byte, 600<<10))}
	b, err := proto.Marshal(query)
	if err != nil {
		t.Fatal(err)
	}
	first := incoming{ctx: t.Context(), memory: memory}
	got := &attunev1.RecommendRequest{}
	if err := first.receive(got, read(b)); err != nil || !proto.Equal(got, query) {
		t.Fatalf("a large message came in as something else: %v", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	second := incoming{ctx: gone, memory: memory}
	if err := second.receive(&attunev1.RecommendRequest{}, read(b)); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("got %v for a second large message while the first is held", err)
	}
	small := incoming{ctx: gone, memory: memory}
	if err := small.receive(&attunev1.RecommendRequest{}, read([]byte{})); err != nil {
		t.Errorf("a small message waits: %v", err)
	}
	first.leave()
	third := incoming{ctx: t.Context(), memory: memory}
	if err := third.receive(&attunev1.RecommendRequest{}, read(b)); err != nil {
		t.Errorf("got %v though the first is gone", err)
	}
	third.leave()

	empty := bytes.Repeat([]byte{2<<3 | 2, 0}, mostParts+1)
	if err := third.receive(&attunev1.CollectBatchRequest{}, read(empty)); status.Code(err) != codes.InvalidArgument {
		t.Errorf("got %v for %d empty events", err, mostParts+1)
	}
	if err := third.receive(&attunev1.CollectBatchRequest{}, read(empty[:2*mostParts])); err != nil {
		t.Errorf("got %v for %d empty events", err, mostParts)
	}
	third.leave()
}
