package rpc

import (
	"context"
	"log/slog"
	"runtime/debug"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/server/api"
	"github.com/attune-rec/attune/server/auth"
	"github.com/attune-rec/attune/server/guard"
	"github.com/attune-rec/attune/server/telemetry"
)

// RequestIDHeader carries a request's id, from the caller or else from here,
// and back to the caller.
const RequestIDHeader = "x-request-id"

// chain is what every call passes: an id, counting, rescue from a panic, who
// may call, the request's validity, and last the service.
type chain struct{ o Options }

func (c chain) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (resp any, err error) {
	ctx, id := identify(ctx)
	_ = grpc.SetHeader(ctx, metadata.MD{RequestIDHeader: {id}})
	began := time.Now()
	c.o.Calls.begin()
	var ticket *guard.Ticket
	defer func() {
		if p := recover(); p != nil {
			resp, err = nil, c.rescued(ctx, info.FullMethod, p)
		}
		err = c.finished(ctx, info.FullMethod, began, err)
		c.o.Calls.end(info.FullMethod, status.Code(err), began)
		ticket.End(err)
	}()
	if ticket, err = guard.Begin(ctx); err != nil {
		return nil, err
	}
	caller, err := c.o.Callers.Admit(ctx, info.FullMethod)
	if err != nil {
		return nil, err
	}
	if m, ok := req.(proto.Message); ok {
		if err := c.o.Callers.Check(caller, m); err != nil {
			return nil, err
		}
		if err := c.o.Validate.Validate(m); err != nil {
			if c.o.Refused != nil {
				c.o.Refused(ctx, m, err)
			}
			return nil, api.Status(err)
		}
	}
	return c.audited(auth.With(ctx, caller), req, info.FullMethod, next)
}

// audited calls the service once the call is written down; what only reads is
// written down with its answer.
func (c chain) audited(ctx context.Context, req any, method string, next grpc.UnaryHandler) (any, error) {
	m, ok := req.(proto.Message)
	if c.o.Audit == nil || !ok {
		return next(ctx, req)
	}
	if c.o.Audit.Reads(method) {
		ctx, persons := api.Telling(ctx, func(who []features.UserKey) error { return c.o.Audit.Early(ctx, method, m, who) })
		resp, err := next(ctx, req)
		if _, lacks := persons.Early(); err == nil {
			err = lacks
		}
		told, ok := resp.(proto.Message)
		switch {
		case err != nil:
			if lacks := c.o.Audit.Refused(ctx, method, m, status.Code(api.Status(err)).String()); lacks != nil {
				return nil, lacks
			}
		case ok:
			err = c.o.Audit.Answered(ctx, method, m, told, persons)
		}
		if err != nil {
			return nil, err
		}
		return resp, nil
	}
	if err := c.o.Audit.Begin(ctx, method, m); err != nil {
		return nil, err
	}
	resp, err := next(ctx, req)
	if err != nil {
		c.o.Audit.Failed(ctx, method, m, status.Code(api.Status(err)).String())
		return resp, err
	}
	if told, ok := resp.(proto.Message); ok {
		if err := c.o.Audit.Done(ctx, method, m, told); err != nil {
			return nil, err
		}
	}
	return resp, nil
}

func (c chain) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
	ctx, id := identify(ss.Context())
	_ = ss.SetHeader(metadata.MD{RequestIDHeader: {id}})
	began := time.Now()
	c.o.Calls.begin()
	var ticket *guard.Ticket
	defer func() {
		if p := recover(); p != nil {
			err = c.rescued(ctx, info.FullMethod, p)
		}
		err = c.finished(ctx, info.FullMethod, began, err)
		c.o.Calls.end(info.FullMethod, status.Code(err), began)
		ticket.End(err)
	}()
	if ticket, err = guard.Begin(ctx); err != nil {
		return err
	}
	caller, err := c.o.Callers.Admit(ctx, info.FullMethod)
	if err != nil {
		return err
	}
	if c.o.Stopping != nil && info.FullMethod == healthpb.Health_Watch_FullMethodName { // it would end with its caller only
		watched, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(c.o.Stopping, cancel)()
		ctx = watched
	}
	v := &validated{ServerStream: ss, ctx: auth.With(ctx, caller), c: c, caller: caller, in: incoming{ctx: ctx, memory: c.o.Memory}}
	defer v.in.leave()
	if !info.IsClientStream {
		v.audited = info.FullMethod
	}
	return next(srv, v)
}

// validated checks every message of a stream: whose it is, and what it says.
type validated struct {
	grpc.ServerStream
	ctx    context.Context
	c      chain
	caller *auth.Caller
	in     incoming // the message at hand

	audited string        // the method that is written down with its one request; "": none
	asked   proto.Message // that request
}

func (v *validated) Context() context.Context { return v.ctx }

func (v *validated) RecvMsg(m any) error {
	if err := v.in.receive(m, v.ServerStream.RecvMsg); err != nil {
		return err
	}
	if pm, ok := m.(proto.Message); ok {
		if err := v.c.o.Callers.Check(v.caller, pm); err != nil {
			return err
		}
		if err := v.c.o.Validate.Validate(pm); err != nil {
			return api.Status(err)
		}
		if v.audited != "" && v.c.o.Audit != nil {
			v.asked = pm
			return v.c.o.Audit.Begin(v.ctx, v.audited, pm)
		}
	}
	return nil
}

// SendMsg tells the audit log of what is answered before it is.
func (v *validated) SendMsg(m any) error {
	if pm, ok := m.(proto.Message); ok && v.asked != nil {
		if err := v.c.o.Audit.Done(v.ctx, v.audited, v.asked, pm); err != nil {
			return err
		}
	}
	return v.ServerStream.SendMsg(m)
}

func (c chain) rescued(ctx context.Context, method string, p any) error {
	c.o.Logger.ErrorContext(ctx, "a call panicked", "method", method, "panic", p, "stack", string(debug.Stack()))
	return status.Error(codes.Internal, "internal error; the server's log has the details")
}

// finished turns what the domain said into a status, and logs it: loud when it
// is the server's fault.
func (c chain) finished(ctx context.Context, method string, began time.Time, err error) error {
	if err == nil {
		if c.o.Logger.Enabled(ctx, slog.LevelDebug) {
			c.o.Logger.DebugContext(ctx, "call", "method", method, "took", time.Since(began))
		}
		return nil
	}
	out := api.Status(err)
	level := slog.LevelDebug
	switch status.Code(out) {
	case codes.Internal, codes.Unknown, codes.DataLoss, codes.Unavailable:
		level = slog.LevelError
	}
	c.o.Logger.Log(ctx, level, "call failed", "method", method, "took", time.Since(began), "code", status.Code(out).String(), "error", err)
	return out
}

// maxRequestID bounds what a caller may have written into our logs.
const maxRequestID = 64

// identify gives the call the id its caller chose, or a new one.
func identify(ctx context.Context) (context.Context, string) {
	id := ""
	if v := metadata.ValueFromIncomingContext(ctx, RequestIDHeader); len(v) > 0 && Plain(v[0]) {
		id = v[0]
	}
	if id == "" {
		id = telemetry.NewRequestID()
	}
	return telemetry.WithRequestID(ctx, id), id
}

// Plain reports whether an id is safe to log and to send back.
func Plain(id string) bool {
	if id == "" || len(id) > maxRequestID {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}
