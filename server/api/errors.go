package api

import (
	"context"
	"errors"
	"fmt"

	"buf.build/go/protovalidate"
	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/models/eval"
	"github.com/attune-rec/attune/models/release"
	"github.com/attune-rec/attune/models/vector/milvus"
	"github.com/attune-rec/attune/server/collect"
	"github.com/attune-rec/attune/server/profile"
	"github.com/attune-rec/attune/server/recommend"
	"github.com/attune-rec/attune/server/steer"
)

// domain is the ErrorInfo domain of every error that leaves the server.
const domain = "attune"

// FieldError is a mistake of the caller in one field.
type FieldError struct {
	Field   string // path in the request: "event.item"
	Message string // what was expected
}

// Error implements error.
func (e *FieldError) Error() string { return e.Field + ": " + e.Message }

func fieldErrorf(field, format string, args ...any) error {
	return &FieldError{Field: field, Message: fmt.Sprintf(format, args...)}
}

// codeOf is the one map from errors to status codes and reasons.
func codeOf(err error) (codes.Code, string) {
	var field *FieldError
	var invalid *protovalidate.ValidationError
	var surface *recommend.SurfaceError
	var refusal *collect.Refusal
	switch {
	case errors.As(err, &field), errors.As(err, &invalid), errors.Is(err, features.ErrShopID):
		return codes.InvalidArgument, "INVALID_ARGUMENT"
	case errors.Is(err, store.ErrNotFound):
		return codes.NotFound, "NOT_FOUND"
	case errors.Is(err, profile.ErrFew):
		return codes.FailedPrecondition, "TOO_FEW_SHOPPERS"
	case errors.Is(err, release.ErrNotFound):
		return codes.NotFound, "RELEASE_NOT_FOUND"
	case errors.Is(err, release.ErrCorrupt):
		return codes.FailedPrecondition, "RELEASE_CORRUPT"
	case errors.Is(err, release.ErrFormat):
		return codes.FailedPrecondition, "RELEASE_FORMAT"
	case errors.Is(err, eval.ErrUnfair):
		return codes.FailedPrecondition, "RELEASE_UNFAIR"
	case errors.Is(err, release.ErrStale):
		return codes.Aborted, "SERVING_STATE_CHANGED"
	case errors.Is(err, store.ErrStale):
		return codes.Aborted, "ETAG_CHANGED"
	case errors.Is(err, steer.ErrTooMany):
		return codes.FailedPrecondition, "TOO_MANY_RULE_SETS"
	case errors.As(err, &surface), errors.As(err, &refusal), errors.Is(err, recommend.ErrPage):
		return codes.InvalidArgument, "INVALID_ARGUMENT"
	case errors.Is(err, recommend.ErrItem):
		return codes.NotFound, "NOT_FOUND"
	case errors.Is(err, recommend.ErrNoRelease):
		return codes.FailedPrecondition, "NO_RELEASE"
	case errors.Is(err, store.ErrReadOnly):
		return codes.Unavailable, "STORE_READ_ONLY"
	case errors.Is(err, store.ErrFull):
		return codes.Unavailable, "STORE_FULL"
	case errors.Is(err, store.ErrClosed):
		return codes.Unavailable, "SHUTTING_DOWN"
	case errors.Is(err, milvus.ErrMilvus), errors.Is(err, milvus.ErrMismatch):
		return codes.Unavailable, "MILVUS_UNAVAILABLE"
	case errors.Is(err, context.DeadlineExceeded):
		return codes.DeadlineExceeded, "DEADLINE_EXCEEDED"
	case errors.Is(err, context.Canceled):
		return codes.Canceled, "CANCELLED"
	}
	return codes.Internal, "INTERNAL"
}

// Status turns an error into what the caller sees: a code, a message that says
// how to mend it, an ErrorInfo, and the fields that are wrong. An internal
// error's message stays inside: the caller gets the request id to ask for it.
// A status error passes as it is.
func Status(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	c, reason := codeOf(err)
	s := status.New(c, messageOf(c, err))
	detailed, derr := s.WithDetails(&errdetails.ErrorInfo{Reason: reason, Domain: domain})
	if derr != nil {
		return &failure{s, err}
	}
	if violations := violationsOf(err); len(violations) > 0 {
		if d, derr := detailed.WithDetails(&errdetails.BadRequest{FieldViolations: violations}); derr == nil {
			detailed = d
		}
	}
	return &failure{detailed, err}
}

// failure is a status for the caller with the error behind it for the log.
type failure struct {
	status *status.Status
	cause  error
}

// Error is the cause, for the log.
func (f *failure) Error() string { return f.cause.Error() }

// Unwrap is the cause.
func (f *failure) Unwrap() error { return f.cause }

// GRPCStatus is what the caller sees.
func (f *failure) GRPCStatus() *status.Status { return f.status }

// messageOf is what the caller may read of an error.
func messageOf(c codes.Code, err error) string {
	if c == codes.Internal {
		return "internal error; the server's log has the details"
	}
	return err.Error()
}

func violationsOf(err error) []*errdetails.BadRequest_FieldViolation {
	var field *FieldError
	if errors.As(err, &field) {
		return []*errdetails.BadRequest_FieldViolation{{Field: field.Field, Description: field.Message}}
	}
	var surface *recommend.SurfaceError
	if errors.As(err, &surface) {
		return []*errdetails.BadRequest_FieldViolation{{Field: "surface", Description: surface.Error()}}
	}
	var refusal *collect.Refusal
	if errors.As(err, &refusal) {
		return []*errdetails.BadRequest_FieldViolation{{Field: "event." + refusal.Field, Description: refusal.Reason}}
	}
	var invalid *protovalidate.ValidationError
	if !errors.As(err, &invalid) {
		return nil
	}
	out := make([]*errdetails.BadRequest_FieldViolation, 0, len(invalid.Violations))
	for _, v := range invalid.Violations {
		out = append(out, &errdetails.BadRequest_FieldViolation{
			Field: protovalidate.FieldPathString(v.Proto.GetField()), Description: v.Proto.GetMessage(),
		})
	}
	return out
}

// codeName is a code as the wire writes it: "INVALID_ARGUMENT".
func codeName(c codes.Code) string {
	for name, value := range code.Code_value {
		if value == int32(c) { // #nosec G115 -- there are 17 codes
			return name
		}
	}
	return "UNKNOWN"
}
