package api

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"
)

// plainMessages are right, and looked at before they are interpreted.
func plainMessages() []proto.Message {
	return []proto.Message{
		&attunev1.Event{
			Id: "e1", Type: attunev1.EventType_EVENT_TYPE_PURCHASE, User: "ann", Session: "s", Item: "mug", Surface: "home", Quantity: 2,
			Time: timestamppb.Now(), Price: &attunev1.Money{Currency: "EUR", Micros: 5}, Value: 1, Order: "o", Text: "t", Target: "x",
			RecommendationId: "r", Position: 3, Attributes: map[string]string{"size": "L"},
			Context: &attunev1.Context{Market: "DE", Locale: "de-DE", Currency: "EUR", Channel: "web", Device: "phone"},
		},
		&attunev1.RecommendRequest{
			Shop: "mugs", User: "ann", Session: "s", Surface: "home-full_2", Item: "mug", Cart: []string{"cup"}, Query: "mugs", Limit: 10, PageToken: "t",
			Exclude: []string{"jug"}, PriceFrom: 1, PriceTo: 5, Categories: []string{"home/mugs"},
			Context: &attunev1.Context{Market: "DE", Locale: "de-DE", Currency: "EUR", Channel: "web", Device: "phone"},
		},
		&attunev1.SimilarItemsRequest{Shop: "mugs", Item: "mug", Limit: 10, Context: &attunev1.Context{Locale: "de"}},
		&attunev1.Event{Type: attunev1.EventType_EVENT_TYPE_SEARCH, Session: "s", Text: "mugs", Context: &attunev1.Context{Locale: "de"}},
		&attunev1.CollectRequest{Shop: "mugs", Event: &attunev1.Event{Type: attunev1.EventType_EVENT_TYPE_VIEW, User: "ann", Item: "mug"}},
		&attunev1.CollectBatchRequest{Shop: "a-1", Events: []*attunev1.Event{{}}},
		&attunev1.CollectStreamRequest{Event: &attunev1.Event{}},
		&attunev1.GetProfileRequest{Shop: "mugs", Id: "ann"},
		&attunev1.BatchGetProfilesRequest{Ids: []string{"ann", "bob"}},
	}
}

// spoil changes one field of a message, or of one below it, to a value at the
// edge of some rule.
func spoil(rng *rand.Rand, m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	f := fields.Get(rng.IntN(fields.Len()))
	switch {
	case f.IsMap():
		all := m.Mutable(f).Map()
		for range 1 + rng.IntN(3)*rng.IntN(17) {
			all.Set(protoreflect.ValueOfString(word(rng)).MapKey(), protoreflect.ValueOfString(word(rng)))
		}
	case f.IsList():
		list := m.Mutable(f).List()
		if rng.IntN(4) == 0 {
			list.Truncate(0)
		}
		n := 1
		if rng.IntN(50) == 0 {
			n = []int{31, 32, 199, 200, 998, 1000, 9_999}[rng.IntN(7)]
		}
		for range n {
			if f.Kind() == protoreflect.StringKind {
				list.Append(protoreflect.ValueOfString(word(rng)))
			} else {
				list.Append(list.NewElement())
			}
		}
	case f.Kind() == protoreflect.MessageKind:
		if rng.IntN(4) == 0 {
			m.Clear(f)
		} else {
			spoil(rng, m.Mutable(f).Message())
		}
	case f.Kind() == protoreflect.StringKind:
		m.Set(f, protoreflect.ValueOfString(word(rng)))
	case f.Kind() == protoreflect.EnumKind:
		m.Set(f, protoreflect.ValueOfEnum(protoreflect.EnumNumber(rng.IntN(29)-1)))
	case f.Kind() == protoreflect.Int32Kind:
		m.Set(f, protoreflect.ValueOfInt32([]int32{-1, 0, 1, 200, 201, 10_000, 10_001, 1_000_000, 1_000_001, math.MinInt32, math.MaxInt32}[rng.IntN(11)]))
	case f.Kind() == protoreflect.Int64Kind:
		m.Set(f, protoreflect.ValueOfInt64([]int64{-1, 0, 1, math.MinInt64, math.MaxInt64}[rng.IntN(5)]))
	case f.Kind() == protoreflect.DoubleKind:
		m.Set(f, protoreflect.ValueOfFloat64([]float64{-1, 0, 5, math.NaN(), math.Inf(1), math.Inf(-1)}[rng.IntN(6)]))
	}
}

// word is a string at the edge of some rule.
func word(rng *rand.Rand) string {
	words := []string{"", "x", "EUR", "eur", "E1R", "EURO", "de", "d", "de-", "de-AT", "1e", "de_AT", "-a", "a-", "A", "a.b", "shop\n", "é", "home_2-a", "2", "_"}
	if n := rng.IntN(2 * len(words)); n < len(words) {
		return words[n]
	}
	length := []int{35, 36, 62, 63, 64, 65, 128, 129, 256, 257, 512, 513, 1024, 1025, 4096, 4097}[rng.IntN(16)]
	return strings.Repeat([]string{"a", "é"}[rng.IntN(2)], length)
}

// TestQuickDecidesAsTheRules spoils messages at the edges of their rules: what
// is taken for plainly right is right by every rule.
func TestQuickDecidesAsTheRules(t *testing.T) {
	v, err := protovalidate.New()
	if err != nil {
		t.Fatal(err)
	}
	rounds := 1000
	if testing.Short() {
		rounds = 200
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for _, good := range plainMessages() {
		if !plain(good) {
			t.Errorf("%T %v: is not taken for right", good, good)
		}
		right, wrong := 0, 0
		for range rounds {
			m := proto.Clone(good)
			for range 1 + rng.IntN(3) {
				spoil(rng, m.ProtoReflect())
			}
			err := v.Validate(m)
			if err != nil {
				wrong++
			}
			if plain(m) {
				right++
				if err != nil {
					t.Fatalf("%T %v: is taken for right: %v", m, m, err)
				}
			}
			if got := Quick(v).Validate(m); (got == nil) != (err == nil) {
				t.Fatalf("%T %v: got %v, want %v", m, m, got, err)
			}
		}
		if right == 0 || wrong == 0 {
			t.Errorf("%T: %d spoilt messages were right and %d wrong: want some of each", good, right, wrong)
		}
	}
}
