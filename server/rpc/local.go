package rpc

import (
	"context"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Local calls the services of its own process, through the chain that every
// call passes: no connection, no headers, and no answer that is written down and
// read again. It is a grpc.ClientConnInterface, safe for concurrent use.
type Local struct {
	chain   chain
	methods map[string]local
	streams grpc.ClientConnInterface
	codec   codec
	spans   stats.Handler // nil: nothing is traced
}

// local is a method of a service.
type local struct {
	service any
	handler grpc.MethodHandler
}

// NewLocal returns a caller of services, treated as a server with the options
// treats its callers, save for TLS. Streams go over a connection.
func NewLocal(s Services, o Options, streams grpc.ClientConnInterface) *Local {
	l := &Local{chain: chain{o}, methods: map[string]local{}, streams: streams, codec: newCodec(), spans: o.spans()}
	s.register(l)
	return l
}

// RegisterService implements grpc.ServiceRegistrar.
func (l *Local) RegisterService(d *grpc.ServiceDesc, service any) {
	for _, m := range d.Methods {
		l.methods["/"+d.ServiceName+"/"+m.MethodName] = local{service, m.Handler}
	}
}

// NewStream implements grpc.ClientConnInterface.
func (l *Local) NewStream(ctx context.Context, d *grpc.StreamDesc, method string, o ...grpc.CallOption) (grpc.ClientStream, error) {
	return l.streams.NewStream(ctx, d, method, o...)
}

// Invoke implements grpc.ClientConnInterface. reply shares the memory of the
// service's answer and is for reading. Errors are those that a caller over a
// connection sees; options are not looked at.
func (l *Local) Invoke(ctx context.Context, method string, args, reply any, _ ...grpc.CallOption) (err error) {
	m, ok := l.methods[method]
	if !ok {
		return status.Errorf(codes.Unimplemented, "no method %s", strings.TrimPrefix(method, "/"))
	}
	request, isRequest := args.(proto.Message)
	into, isReply := reply.(proto.Message)
	if !isRequest || !isReply {
		return status.Errorf(codes.Internal, "%s: got %T and %T, want messages", method, args, reply)
	}
	raw, err := proto.Marshal(request)
	switch {
	case err != nil: // a text that is none
		return status.Errorf(codes.InvalidArgument, "the request cannot be written down: %v", err)
	case l.chain.o.MaxMessage > 0 && len(raw) > l.chain.o.MaxMessage:
		return status.Errorf(codes.ResourceExhausted, "the request has %d bytes, more than %d: send it in parts", len(raw), l.chain.o.MaxMessage)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // the guard counts out what nobody began
	md, _ := metadata.FromOutgoingContext(ctx)
	ctx = metadata.NewIncomingContext(ctx, md)
	if ctx, err = l.chain.o.accept(ctx, &tap.Info{FullMethodName: method}); err != nil {
		return err
	}
	if l.spans != nil {
		began := time.Now()
		ctx = l.spans.TagRPC(ctx, &stats.RPCTagInfo{FullMethodName: method})
		defer func() { l.spans.HandleRPC(ctx, &stats.End{BeginTime: began, EndTime: time.Now(), Error: err}) }()
	}
	message := incoming{ctx: ctx, memory: l.chain.o.Memory}
	defer message.leave()
	answer, err := m.handler(m.service, ctx, func(v any) error {
		return message.receive(v, func(into any) error { return l.codec.Unmarshal(mem.BufferSlice{mem.SliceBuffer(raw)}, into) })
	}, l.chain.unary)
	if err != nil {
		if _, ok := status.FromError(err); !ok {
			return status.FromContextError(err).Err()
		}
		return status.Convert(err).Err()
	}
	from, ok := answer.(proto.Message)
	if !ok {
		return status.Errorf(codes.Internal, "%s answers %T, which is no message", method, answer)
	}
	out := into.ProtoReflect()
	from.ProtoReflect().Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		out.Set(f, v)
		return true
	})
	return nil
}
