package store

import (
	"context"
	"fmt"
	"time"

	"github.com/attune-rec/attune/features"
)

// PutDead keeps what was refused, durable when it returns. The payload is
// encrypted under the person's data key, or the shop's own when no person is
// known. IDs are given by the store; a letter with a Key that is kept already is
// left out.
func (s *Store) PutDead(ctx context.Context, shop features.ShopID, letters []DeadLetter) error {
	if _, err := s.ensureShop(ctx, shop); err != nil {
		return fmt.Errorf("put dead letters: %w", err)
	}
	now := s.now()
	sealed := make([][]byte, len(letters))
	people := make([]features.UserKey, len(letters))
	for i := range letters {
		people[i] = letters[i].User
	}
	if err := s.keys.ensure(ctx, shop, people); err != nil {
		return fmt.Errorf("put dead letters: %w", err)
	}
	needs, err := s.Needs(ctx, shop)
	if err != nil {
		return fmt.Errorf("put dead letters: %w", err)
	}
	agreed := s.agreed(ctx, shop)
	for i := range letters {
		payload := letters[i].Payload
		if needs != nil {
			given, err := agreed(letters[i].User, "")
			if err != nil {
				return fmt.Errorf("put dead letters: %w", err)
			}
			payload = needs.payload(payload, given)
		}
		if sealed[i], err = s.keys.encrypt(ctx, shop, letters[i].User, "payload", payload); err != nil {
			return fmt.Errorf("put dead letters: %w", err)
		}
	}
	err = s.writer.do(ctx, func(tx *transaction) error {
		var id int64
		if err := tx.get([]any{&id}, `SELECT coalesce(max(id), 0) FROM dead_letters WHERE shop = ?`, string(shop)); err != nil {
			return err
		}
		for i := range letters {
			d := &letters[i]
			id++
			if _, err := tx.exec(`INSERT INTO dead_letters (shop, id, letter_key, received, source, rule, reason, user_key, payload)
				VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (shop, letter_key) WHERE letter_key <> '' DO NOTHING`,
				string(shop), id, d.Key, millisOr(d.Received, now), d.Source, d.Rule, d.Reason, keyBytes(d.User), notNil(sealed[i])); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("put dead letters: %w", err)
	}
	return nil
}

// ListDead returns at most limit dead letters with an id above after, by id.
func (s *Store) ListDead(ctx context.Context, shop features.ShopID, after int64, limit int) ([]DeadLetter, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT id, letter_key, received, source, rule, reason, user_key, payload, replayed FROM dead_letters
		WHERE shop = ? AND id > ? ORDER BY id LIMIT ?`, string(shop), after, limit)
	if err != nil {
		return nil, fmt.Errorf("list dead letters: %w", err)
	}
	defer rows.Close()
	var all []DeadLetter
	for rows.Next() {
		var d DeadLetter
		var received, replayed int64
		var user, payload []byte
		if err := rows.Scan(&d.ID, &d.Key, &received, &d.Source, &d.Rule, &d.Reason, &user, &payload, &replayed); err != nil {
			return nil, fmt.Errorf("list dead letters: %w", err)
		}
		if d.User, err = keyFrom(user); err != nil {
			return nil, err
		}
		if d.Payload, err = s.keys.decrypt(ctx, shop, d.User, "payload", payload); err != nil {
			return nil, fmt.Errorf("dead letter %d: %w", d.ID, err)
		}
		d.Received = time.UnixMilli(received).UTC()
		if replayed != 0 {
			d.Replayed = time.UnixMilli(replayed).UTC()
		}
		all = append(all, d)
	}
	return all, rows.Err()
}

// MarkReplayed notes that a dead letter was sent again; ErrNotFound when there
// is none with that id.
func (s *Store) MarkReplayed(ctx context.Context, shop features.ShopID, id int64) error {
	if err := s.writable(); err != nil {
		return fmt.Errorf("mark dead letter %d: %w", id, err)
	}
	err := s.writer.do(ctx, func(tx *transaction) error {
		r, err := tx.exec(`UPDATE dead_letters SET replayed = ? WHERE shop = ? AND id = ?`, s.now().UnixMilli(), string(shop), id)
		if err != nil {
			return err
		}
		return oneRow(r)
	})
	if err != nil {
		return fmt.Errorf("mark dead letter %d: %w", id, err)
	}
	return nil
}
