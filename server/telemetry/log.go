package telemetry

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"io"
	"log/slog"
	"math/rand/v2"
)

type requestKey struct{}

// identified is a context with the id of its request; it takes one piece of
// memory, of which every request needs one.
type identified struct {
	context.Context
	id string
}

// Value implements context.Context.
func (c *identified) Value(key any) any {
	if _, ok := key.(requestKey); ok {
		return c.id
	}
	return c.Context.Value(key)
}

// WithRequestID returns ctx with the id of the request, which every line
// logged under it carries.
func WithRequestID(ctx context.Context, id string) context.Context {
	return &identified{ctx, id}
}

// RequestID is the id that WithRequestID put in, or "".
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestKey{}).(string)
	return id
}

// NewLogger writes structured lines, JSON or key=value, from level on.
func NewLogger(w io.Writer, json bool, level slog.Level) *slog.Logger {
	var h slog.Handler
	o := &slog.HandlerOptions{Level: level}
	if json {
		h = slog.NewJSONHandler(w, o)
	} else {
		h = slog.NewTextHandler(w, o)
	}
	return slog.New(handler{h})
}

// handler adds the request's id.
type handler struct{ slog.Handler }

func (h handler) Handle(ctx context.Context, r slog.Record) error {
	if id := RequestID(ctx); id != "" {
		r.AddAttrs(slog.String("request_id", id))
	}
	return h.Handler.Handle(ctx, r)
}

func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.Handler.WithAttrs(attrs)}
}

func (h handler) WithGroup(name string) slog.Handler { return handler{h.Handler.WithGroup(name)} }

// NewRequestID is a random id of 16 hexadecimal digits.
func NewRequestID() string {
	var b [8]byte
	var text [16]byte
	binary.LittleEndian.PutUint64(b[:], rand.Uint64())
	hex.Encode(text[:], b[:])
	return string(text[:])
}
