package api

import (
	"context"
	"strings"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/server/collect"
)

// Events is EventService.
type Events struct {
	attunev1.UnimplementedEventServiceServer
	Collector *collect.Collector
	Names     Names
	Validate  protovalidate.Validator
	Dead      Letters
	Tokens    *Tokens
}

// Collect implements the RPC.
func (s *Events) Collect(ctx context.Context, r *attunev1.CollectRequest) (*attunev1.CollectResponse, error) {
	shop, err := shopOf(r.GetShop())
	if err != nil {
		return nil, Status(err)
	}
	t, err := s.take(ctx, shop, "Collect")
	if err != nil {
		return nil, Status(err)
	}
	t.expect(1)
	t.add(0, r.GetEvent())
	if err := t.store(ctx); err != nil {
		return nil, Status(err)
	}
	if t.why != nil {
		return nil, Status(t.why)
	}
	return &attunev1.CollectResponse{Sequence: t.sequence, Duplicate: t.out.GetDuplicates() > 0}, nil
}

// Refused keeps the event of a call that was found invalid before it came here,
// with the reason. A shop that does not exist is not made for it.
func (s *Events) Refused(ctx context.Context, m proto.Message, why error) {
	r, ok := m.(*attunev1.CollectRequest)
	if !ok || r.GetEvent() == nil {
		return
	}
	shop, err := shopOf(r.GetShop())
	if err != nil {
		return
	}
	names, err := s.Names.Known(ctx, shop)
	if err != nil || names == nil {
		return
	}
	ev := eventFromProto(shop, r.GetEvent(), names, s.Collector.Now())
	refusal := &collect.Refusal{Rule: ruleInvalid, Reason: whyRefused(why)}
	s.Collector.Bury(ctx, shop, []store.DeadLetter{collect.Letter("Collect", refusal, &ev, rawEvent(r.GetEvent()))})
}

// ruleInvalid is the rule of what breaks the API's own rules.
const ruleInvalid = "invalid"

// whyRefused is a reason that is safe to keep: an error may quote what it
// refuses.
func whyRefused(err error) string {
	const most = 1 << 10
	s := strings.ToValidUTF8(err.Error(), "\uFFFD")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	return s
}

// errorsNamed is how many refused events an answer names at most.
const errorsNamed = 100

// taking is several events of one shop on their way into the store.
type taking struct {
	s      *Events
	shop   features.ShopID
	source string
	names  *sameAgain
	out    attunev1.CollectBatchResponse

	events   []features.Event
	raw      []*attunev1.Event
	index    []int64 // in the batch or stream
	dead     []store.DeadLetter
	sequence int64    // of the last event stored
	why      error    // the last event refused
	again    bool     // what is refused is kept already
	rows     []origin // what the events came from, by index, where nobody waits to be told; nil: a caller does
}

func (s *Events) take(ctx context.Context, shop features.ShopID, source string) (*taking, error) {
	names, err := s.Names.Pseudonyms(ctx, shop)
	if err != nil {
		return nil, err
	}
	return &taking{s: s, shop: shop, source: source, names: &sameAgain{Pseudonyms: names}}, nil
}

// expect makes room for so many events.
func (t *taking) expect(n int) {
	t.events, t.raw, t.index = make([]features.Event, 0, n), make([]*attunev1.Event, 0, n), make([]int64, 0, n)
}

// add takes one event in, or refuses it.
func (t *taking) add(index int64, e *attunev1.Event) {
	if e == nil {
		e = &attunev1.Event{}
	}
	err := t.s.Validate.Validate(e)
	if err == nil {
		err = checkEvent(e)
	}
	ev := eventFromProto(t.shop, e, t.names, t.s.Collector.Now())
	if err != nil {
		t.refuse(index, e.GetId(), err)
		if t.again {
			return
		}
		t.bury(index, &collect.Refusal{Rule: ruleInvalid, Reason: whyRefused(err)}, &ev, e)
		return
	}
	t.events, t.raw, t.index = append(t.events, ev), append(t.raw, e), append(t.index, index)
}

// bury keeps a refused event for the morgue.
func (t *taking) bury(index int64, why *collect.Refusal, ev *features.Event, e *attunev1.Event) {
	letter := collect.Letter(t.source, why, ev, rawEvent(e))
	if t.rows != nil {
		t.rows[index].sign(&letter)
	}
	t.dead = append(t.dead, letter)
}

func (t *taking) refuse(index int64, id string, err error) {
	t.why = err
	t.out.Rejected++
	if len(t.out.GetErrors()) < errorsNamed {
		why := itemError(err)
		why.Field = strings.TrimPrefix(why.GetField(), "event.")
		t.out.Errors = append(t.out.Errors, &attunev1.EventError{Index: index, Id: id, Error: why})
	}
}

// store makes what was added durable.
func (t *taking) store(ctx context.Context) error {
	if err := t.buried(ctx); err != nil {
		return err
	}
	if len(t.events) == 0 {
		return nil
	}
	raw := func(i int) []byte { return rawEvent(t.raw[i]) }
	if t.again || t.rows != nil {
		raw = nil
	}
	outcomes, err := t.s.Collector.Collect(ctx, t.shop, t.source, t.events, raw)
	if err != nil {
		return err
	}
	for i := range outcomes {
		switch o := &outcomes[i]; {
		case o.Refused != nil:
			t.refuse(t.index[i], t.events[i].ID, o.Refused)
			if t.rows != nil {
				t.bury(t.index[i], o.Refused, &t.events[i], t.raw[i])
			}
		case o.Duplicate:
			t.out.Duplicates++
			t.sequence = o.Seq
		default:
			t.out.Accepted++
			t.sequence = o.Seq
		}
	}
	t.events, t.raw, t.index = t.events[:0], t.raw[:0], t.index[:0]
	return t.buried(ctx)
}

// buried makes what was refused durable. A caller is told of it in any case; of
// rows nobody is, so that they are not taken when it cannot be.
func (t *taking) buried(ctx context.Context) (err error) {
	if t.rows != nil {
		err = t.s.Collector.Keep(ctx, t.shop, t.dead)
	} else {
		t.s.Collector.Bury(ctx, t.shop, t.dead)
	}
	t.dead = t.dead[:0]
	return err
}

// maxRaw is how much of a refused event is kept: four times what a valid one
// can hold in text, and far less than a request.
const maxRaw = 128 << 10

// rawEvent is an event as it came, for people to mend; nothing of one that is
// larger than any that could be mended.
func rawEvent(e *attunev1.Event) []byte {
	if proto.Size(e) > maxRaw {
		return nil
	}
	b, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(e)
	if err != nil {
		return nil
	}
	return b
}
