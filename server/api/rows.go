package api

import (
	"context"
	"errors"
	"fmt"
	"time"

	"buf.build/go/protovalidate"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/server/collect"
)

// What is a kind of rows.
type What string

// The kinds of rows.
const (
	EventRows What = "events"
	ItemRows  What = "items"
	UserRows  What = "users"
)

// Row is what one record of a queue holds: an event, an item or a user in the
// JSON of REST, or several of them in that of the batch calls.
type Row struct {
	Place string    // for people, one word and where in it: "Kafka orders/3@1200"
	ID    string    // the record's own and no other's, at most 64 bytes, for events that bring none
	Time  time.Time // when it was written, for events that bring no time; zero: now
	Key   []byte    // of what is deleted
	Value []byte    // nil: the item or user with that key is deleted
}

// Taken counts what became of rows; a row with several counts each.
type Taken struct{ Accepted, Duplicates, Deleted, Rejected int64 }

// Rows is the door for what comes by another way than a call. It has the checks
// of the calls; since nobody waits to be told, what is refused is always kept, as
// a dead letter with its place and the reason. It is safe for concurrent use.
type Rows struct {
	Events   *Events
	Catalog  attunev1.CatalogServiceServer
	Users    attunev1.UserServiceServer
	Morgue   collect.Morgue
	Validate protovalidate.Validator
	// Audit writes down who changed items and users, before they are; nil: nobody
	// does.
	Audit func(ctx context.Context, shop features.ShopID, entry store.Audited) error
	Actor string // who that is
}

// ruleFailed is the rule of rows that every attempt to take failed for.
const ruleFailed = "failed"

// Take takes rows of one kind in order. When it returns nil, all of them are
// durable: taken, or kept with the reason. An error says that some may not be,
// and they can be taken again: what was stored is not stored twice.
func (r *Rows) Take(ctx context.Context, shop features.ShopID, what What, rows []Row) (Taken, error) {
	switch what {
	case EventRows:
		return r.takeEvents(ctx, shop, rows)
	case ItemRows:
		return takeChanges(ctx, r, shop, rows, r.items(shop))
	case UserRows:
		names, err := r.Events.Names.Pseudonyms(ctx, shop)
		if err != nil {
			return Taken{}, err
		}
		return takeChanges(ctx, r, shop, rows, r.users(shop, names))
	}
	return Taken{}, fmt.Errorf("rows of %q: expected %s, %s or %s", what, EventRows, ItemRows, UserRows)
}

// Bury keeps a row that cannot be taken although others can.
func (r *Rows) Bury(ctx context.Context, shop features.ShopID, what What, row Row, why error) error {
	names, err := r.Events.Names.Pseudonyms(ctx, shop)
	if err != nil {
		return err
	}
	kept := unread(names, what, row.Value)
	kept.Rule, kept.Reason, kept.Received = ruleFailed, whyRefused(why), r.Events.Collector.Now()
	originOf(&row, what).sign(&kept)
	if what != EventRows {
		return r.Morgue.PutDead(ctx, shop, []store.DeadLetter{kept})
	}
	return r.Events.Collector.Keep(ctx, shop, []store.DeadLetter{kept})
}

// Passing reports an error that says nothing of what was to be taken: the store
// is full, closed, read-only or slow.
func Passing(err error) bool {
	switch c, _ := codeOf(err); c {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.Aborted:
		return true
	default:
		return false
	}
}

// origin is where a row came from.
type origin struct{ place, id string }

// doors are the words that sources of letters begin with, by kind: as those of
// calls do, so that events are replayed as those of calls are.
var doors = map[What]string{EventRows: "Collect", ItemRows: "UpsertItem", UserRows: "UpsertUser"} //nolint:gochecknoglobals // a table

func originOf(r *Row, what What) origin { return origin{place: doors[what] + r.Place, id: r.ID} }

// part is the origin of the i-th of several in a row.
func (o origin) part(i int) origin {
	return origin{place: fmt.Sprintf("%s#%d", o.place, i), id: fmt.Sprintf("%s-%d", o.id, i)}
}

// sign has a letter say where it is from. One row has one letter for each rule,
// however often it is read.
func (o origin) sign(d *store.DeadLetter) {
	d.Source, d.Key = o.place, "row:"+o.id+":"+d.Rule
}

func (r *Rows) takeEvents(ctx context.Context, shop features.ShopID, rows []Row) (Taken, error) {
	t, err := r.Events.take(ctx, shop, "Collect")
	if err != nil {
		return Taken{}, err
	}
	t.expect(len(rows))
	t.rows = make([]origin, 0, len(rows))
	for i := range rows {
		for n, p := range split(rows[i].Value, "events", mostEvent, func() *attunev1.Event { return &attunev1.Event{} }) {
			o := originOf(&rows[i], EventRows)
			if p.several {
				o = o.part(n)
			}
			t.rows = append(t.rows, o)
			t.row(p, o, rows[i].Time)
			if len(t.events) < store.MaxBatch {
				continue
			}
			if err := t.store(ctx); err != nil {
				return Taken{}, err
			}
		}
	}
	if err := t.store(ctx); err != nil {
		return Taken{}, err
	}
	return Taken{Accepted: t.out.GetAccepted(), Duplicates: t.out.GetDuplicates(), Rejected: t.out.GetRejected()}, nil
}

// row takes in an event of a row, or refuses it.
func (t *taking) row(p piece[*attunev1.Event], o origin, written time.Time) {
	index := int64(len(t.rows) - 1)
	if p.err != nil {
		t.refuse(index, "", p.err)
		letter := unread(t.names, EventRows, p.raw)
		letter.Rule, letter.Reason, letter.Received = ruleUnreadable, whyRefused(p.err), t.s.Collector.Now()
		o.sign(&letter)
		t.dead = append(t.dead, letter)
		return
	}
	if p.message.GetId() == "" {
		p.message.Id = o.id
	}
	if p.message.GetTime() == nil && !written.IsZero() {
		p.message.Time = timestamppb.New(written)
	}
	t.add(index, p.message)
}

// refusal is why the sender must mend something, by an error of a call; nil
// where it need not.
func refusal(err error) error {
	switch c, _ := codeOf(err); {
	case errors.Is(err, store.ErrNotFound):
		return errors.New("there is none with this id to change: send it whole first")
	case c == codes.InvalidArgument:
		return err
	}
	return nil
}
