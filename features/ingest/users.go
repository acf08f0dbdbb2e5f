package ingest

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
)

// UserFields lists what a column can fill of a user; attr. is followed by a
// name. The last three are purposes of consent, yes or no each.
func UserFields() []string {
	return []string{"id", "market", "languages", "age_band", "gender", "region", "occupation", "income_band", "payment", "delivery",
		"registered", "friends", "follows", "groups", "attr.", "personalisation", "marketing", "analytics"}
}

// UserSink takes users; a *store.Store is one.
type UserSink interface {
	PutUsers(ctx context.Context, shop features.ShopID, users []store.User) error
	GetUser(ctx context.Context, shop features.ShopID, key features.UserKey) (store.User, error)
	PutDead(ctx context.Context, shop features.ShopID, letters []store.DeadLetter) error
	Pseudonyms(ctx context.Context, shop features.ShopID) (*features.Pseudonyms, error)
}

// Users imports a table of users. A row changes the fields it fills and leaves
// the others of a stored user as they are; a purpose of consent that a row does
// not tell stays as it was, and is not given when nothing was said before. A
// user who is as stored is not written again, so that a second import, or the
// next try of one that was interrupted, writes only what is missing.
func Users(ctx context.Context, src Source, sink UserSink, o RecordOptions) (RecordReport, error) {
	if o.Shop == "" {
		o.Shop = features.DefaultShop
	}
	names, err := sink.Pseudonyms(ctx, o.Shop)
	if err != nil {
		return RecordReport{}, fmt.Errorf("import %s: %w", src.Name(), err)
	}
	clock := times{}
	u := upsert[features.UserKey, store.User]{
		records: records{ctx: ctx, src: src, sink: sink, o: &o, kind: "user", key: names.User},
		keyOf:   names.User,
		get:     func(key features.UserKey) (store.User, error) { return sink.GetUser(ctx, o.Shop, key) },
		put:     func(users []store.User) error { return sink.PutUsers(ctx, o.Shop, users) },
		over: func(old store.User, key features.UserKey, id string, cells []cell) (store.User, error) {
			u := old
			u.Key, u.ID = key, id
			u.Personal.Attributes = nil
			for name, v := range old.Personal.Attributes {
				set(&u.Personal.Attributes, name, v)
			}
			for _, c := range cells {
				if err := userField(&u, &c, &clock); err != nil {
					return u, err
				}
			}
			return u, nil
		},
		touch: func(u *store.User) { u.Updated = time.Time{} },
	}
	return u.run()
}

func set(m *map[string]string, name, v string) {
	if *m == nil {
		*m = map[string]string{}
	}
	(*m)[name] = v
}

const mostText = 1024 // bytes of a field of a user

func userField(u *store.User, c *cell, clock *times) error {
	p := &u.Personal
	if len(c.value) > mostText && c.field != "friends" && c.field != "follows" {
		return c.wrong(fmt.Errorf("has %d bytes: at most %d are kept", len(c.value), mostText))
	}
	switch c.field {
	case "id":
	case "market":
		u.Market = c.value
	case "languages":
		u.Languages = listOf(c.value)
	case "age_band":
		p.AgeBand = c.value
	case "gender":
		p.Gender = c.value
	case "region":
		p.Region = c.value
	case "occupation":
		p.Occupation = c.value
	case "income_band":
		p.IncomeBand = c.value
	case "payment":
		p.Payment = c.value
	case "delivery":
		p.Delivery = c.value
	case "friends":
		p.Friends = listOf(c.value)
	case "follows":
		p.Follows = listOf(c.value)
	case "groups":
		p.Groups = listOf(c.value)
	case "registered":
		at, err := clock.parse(c.value)
		if err != nil {
			return c.wrong(err)
		}
		p.Registered = at
	case "personalisation", "marketing", "analytics":
		yes, err := yesNo(c.value)
		if err != nil {
			return c.wrong(err)
		}
		purpose := map[string]features.Purposes{
			"personalisation": features.Personalisation, "marketing": features.Marketing, "analytics": features.Analytics,
		}[c.field]
		var now features.Purposes
		if u.Consent != nil {
			now = *u.Consent
		}
		now &^= purpose
		if yes {
			now |= purpose
		}
		u.Consent = &now
	default:
		set(&p.Attributes, strings.TrimPrefix(c.field, "attr."), c.value)
	}
	return nil
}
