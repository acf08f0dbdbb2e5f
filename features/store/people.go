package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/attune-rec/attune/features"
)

// Choices is what the persons of a shop agreed to.
type Choices struct {
	Default features.Purposes                      // of who said nothing
	Markets map[string]features.Purposes           // likewise, in markets that have a default of their own
	Homes   map[features.UserKey]string            // markets of who said nothing and has one
	Said    map[features.UserKey]features.Purposes // of the others
}

// Of is what a person agreed to.
func (c *Choices) Of(key features.UserKey) features.Purposes {
	return c.In(key, "")
}

// In is what a person agreed to who is in a market now: what they said, or the
// default of their home market, or of that one.
func (c *Choices) In(key features.UserKey, market string) features.Purposes {
	if p, ok := c.Said[key]; ok {
		return p
	}
	if home, ok := c.Homes[key]; ok {
		market = home
	}
	if p, ok := c.Markets[market]; ok {
		return p
	}
	return c.Default
}

// Settled reports whether what a person agreed to is the same in every market.
func (c *Choices) Settled(key features.UserKey) bool {
	_, said := c.Said[key]
	_, home := c.Homes[key]
	return said || home || len(c.Markets) == 0
}

// Choices reads the consents of all persons of a shop at once, for who reads
// the whole log.
func (s *Store) Choices(ctx context.Context, shop features.ShopID) (*Choices, error) {
	c := &Choices{
		Default: features.AllPurposes, Said: map[features.UserKey]features.Purposes{}, Markets: map[string]features.Purposes{},
		Homes: map[features.UserKey]string{},
	}
	var p int64
	err := s.read.QueryRowContext(ctx, `SELECT consent FROM shops WHERE shop = ?`, string(shop)).Scan(&p)
	if errors.Is(err, sql.ErrNoRows) {
		return c, nil
	}
	if err != nil {
		return nil, fmt.Errorf("consents: %w", err)
	}
	c.Default = features.Purposes(p)
	if err := s.marketConsents(ctx, shop, c.Markets); err != nil {
		return nil, fmt.Errorf("consents: %w", err)
	}
	rows, err := s.read.QueryContext(ctx, `SELECT user_key, consent, market FROM users WHERE shop = ? AND (consent IS NOT NULL OR market <> '')`, string(shop))
	if err != nil {
		return nil, fmt.Errorf("consents: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var key []byte
		var said sql.NullInt64
		var market string
		if err := rows.Scan(&key, &said, &market); err != nil {
			return nil, fmt.Errorf("consents: %w", err)
		}
		k, err := keyFrom(key)
		if err != nil {
			return nil, err
		}
		switch {
		case said.Valid:
			c.Said[k] = features.Purposes(said.Int64)
		case len(c.Markets) > 0:
			c.Homes[k] = market
		}
	}
	return c, rows.Err()
}

// MarketConsents are the defaults of markets that have one of their own.
func (s *Store) MarketConsents(ctx context.Context, shop features.ShopID) (map[string]features.Purposes, error) {
	all := map[string]features.Purposes{}
	if err := s.marketConsents(ctx, shop, all); err != nil {
		return nil, fmt.Errorf("consents of markets: %w", err)
	}
	return all, nil
}

func (s *Store) marketConsents(ctx context.Context, shop features.ShopID, into map[string]features.Purposes) error {
	rows, err := s.read.QueryContext(ctx, `SELECT market, consent FROM market_consents WHERE shop = ?`, string(shop))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var market string
		var p int64
		if err := rows.Scan(&market, &p); err != nil {
			return err
		}
		into[market] = features.Purposes(p)
	}
	return rows.Err()
}

// Links reads all links of a shop at once: from each alias to the one it is
// linked to.
func (s *Store) Links(ctx context.Context, shop features.ShopID) (map[features.UserKey]features.UserKey, error) {
	fresh, err := s.fresh(ctx, shop)
	if err != nil {
		return nil, fmt.Errorf("links: %w", err)
	}
	waiting := fresh.all()
	rows, err := s.read.QueryContext(ctx, `SELECT alias_key, user_key FROM identities WHERE shop = ? AND undone = 0`, string(shop))
	if err != nil {
		return nil, fmt.Errorf("links: %w", err)
	}
	defer rows.Close()
	all := map[features.UserKey]features.UserKey{}
	for rows.Next() {
		var alias, user []byte
		if err := rows.Scan(&alias, &user); err != nil {
			return nil, fmt.Errorf("links: %w", err)
		}
		a, err := keyFrom(alias)
		if err != nil {
			return nil, err
		}
		if all[a], err = keyFrom(user); err != nil {
			return nil, err
		}
	}
	for alias, l := range waiting {
		all[alias] = l.user
	}
	return all, rows.Err()
}

// Touched is whose history as a whole was changed since a time: who was linked,
// unlinked or erased. What was concluded of them before no longer holds.
func (s *Store) Touched(ctx context.Context, shop features.ShopID, since time.Time) ([]features.UserKey, error) {
	fresh, err := s.fresh(ctx, shop)
	if err != nil {
		return nil, fmt.Errorf("touched: %w", err)
	}
	waiting := fresh.all()
	rows, err := s.read.QueryContext(ctx, `SELECT alias_key FROM identities WHERE shop = ?1 AND (time >= ?2 OR undone >= ?2)
		UNION SELECT user_key FROM identities WHERE shop = ?1 AND (time >= ?2 OR undone >= ?2)
		UNION SELECT user_key FROM tombstones WHERE shop = ?1 AND time >= ?2`, string(shop), since.UnixMilli())
	if err != nil {
		return nil, fmt.Errorf("touched: %w", err)
	}
	defer rows.Close()
	touched := map[features.UserKey]bool{}
	for alias, l := range waiting {
		if l.time >= since.UnixMilli() {
			touched[alias], touched[l.user] = true, true
		}
	}
	for rows.Next() {
		var key []byte
		if err := rows.Scan(&key); err != nil {
			return nil, fmt.Errorf("touched: %w", err)
		}
		k, err := keyFrom(key)
		if err != nil {
			return nil, err
		}
		touched[k] = true
	}
	return slices.SortedFunc(maps.Keys(touched), func(a, b features.UserKey) int { return bytes.Compare(a[:], b[:]) }), rows.Err()
}
