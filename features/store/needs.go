package store

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/attune-rec/attune/features"
)

// Needs says for which purposes a shop needs a field of its persons
// ("user.gender") or of their events ("event.device"); 0 is for none. A field
// that no purpose needs is not stored, and one that some need is stored of those
// only who agreed to one of them. "user.attributes" and "event.attributes" stand
// for all attributes that have no line of their own
// ("user.attributes.shoe_size"). What is not named is stored.
type Needs map[string]features.Purposes

// userFields clear what can go of a person, by field; what the engine itself
// cannot do without (the id, consent, market) has no line.
var userFields = map[string]func(u *User){ //nolint:gochecknoglobals // a table
	"user.languages":   func(u *User) { u.Languages = nil },
	"user.age_band":    func(u *User) { u.Personal.AgeBand = "" },
	"user.gender":      func(u *User) { u.Personal.Gender = "" },
	"user.region":      func(u *User) { u.Personal.Region = "" },
	"user.occupation":  func(u *User) { u.Personal.Occupation = "" },
	"user.income_band": func(u *User) { u.Personal.IncomeBand = "" },
	"user.payment":     func(u *User) { u.Personal.Payment = "" },
	"user.delivery":    func(u *User) { u.Personal.Delivery = "" },
	"user.registered":  func(u *User) { u.Personal.Registered = time.Time{} },
	"user.friends":     func(u *User) { u.Personal.Friends = nil },
	"user.follows":     func(u *User) { u.Personal.Follows = nil },
	"user.groups":      func(u *User) { u.Personal.Groups = nil },
}

// eventFields are those of events.
var eventFields = map[string]func(e *features.Event){ //nolint:gochecknoglobals // a table
	"event.channel": func(e *features.Event) { e.Channel = "" },
	"event.device":  func(e *features.Event) { e.Device = "" },
	"event.locale":  func(e *features.Event) { e.Locale = "" },
	"event.text":    func(e *features.Event) { e.Text = "" },
	"event.target":  func(e *features.Event) { e.Target = "" },
}

const (
	userAttributes  = "user.attributes"
	eventAttributes = "event.attributes"
)

// Validate reports a field that has no line.
func (n Needs) Validate() error {
	for _, field := range slices.Sorted(maps.Keys(n)) {
		if userFields[field] != nil || eventFields[field] != nil {
			continue
		}
		attribute := false
		for _, all := range []string{userAttributes, eventAttributes} {
			name, ok := strings.CutPrefix(field, all)
			attribute = attribute || ok && (name == "" || len(name) > 1 && name[0] == '.')
		}
		if !attribute {
			known := slices.Concat(slices.Collect(maps.Keys(userFields)), slices.Collect(maps.Keys(eventFields)), []string{userAttributes, eventAttributes})
			slices.Sort(known)
			return fmt.Errorf("unknown field %q: expected %s, or one attribute such as %s.shoe_size", field, strings.Join(known, ", "), userAttributes)
		}
	}
	return nil
}

// keeps reports whether a field is stored of who agreed to given.
func (n Needs) keeps(field string, given features.Purposes) bool {
	p, ok := n[field]
	return !ok || p&given != 0
}

// attributes is all without those that are not stored; all itself where that is
// every one.
func (n Needs) attributes(under string, all map[string]string, given features.Purposes) map[string]string {
	goes := func(name string) bool {
		if _, own := n[under+"."+name]; own {
			return !n.keeps(under+"."+name, given)
		}
		return !n.keeps(under, given)
	}
	for name := range all {
		if goes(name) {
			kept := maps.Clone(all)
			maps.DeleteFunc(kept, func(name, _ string) bool { return goes(name) })
			return kept
		}
	}
	return all
}

func (n Needs) user(u *User, given features.Purposes) {
	for field, forget := range userFields {
		if !n.keeps(field, given) {
			forget(u)
		}
	}
	if u.Personal.Attributes = n.attributes(userAttributes, u.Personal.Attributes, given); len(u.Personal.Attributes) == 0 {
		u.Personal.Attributes = nil
	}
}

func (n Needs) event(e *features.Event, given features.Purposes) {
	for field, forget := range eventFields {
		if !n.keeps(field, given) {
			forget(e)
		}
	}
	e.Attributes = n.attributes(eventAttributes, e.Attributes, given)
}

// payload is a refused row without what would not be stored of it, by the names
// of its columns; one that is no JSON object is kept as it is.
func (n Needs) payload(raw []byte, given features.Purposes) []byte {
	var row map[string]json.RawMessage
	if json.Unmarshal(raw, &row) != nil {
		return raw
	}
	if !n.object(row, given) {
		return raw
	}
	left, err := json.Marshal(row)
	if err != nil {
		return raw
	}
	return left
}

// object takes out of a row what would not be stored, and reports whether it
// took anything. A client's event has some of its fields in a context.
func (n Needs) object(row map[string]json.RawMessage, given features.Purposes) (took bool) {
	for name, value := range row {
		var inner map[string]json.RawMessage
		within := json.Unmarshal(value, &inner) == nil && inner != nil
		switch {
		case !n.keeps("event."+snake(name), given) || !n.keeps("user."+snake(name), given):
			if name != "attributes" || !within {
				delete(row, name)
				took = true
				continue
			}
			fallthrough
		case name == "attributes" && within:
			changed := false
			for attribute := range inner {
				if !n.either(attribute, given) {
					delete(inner, attribute)
					changed = true
				}
			}
			if !changed {
				continue
			}
		case within:
			if !n.object(inner, given) {
				continue
			}
		default:
			continue
		}
		if left, err := json.Marshal(inner); err == nil {
			row[name], took = left, true
		}
	}
	return took
}

// either reports whether an attribute of something refused, which may be a
// person's or an event's, is kept: what has a line of its own by that.
func (n Needs) either(attribute string, given features.Purposes) bool {
	own := false
	for _, all := range []string{eventAttributes, userAttributes} {
		if _, ok := n[all+"."+attribute]; ok {
			own = true
			if n.keeps(all+"."+attribute, given) {
				return true
			}
		}
	}
	return !own && n.keeps(eventAttributes, given) && n.keeps(userAttributes, given)
}

// snake is ageBand as age_band.
func snake(name string) string {
	var b strings.Builder
	for _, r := range name {
		if r >= 'A' && r <= 'Z' {
			b.WriteByte('_')
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// SetNeeds makes these what the shop needs, and no others. It holds for what is
// stored from then on.
func (s *Store) SetNeeds(ctx context.Context, shop features.ShopID, n Needs) error {
	if err := n.Validate(); err != nil {
		return fmt.Errorf("needs: %w", err)
	}
	if _, err := s.ensureShop(ctx, shop); err != nil {
		return fmt.Errorf("needs: %w", err)
	}
	err := s.writer.do(ctx, func(tx *transaction) error {
		if _, err := tx.exec(`DELETE FROM needs WHERE shop = ?`, string(shop)); err != nil {
			return err
		}
		for field, p := range n {
			if _, err := tx.exec(`INSERT INTO needs (shop, field, purposes) VALUES (?, ?, ?)`, string(shop), field, int64(p)); err != nil {
				return err
			}
		}
		return nil
	})
	s.needs.Delete(shop)
	if err != nil {
		return fmt.Errorf("needs: %w", err)
	}
	return nil
}

// Needs is what the shop needs; nil where it named nothing.
func (s *Store) Needs(ctx context.Context, shop features.ShopID) (Needs, error) {
	if known, ok := s.needs.Load(shop); ok {
		return known.(Needs), nil
	}
	rows, err := s.read.QueryContext(ctx, `SELECT field, purposes FROM needs WHERE shop = ?`, string(shop))
	if err != nil {
		return nil, fmt.Errorf("needs: %w", err)
	}
	defer rows.Close()
	var n Needs
	for rows.Next() {
		var field string
		var p int64
		if err := rows.Scan(&field, &p); err != nil {
			return nil, fmt.Errorf("needs: %w", err)
		}
		if n == nil {
			n = Needs{}
		}
		n[field] = features.Purposes(p) // #nosec G115 -- three bits
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("needs: %w", err)
	}
	s.needs.Store(shop, n)
	return n, nil
}

// minimise stores a person anew, without what no purpose needs that they agreed
// to.
func (s *Store) minimise(ctx context.Context, shop features.ShopID, key features.UserKey) error {
	if n, err := s.Needs(ctx, shop); err != nil || n == nil {
		return err
	}
	u, err := s.GetUser(ctx, shop, key)
	if err != nil {
		return err
	}
	return s.PutUsers(ctx, shop, []User{u})
}

// agreed tells what persons agreed to, each asked for once.
func (s *Store) agreed(ctx context.Context, shop features.ShopID) func(features.UserKey, string) (features.Purposes, error) {
	known := map[features.UserKey]features.Purposes{}
	return func(who features.UserKey, market string) (features.Purposes, error) {
		if p, ok := known[who]; ok {
			return p, nil
		}
		p, err := s.ConsentIn(ctx, shop, who, market)
		if err == nil {
			known[who] = p
		}
		return p, err
	}
}
