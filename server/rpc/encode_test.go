package rpc

import (
	"bytes"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"
)

// scatter sets fields of m at random, and those of the messages within, whatever
// fields there are.
func scatter(rng *rand.Rand, m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if rng.IntN(3) == 0 {
			continue
		}
		switch {
		case f.IsList():
			list := m.Mutable(f).List()
			for range rng.IntN(4) {
				v := list.NewElement()
				if f.Message() != nil {
					scatter(rng, v.Message())
				} else {
					v = protoreflect.ValueOfString([]string{"", "x", "é中"}[rng.IntN(3)])
				}
				list.Append(v)
			}
		case f.Kind() == protoreflect.MessageKind:
			scatter(rng, m.Mutable(f).Message())
		case f.Kind() == protoreflect.StringKind:
			m.Set(f, protoreflect.ValueOfString(strings.Repeat([]string{"", "x", "é中"}[rng.IntN(3)], []int{1, 20, 127, 128, 700}[rng.IntN(5)])))
		case f.Kind() == protoreflect.DoubleKind:
			m.Set(f, protoreflect.ValueOfFloat64([]float64{0, math.Copysign(0, -1), 1.5, math.NaN(), math.Inf(1)}[rng.IntN(5)]))
		case f.Kind() == protoreflect.Int64Kind:
			m.Set(f, protoreflect.ValueOfInt64([]int64{0, 1, -1, math.MaxInt64, 127, 128, 1 << 40}[rng.IntN(7)]))
		case f.Kind() == protoreflect.Int32Kind:
			m.Set(f, protoreflect.ValueOfInt32([]int32{0, 1, -1, math.MaxInt32, 127, 128}[rng.IntN(6)]))
		case f.Kind() == protoreflect.BoolKind:
			m.Set(f, protoreflect.ValueOfBool(rng.IntN(2) == 0))
		}
	}
}

// The library is the twin: the same bytes, whatever is in an answer, which tells
// too when an answer has a field that is not written yet.
func TestAnswersAreEncodedAsByTheLibrary(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		for _, m := range []proto.Message{&attunev1.RecommendResponse{}, &attunev1.SimilarItemsResponse{}, &attunev1.BatchGetProfilesResponse{}} {
			scatter(rng, m.ProtoReflect())
			want, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			got, err := newCodec().Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			if b := got.MaterializeToBuffer(mem.DefaultBufferPool()).ReadOnlyData(); !bytes.Equal(b, want) {
				t.Fatalf("%v: got %x, want %x", m, b, want)
			}
			got.Free()
		}
	}
}

func TestTextsThatAreNoUTF8DoNotGoOut(t *testing.T) {
	m := &attunev1.SimilarItemsResponse{Items: []*attunev1.RecommendedItem{{Title: "\xff", Item: strings.Repeat("x", 2000)}}}
	if _, err := newCodec().Marshal(m); err == nil {
		t.Fatal("got no error for a text that is not UTF-8")
	}
}
