package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/attune-rec/attune/features"
)

// Person is everything that the store has about a person, decrypted.
type Person struct {
	Shop    features.ShopID
	Key     features.UserKey
	User    *User // nil: told the shop nothing
	Consent features.Purposes
	Aliases []features.UserKey // sessions and users linked to them
	Events  []features.Event   // theirs, oldest first
	Served  []Served           // what they were answered, oldest first
	Refused []DeadLetter
	Flags   []RiskFlag // what looked like an attack by them

	Audiences []features.Membership // partners' lists they are on, expired or without their consent too
}

// everything is more than a person can have.
const everything = 1 << 40

// Export is everything about a person and nothing about others: an event that
// another user did in a session of theirs is left out.
func (s *Store) Export(ctx context.Context, shop features.ShopID, key features.UserKey) (*Person, error) {
	p := &Person{Shop: shop, Key: key}
	u, err := s.GetUser(ctx, shop, key)
	switch {
	case err == nil:
		p.User = &u
	case !errors.Is(err, ErrNotFound):
		return nil, fmt.Errorf("export: %w", err)
	}
	if p.Consent, err = s.Consent(ctx, shop, key); err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	if p.Aliases, err = s.Aliases(ctx, shop, key); err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	c := &Certificate{Keys: append([]features.UserKey{key}, p.Aliases...), until: endOfTime}
	events, err := s.History(ctx, shop, key, everything)
	if err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	for i := range events {
		if c.of(&stored{Event: events[i]}) {
			p.Events = append(p.Events, events[i])
		}
	}
	if p.Audiences, err = s.Memberships(ctx, shop, c.Keys); err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	for _, k := range c.Keys {
		if err := s.exportRows(ctx, p, k); err != nil {
			return nil, fmt.Errorf("export: %w", err)
		}
	}
	return p, nil
}

// exportRows adds the answers, refused rows and flags of one of the person's
// keys.
func (s *Store) exportRows(ctx context.Context, p *Person, k features.UserKey) error {
	flags, err := s.flags(ctx, `SELECT `+flagColumns+` FROM risk_flags WHERE shop = ? AND user_key = ? ORDER BY id`, string(p.Shop), k[:])
	if err != nil {
		return err
	}
	p.Flags = append(p.Flags, flags...)
	err = s.ScanServed(ctx, p.Shop, time.Time{}, time.Time{}, func(r *Served) error {
		if r.User == k || r.User.IsZero() && r.Session == k {
			p.Served = append(p.Served, *r)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for after := int64(0); ; {
		letters, err := s.ListDead(ctx, p.Shop, after, servedAtOnce)
		if err != nil {
			return err
		}
		for i := range letters {
			after = letters[i].ID
			if letters[i].User == k {
				p.Refused = append(p.Refused, letters[i])
			}
		}
		if len(letters) < servedAtOnce {
			return nil
		}
	}
}
