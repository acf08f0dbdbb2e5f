package rpc

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	grpcproto "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/server/api"
	"github.com/attune-rec/attune/server/guard"
)

const (
	// mostParts is how many messages one message may have within: an empty one
	// takes two bytes on the wire and a hundred times that in memory.
	mostParts = 100_000
	partBytes = 256      // what a message within takes in memory, about
	large     = 64 << 10 // bytes from which a message is looked at before it is unpacked
)

// incoming is a message on its way in. A large one is unpacked when it is its
// turn, which lasts until the call is over.
type incoming struct {
	ctx    context.Context
	memory *guard.Memory
	into   proto.Message
	end    func() // of its turn; nil: it has none
	err    error  // why it was not unpacked
}

// receive reads a message by read, which is given what to read into.
func (in *incoming) receive(into any, read func(any) error) error {
	m, ok := into.(proto.Message)
	if !ok {
		return read(into)
	}
	in.leave()
	in.into, in.err = m, nil
	if err := read(in); in.err == nil {
		return err
	}
	return in.err
}

// enter waits for the turn of an encoded message.
func (in *incoming) enter(b []byte) {
	n := parts(b, in.into.ProtoReflect().Descriptor(), mostParts)
	if n > mostParts {
		in.err = status.Errorf(codes.InvalidArgument, "more than %d messages within one: send it in parts", mostParts)
		return
	}
	in.end, in.err = in.memory.Message(in.ctx, int64(2*len(b)+partBytes*n))
}

// leave ends the message's turn.
func (in *incoming) leave() {
	if in.end != nil {
		in.end()
		in.end = nil
	}
}

// codec is gRPC's own, but for messages that come in and for answers that go out
// by the thousand.
type codec struct{ encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2(grpcproto.Name)} }

// Marshal implements encoding.CodecV2.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	if w, ok := v.(*written); ok {
		return w.wire, nil
	}
	if b, ok := encoded(v); ok {
		return b, nil
	}
	return c.CodecV2.Marshal(v)
}

// Unmarshal implements encoding.CodecV2.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	in, ok := v.(*incoming)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	if data.Len() <= large {
		return c.CodecV2.Unmarshal(data, in.into)
	}
	whole := data.MaterializeToBuffer(in.memory)
	defer whole.Free()
	if in.enter(whole.ReadOnlyData()); in.err != nil {
		return in.err
	}
	return c.CodecV2.Unmarshal(mem.BufferSlice{whole}, in.into)
}

// parts counts the messages within an encoded one of the given kind, and stops
// above most. What cannot be read is left to the decoder.
func parts(b []byte, kind protoreflect.MessageDescriptor, most int) (n int) {
	for len(b) > 0 && n <= most {
		number, wire, size := protowire.ConsumeTag(b)
		if size < 0 {
			return n
		}
		b = b[size:]
		if size = protowire.ConsumeFieldValue(number, wire, b); size < 0 {
			return n
		}
		if field := kind.Fields().ByNumber(number); field != nil && field.Message() != nil && wire == protowire.BytesType {
			value, _ := protowire.ConsumeBytes(b)
			n += 1 + parts(value, field.Message(), most-n-1)
		}
		b = b[size:]
	}
	return n
}

// written is an answer on the wire.
type written struct{ wire mem.BufferSlice }

// roomy are the methods whose answers are made in memory that is used again.
func roomy(method string) bool {
	return method == attunev1.RecommendationService_Recommend_FullMethodName || method == attunev1.RecommendationService_SimilarItems_FullMethodName
}

// registrar registers services whose messages come in by turns.
type registrar struct {
	*grpc.Server
	memory *guard.Memory
	rooms  *api.Rooms
}

// RegisterService implements grpc.ServiceRegistrar.
func (r registrar) RegisterService(service *grpc.ServiceDesc, impl any) {
	in := *service
	in.Methods = make([]grpc.MethodDesc, len(service.Methods))
	for i, m := range service.Methods {
		again := roomy("/" + service.ServiceName + "/" + m.MethodName)
		in.Methods[i] = grpc.MethodDesc{MethodName: m.MethodName, Handler: func(srv any, ctx context.Context, decode func(any) error, chain grpc.UnaryServerInterceptor) (any, error) {
			message := incoming{ctx: ctx, memory: r.memory}
			defer message.leave()
			receive := func(v any) error { return message.receive(v, decode) }
			if !again {
				return m.Handler(srv, ctx, receive, chain)
			}
			ctx, room := r.rooms.Borrow(ctx)
			answer, err := m.Handler(srv, ctx, receive, chain)
			if err != nil {
				room.Return()
				return nil, err
			}
			wire, ok := encoded(answer) // all that looks at the answer has
			if !ok {
				return answer, nil
			}
			room.Return()
			return &written{wire}, nil
		}}
	}
	r.Server.RegisterService(&in, impl)
}
