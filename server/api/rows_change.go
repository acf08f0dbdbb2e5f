package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
)

// changes is how rows of items or users are put: by the calls for them.
type changes[M proto.Message] struct {
	what    What
	one     string // field of a request that changes some fields of one
	service string
	fresh   func() M
	id      func(M) string
	subject func(id string) features.UserKey
	// put is the batch call; patch and remove those for one.
	put    func(ctx context.Context, all []M) ([]*attunev1.IndexedError, error)
	patch  func(ctx context.Context, m M, mask *fieldmaskpb.FieldMask) error
	asked  func(M, *fieldmaskpb.FieldMask) proto.Message // the request of patch
	remove func(ctx context.Context, id string) error
}

func (r *Rows) items(shop features.ShopID) changes[*attunev1.Item] {
	asked := func(it *attunev1.Item, mask *fieldmaskpb.FieldMask) *attunev1.UpsertItemRequest {
		return &attunev1.UpsertItemRequest{Shop: string(shop), Item: it, UpdateMask: mask}
	}
	return changes[*attunev1.Item]{
		what: ItemRows, one: "item", service: attunev1.CatalogService_ServiceDesc.ServiceName,
		fresh: func() *attunev1.Item { return &attunev1.Item{} }, id: (*attunev1.Item).GetId,
		subject: func(string) (nobody features.UserKey) { return nobody },
		put: func(ctx context.Context, all []*attunev1.Item) ([]*attunev1.IndexedError, error) {
			out, err := r.Catalog.BatchUpsertItems(ctx, &attunev1.BatchUpsertItemsRequest{Shop: string(shop), Items: all})
			return out.GetErrors(), err
		},
		asked: func(it *attunev1.Item, mask *fieldmaskpb.FieldMask) proto.Message { return asked(it, mask) },
		patch: func(ctx context.Context, it *attunev1.Item, mask *fieldmaskpb.FieldMask) error {
			_, err := r.Catalog.UpsertItem(ctx, asked(it, mask))
			return err
		},
		remove: func(ctx context.Context, id string) error {
			_, err := r.Catalog.DeleteItem(ctx, &attunev1.DeleteItemRequest{Shop: string(shop), Id: id})
			return err
		},
	}
}

func (r *Rows) users(shop features.ShopID, names pseudonyms) changes[*attunev1.User] {
	asked := func(u *attunev1.User, mask *fieldmaskpb.FieldMask) *attunev1.UpsertUserRequest {
		return &attunev1.UpsertUserRequest{Shop: string(shop), User: u, UpdateMask: mask}
	}
	return changes[*attunev1.User]{
		what: UserRows, one: "user", service: attunev1.UserService_ServiceDesc.ServiceName,
		fresh: func() *attunev1.User { return &attunev1.User{} }, id: (*attunev1.User).GetId, subject: names.User,
		put: func(ctx context.Context, all []*attunev1.User) ([]*attunev1.IndexedError, error) {
			out, err := r.Users.BatchUpsertUsers(ctx, &attunev1.BatchUpsertUsersRequest{Shop: string(shop), Users: all})
			return out.GetErrors(), err
		},
		asked: func(u *attunev1.User, mask *fieldmaskpb.FieldMask) proto.Message { return asked(u, mask) },
		patch: func(ctx context.Context, u *attunev1.User, mask *fieldmaskpb.FieldMask) error {
			_, err := r.Users.UpsertUser(ctx, asked(u, mask))
			return err
		},
		remove: func(ctx context.Context, id string) error {
			_, err := r.Users.DeleteUser(ctx, &attunev1.DeleteUserRequest{Shop: string(shop), Id: id})
			return err
		},
	}
}

// changing is rows of items or users on their way.
type changing[M proto.Message] struct {
	changes[M]
	r     *Rows
	shop  features.ShopID
	names pseudonyms
	out   Taken

	run     []M // put together: what changed since the last patch or deletion
	origins []origin
	raws    [][]byte
	dead    []store.DeadLetter
}

func takeChanges[M proto.Message](ctx context.Context, r *Rows, shop features.ShopID, rows []Row, c changes[M]) (Taken, error) {
	names, err := r.Events.Names.Pseudonyms(ctx, shop)
	if err != nil || len(rows) == 0 {
		return Taken{}, err
	}
	t := &changing[M]{changes: c, r: r, shop: shop, names: names}
	if r.Audit != nil {
		entry := store.Audited{Actor: r.Actor, Method: "/" + c.service + "/BatchUpsert", Detail: fmt.Sprintf("%d rows, %s to %s", len(rows), rows[0].Place, rows[len(rows)-1].Place)}
		if err := r.Audit(ctx, shop, entry); err != nil {
			return Taken{}, err
		}
	}
	for i := range rows {
		if err := t.take(ctx, &rows[i]); err != nil {
			return Taken{}, err
		}
	}
	if err := t.flush(ctx); err != nil {
		return Taken{}, err
	}
	if len(t.dead) > 0 {
		err = r.Morgue.PutDead(ctx, shop, t.dead)
	}
	return t.out, err
}

func (t *changing[M]) take(ctx context.Context, row *Row) error {
	o := originOf(row, t.what)
	if row.Value == nil {
		return t.delete(ctx, string(row.Key), o)
	}
	if top, ok := outer(row.Value, t.one); ok {
		return t.some(ctx, row.Value, top[t.one], top, o)
	}
	for i, p := range split(row.Value, string(t.what), mostChange, t.fresh) {
		at := o
		if p.several {
			at = o.part(i)
		}
		if p.err != nil {
			t.bury(at, ruleUnreadable, p.err, p.raw, "")
			continue
		}
		t.run, t.origins, t.raws = append(t.run, p.message), append(t.origins, at), append(t.raws, p.raw)
	}
	if len(t.run) >= mostPieces {
		return t.flush(ctx)
	}
	return nil
}

// some changes some fields of one, which update_mask names; without one it is put
// whole.
func (t *changing[M]) some(ctx context.Context, raw, inner []byte, top map[string]json.RawMessage, o origin) error {
	m, mask := t.fresh(), &fieldmaskpb.FieldMask{}
	err := decode(inner, mostChange, m)
	for name, value := range top {
		switch {
		case err != nil || name == t.one:
		case name == "update_mask" || name == "updateMask":
			if err = decode(value, mostChange, mask); err != nil {
				err = fmt.Errorf("update_mask: expected fields joined by commas: %w", err)
			}
		default:
			err = fmt.Errorf("unknown field %q beside %q", name, t.one)
		}
	}
	if err != nil {
		t.bury(o, ruleUnreadable, err, raw, "")
		return nil
	}
	if len(mask.GetPaths()) == 0 {
		mask = nil
	}
	if err := t.flush(ctx); err != nil {
		return err
	}
	if err = t.r.Validate.Validate(t.asked(m, mask)); err == nil {
		err = t.patch(ctx, m, mask)
	}
	if err == nil {
		t.out.Accepted++
		return nil
	}
	why := refusal(err)
	if why == nil {
		return err
	}
	t.bury(o, ruleInvalid, why, raw, t.id(m))
	return nil
}

// delete takes away what has the key; nothing where nothing has it.
func (t *changing[M]) delete(ctx context.Context, id string, o origin) error {
	if id == "" || len(id) > 256 {
		t.bury(o, ruleInvalid, fmt.Errorf("a record without a value deletes what its key names: expected an id of 1 to 256 bytes as the key: got %d", len(id)), nil, "")
		return nil
	}
	if err := t.flush(ctx); err != nil {
		return err
	}
	switch err := t.remove(ctx, id); {
	case err == nil:
		t.out.Deleted++
	case !errors.Is(err, store.ErrNotFound):
		return err
	}
	return nil
}

// flush puts what waits.
func (t *changing[M]) flush(ctx context.Context) error {
	if len(t.run) == 0 {
		return nil
	}
	refused, err := t.put(ctx, t.run)
	if err != nil {
		return err
	}
	for _, e := range refused {
		i := e.GetIndex()
		why := errors.New(e.GetError().GetMessage())
		if f := e.GetError().GetField(); f != "" {
			why = fmt.Errorf("%s: %s", f, e.GetError().GetMessage())
		}
		t.bury(t.origins[i], ruleInvalid, why, t.raws[i], t.id(t.run[i]))
	}
	t.out.Accepted += int64(len(t.run) - len(refused))
	t.run, t.origins, t.raws = t.run[:0], t.origins[:0], t.raws[:0]
	return nil
}

func (t *changing[M]) bury(o origin, rule string, why error, raw []byte, id string) {
	letter := unread(t.names, t.what, raw)
	if id != "" {
		letter.User = t.subject(id)
	}
	letter.Rule, letter.Reason, letter.Received = rule, whyRefused(why), t.r.Events.Collector.Now()
	o.sign(&letter)
	t.dead = append(t.dead, letter)
	t.out.Rejected++
}
