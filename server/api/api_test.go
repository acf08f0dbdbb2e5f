package api

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/models/release"
	"github.com/attune-rec/attune/server/recommend"
)

func TestErrorsBecomeCodes(t *testing.T) {
	for _, c := range []struct {
		err    error
		code   codes.Code
		reason string
	}{
		{fieldErrorf("event.item", "expected one"), codes.InvalidArgument, "INVALID_ARGUMENT"},
		{fmt.Errorf("shop: %w", features.ErrShopID), codes.InvalidArgument, "INVALID_ARGUMENT"},
		{fmt.Errorf("get: %w", store.ErrNotFound), codes.NotFound, "NOT_FOUND"},
		{fmt.Errorf("open: %w", release.ErrCorrupt), codes.FailedPrecondition, "RELEASE_CORRUPT"},
		{release.ErrStale, codes.Aborted, "SERVING_STATE_CHANGED"},
		{recommend.ErrNoRelease, codes.FailedPrecondition, "NO_RELEASE"},
		{context.DeadlineExceeded, codes.DeadlineExceeded, "DEADLINE_EXCEEDED"},
		{errors.New("disk on fire"), codes.Internal, "INTERNAL"},
	} {
		s := status.Convert(Status(c.err))
		if s.Code() != c.code {
			t.Errorf("%v: got %v, want %v", c.err, s.Code(), c.code)
		}
		info, ok := s.Details()[0].(*errdetails.ErrorInfo)
		if !ok || info.GetReason() != c.reason || info.GetDomain() != domain {
			t.Errorf("%v: got details %v, want reason %s", c.err, s.Details(), c.reason)
		}
		if c.code == codes.Internal && s.Message() == c.err.Error() {
			t.Errorf("an internal message left the server: %q", s.Message())
		}
	}
}

func TestFieldErrorNamesTheField(t *testing.T) {
	s := status.Convert(Status(fieldErrorf("event.item", "expected one")))
	for _, d := range s.Details() {
		if bad, ok := d.(*errdetails.BadRequest); ok {
			if v := bad.GetFieldViolations()[0]; v.GetField() != "event.item" || v.GetDescription() != "expected one" {
				t.Fatalf("got %v", v)
			}
			return
		}
	}
	t.Fatalf("got %v, want a field violation", s.Details())
}

func TestTokensAreBoundAndSigned(t *testing.T) {
	tokens := NewTokens([]byte("secret"))
	token, err := tokens.Seal("items/default", "85123A")
	if err != nil {
		t.Fatal(err)
	}
	var got string
	if err := tokens.Open("items/default", token, &got); err != nil || got != "85123A" {
		t.Fatalf("got %q, %v", got, err)
	}
	var field *FieldError
	for _, bad := range []string{"", "x", token[:len(token)-2], "A" + token[1:]} {
		if bad == token {
			continue
		}
		if err := tokens.Open("items/default", bad, &got); !errors.As(err, &field) {
			t.Errorf("%q: got %v, want a field error", bad, err)
		}
	}
	if err := tokens.Open("items/other", token, &got); !errors.As(err, &field) {
		t.Errorf("another purpose: got %v, want a field error", err)
	}
}

func FuzzTokenOpen(f *testing.F) {
	tokens := NewTokens([]byte("secret"))
	token, err := tokens.Seal("items", "a")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(token)
	f.Add("")
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, s string) {
		var got string
		if err := tokens.Open("items", s, &got); err == nil && got != "a" {
			t.Fatalf("token %q was never made and opens to %q", s, got)
		}
	})
}

func TestMergeChangesTheNamedFieldsOnly(t *testing.T) {
	stored := &attunev1.Item{Id: "1", Title: "old", Brand: "kept", Tags: []string{"a"}}
	given := &attunev1.Item{Id: "1", Title: "new", Brand: "ignored"}
	if err := merge(stored, given, &fieldmaskpb.FieldMask{Paths: []string{"title", "tags"}}); err != nil {
		t.Fatal(err)
	}
	want := &attunev1.Item{Id: "1", Title: "new", Brand: "kept"}
	if !proto.Equal(stored, want) {
		t.Fatalf("got %v, want %v", stored, want)
	}
	var field *FieldError
	for _, path := range []string{"nothing", "id", "create_time", "title.x"} {
		err := merge(stored, given, &fieldmaskpb.FieldMask{Paths: []string{path}})
		if !errors.As(err, &field) || field.Field != "update_mask" {
			t.Errorf("%q: got %v, want a mistake in update_mask", path, err)
		}
	}
}

func TestItemsSurviveConversion(t *testing.T) {
	filled := 0
	in := &attunev1.Item{
		Id: "85123A", Kind: "product", Title: "Holder", Description: "holds", Language: "en", Category: []string{"Home", "Light"}, Brand: "b",
		Seller: "acme", Group: "g", Markets: []string{"DE"}, Images: []string{"https://example.org/a.png"},
		Variants:   map[string]*attunev1.ItemText{"de": {Title: "Halter", Description: "haelt"}},
		Prices:     map[string]*attunev1.Money{"": {Currency: "GBP", Micros: 2550000}},
		ListPrices: map[string]*attunev1.Money{"DE": {Currency: "EUR", Micros: 3550000}},
		Costs:      map[string]*attunev1.Money{"": {Currency: "GBP", Micros: 550000}},
		Stock:      map[string]int32{"DE": 3}, Tags: []string{"t"}, Attributes: map[string]string{"colour": "white"},
		SaleStart: timestamppb.New(time.Unix(1, 0)), SaleEnd: timestamppb.New(time.Unix(2, 0)),
		MinAge: 18, DeliveryDays: 2, Rating: 4.5, ReturnRate: .125, Sales: 1 << 40, Hidden: true, Sponsor: "s", Links: []string{"x"},
		CreateTime: timestamppb.New(time.Unix(3, 0)), UpdateTime: timestamppb.New(time.Unix(4, 0)),
	}
	in.ProtoReflect().Range(func(protoreflect.FieldDescriptor, protoreflect.Value) bool { filled++; return true })
	if want := in.ProtoReflect().Descriptor().Fields().Len(); filled != want {
		t.Fatalf("got %d fields filled of %d: fill what is new", filled, want)
	}
	it := itemFromProto(in)
	it.Created, it.Updated = in.GetCreateTime().AsTime(), in.GetUpdateTime().AsTime() // set by the server
	if got := itemToProto(&it); !proto.Equal(got, in) {
		t.Fatalf("got %v, want %v", got, in)
	}
}

func TestUsersSurviveConversion(t *testing.T) {
	names, err := features.NewPseudonyms([]byte("a secret of the first shop"))
	if err != nil {
		t.Fatal(err)
	}
	in := &attunev1.User{
		Id: "12583", Consent: &attunev1.Consent{Personalisation: true}, Market: "France", Languages: []string{"fr"}, AgeBand: "25-34",
		Gender: "f", Region: "Brittany", Occupation: "teacher", IncomeBand: "b", PaymentMethod: "card", DeliveryPreference: "home",
		Friends: []string{"1"}, Follows: []string{"2"}, Groups: []string{"g"}, Attributes: map[string]string{"k": "v"},
	}
	u := userFromProto(in, names)
	if u.Key != names.User("12583") {
		t.Fatalf("got key %v", u.Key)
	}
	if got := userToProto(&u); !proto.Equal(got, in) {
		t.Fatalf("got %v, want %v", got, in)
	}
}

func TestEventsAreCheckedBeyondTheirAnnotations(t *testing.T) {
	for _, c := range []struct {
		event *attunev1.Event
		field string
	}{
		{&attunev1.Event{Type: attunev1.EventType_EVENT_TYPE_RATING, Value: 6}, "event.value"},
		{&attunev1.Event{Type: attunev1.EventType_EVENT_TYPE_DWELL}, "event.value"},
		{&attunev1.Event{Type: attunev1.EventType_EVENT_TYPE_SEARCH}, "event.text"},
		{&attunev1.Event{Type: attunev1.EventType_EVENT_TYPE_SHARE}, "event.target"},
	} {
		var field *FieldError
		if err := checkEvent(c.event); !errors.As(err, &field) || field.Field != c.field {
			t.Errorf("%v: got %v, want a mistake in %s", c.event, err, c.field)
		}
	}
	if err := checkEvent(&attunev1.Event{Type: attunev1.EventType_EVENT_TYPE_VIEW}); err != nil {
		t.Errorf("a view: got %v", err)
	}
}
