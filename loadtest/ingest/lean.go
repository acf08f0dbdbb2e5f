package ingest

import (
	"fmt"

	"google.golang.org/grpc/encoding"
	grpcproto "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
)

// tally is an answer of several profiles of which only the number is wanted:
// those that begin with a pseudonym.
type tally struct{ profiles int }

// lean is gRPC's codec, but for a tally: a thousand small pieces of memory for
// each answer would take the processors from the server that is measured.
type lean struct{ encoding.CodecV2 }

func newLean() lean { return lean{encoding.GetCodecV2(grpcproto.Name)} }

// Unmarshal implements encoding.CodecV2.
func (l lean) Unmarshal(data mem.BufferSlice, v any) error {
	t, ok := v.(*tally)
	if !ok {
		return l.CodecV2.Unmarshal(data, v)
	}
	whole := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer whole.Free()
	const keyField, keyDigits = 1, 32
	for b := whole.ReadOnlyData(); len(b) > 0; {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 || number != 1 || kind != protowire.BytesType {
			return fmt.Errorf("field %d of a list of profiles: %w", number, protowire.ParseError(min(n, -1)))
		}
		profile, m := protowire.ConsumeBytes(b[n:])
		if m < 0 {
			return fmt.Errorf("profile %d: %w", t.profiles, protowire.ParseError(m))
		}
		first, _, k := protowire.ConsumeTag(profile)
		if k < 0 || first != keyField {
			return fmt.Errorf("profile %d begins with field %d, want its pseudonym", t.profiles, first)
		}
		if key, k := protowire.ConsumeBytes(profile[k:]); k < 0 || len(key) != keyDigits {
			return fmt.Errorf("profile %d has no pseudonym", t.profiles)
		}
		t.profiles++
		b = b[n+m:]
	}
	return nil
}
