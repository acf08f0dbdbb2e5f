package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/attune-rec/attune/features"
)

const resolveQuery = `SELECT user_key FROM identities WHERE shop = ? AND alias_key = ? AND undone = 0`

// maxLinks is how many links are followed from a key: more would be a circle.
const maxLinks = 16

// Link makes the history of alias part of user's. An alias has one user at a
// time: a new link replaces the one before. A link that would close a circle is
// refused.
func (s *Store) Link(ctx context.Context, shop features.ShopID, alias, user features.UserKey) error {
	l, err := s.ensureShop(ctx, shop)
	if err != nil {
		return fmt.Errorf("link: %w", err)
	}
	if alias.IsZero() || user.IsZero() || alias == user {
		return fmt.Errorf("link: an alias and another key are needed: got %s and %s", alias, user)
	}
	circle, err := s.follow(ctx, shop, user, alias)
	if err != nil {
		return fmt.Errorf("link: %w", err)
	}
	if circle == alias {
		return fmt.Errorf("link: %s is linked to %s already", user, alias)
	}
	l.mu.RLock()
	at := l.end
	l.mu.RUnlock()
	now := s.now().UnixMilli()
	l.aliases.add(alias)
	err = s.writer.do(ctx, func(tx *transaction) error {
		if err := tx.settle(l); err != nil {
			return err
		}
		if _, err := tx.exec(`UPDATE identities SET undone = ? WHERE shop = ? AND alias_key = ? AND undone = 0`,
			now, string(shop), alias[:]); err != nil {
			return err
		}
		_, err := tx.exec(`INSERT INTO identities (shop, alias_key, user_key, seq, time) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (shop, alias_key, seq) DO UPDATE SET user_key = excluded.user_key, time = excluded.time, undone = 0`,
			string(shop), alias[:], user[:], at, now)
		return err
	})
	if err != nil {
		return fmt.Errorf("link: %w", err)
	}
	return nil
}

// linkedTo is what a key is linked to; the zero key when it is not.
func linkedTo(tx *transaction, shop features.ShopID, key features.UserKey) (to features.UserKey, err error) {
	var b []byte
	err = tx.get([]any{&b}, resolveQuery, string(shop), key[:])
	if errors.Is(err, sql.ErrNoRows) {
		return to, nil
	}
	if err != nil {
		return to, err
	}
	return keyFrom(b)
}

// Unlink takes the link of alias back; ErrNotFound when it has none.
func (s *Store) Unlink(ctx context.Context, shop features.ShopID, alias features.UserKey) error {
	if err := s.writable(); err != nil {
		return fmt.Errorf("unlink: %w", err)
	}
	l, err := s.knownShop(ctx, shop)
	if err != nil {
		return fmt.Errorf("unlink %s: %w", alias, err)
	}
	err = s.writer.do(ctx, func(tx *transaction) error {
		if err := tx.settle(l); err != nil {
			return err
		}
		r, err := tx.exec(`UPDATE identities SET undone = ? WHERE shop = ? AND alias_key = ? AND undone = 0`,
			s.now().UnixMilli(), string(shop), alias[:])
		if err != nil {
			return err
		}
		return oneRow(r)
	})
	if err != nil {
		return fmt.Errorf("unlink %s: %w", alias, err)
	}
	return nil
}

// oneRow is ErrNotFound when a change met nothing.
func oneRow(r sql.Result) error {
	n, err := r.RowsAffected()
	if err == nil && n == 0 {
		return ErrNotFound
	}
	return err
}

// Resolve is the user that key was linked to, through every link; key itself
// when there is none.
func (s *Store) Resolve(ctx context.Context, shop features.ShopID, key features.UserKey) (features.UserKey, error) {
	return s.follow(ctx, shop, key, features.UserKey{})
}

// follow goes from link to link, as far as they lead or until it meets stop.
func (s *Store) follow(ctx context.Context, shop features.ShopID, key, stop features.UserKey) (features.UserKey, error) {
	fresh, err := s.fresh(ctx, shop)
	if err != nil {
		return key, fmt.Errorf("resolve %s: %w", key, err)
	}
	var linked *knownAliases // nil: not known
	if s.writer != nil {
		s.mu.Lock()
		if l := s.shops[shop]; l != nil {
			linked = &l.aliases
		}
		s.mu.Unlock()
	}
	for range maxLinks {
		if key == stop {
			return key, nil
		}
		if l, ok := fresh.find(key); ok {
			key = l.user
			continue
		}
		if linked != nil && !linked.may(key) {
			return key, nil
		}
		var b []byte
		err := s.read.QueryRowContext(ctx, resolveQuery, string(shop), key[:]).Scan(&b)
		if errors.Is(err, sql.ErrNoRows) {
			return key, nil
		}
		if err != nil {
			return key, fmt.Errorf("resolve %s: %w", key, err)
		}
		if key, err = keyFrom(b); err != nil {
			return key, err
		}
	}
	return key, fmt.Errorf("%w: more than %d links from one key", ErrCorrupt, maxLinks)
}

// Aliases are the keys whose history is part of user's, user not included.
func (s *Store) Aliases(ctx context.Context, shop features.ShopID, user features.UserKey) ([]features.UserKey, error) {
	var all []features.UserKey
	seen := map[features.UserKey]bool{user: true}
	for next := []features.UserKey{user}; len(next) > 0; {
		direct, err := s.directAliases(ctx, shop, next[0])
		if err != nil {
			return nil, fmt.Errorf("aliases of %s: %w", user, err)
		}
		next = next[1:]
		for _, k := range direct {
			if !seen[k] {
				seen[k] = true
				all, next = append(all, k), append(next, k)
			}
		}
	}
	return all, nil
}

// aliasesQuery names its index: left alone, the planner walks the primary key
// through every link of the shop.
const aliasesQuery = `SELECT alias_key FROM identities INDEXED BY identities_by_user WHERE shop = ? AND user_key = ? AND undone = 0`

// directAliases are the keys that are linked to user itself, ascending.
func (s *Store) directAliases(ctx context.Context, shop features.ShopID, user features.UserKey) ([]features.UserKey, error) {
	fresh, err := s.fresh(ctx, shop)
	if err != nil {
		return nil, err
	}
	all := fresh.aliases(user)
	rows, err := s.read.QueryContext(ctx, aliasesQuery, string(shop), user[:])
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var b []byte
		if err := rows.Scan(&b); err != nil {
			return nil, err
		}
		k, err := keyFrom(b)
		if err != nil {
			return nil, err
		}
		all = append(all, k)
	}
	slices.SortFunc(all, func(a, b features.UserKey) int { return bytes.Compare(a[:], b[:]) })
	return slices.Compact(all), rows.Err() // one may have gone from the ones to the others meanwhile
}
