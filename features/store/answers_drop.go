package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/attune-rec/attune/features"
)

// dropOf takes the records of a person's keys out of a shop's batches, but for
// those later than until, and returns how many there were. It can be done again.
func (s *Store) dropOf(ctx context.Context, shop features.ShopID, keys []features.UserKey, until int64) (removed int64, err error) {
	mine := func(r *Served) bool {
		for _, k := range keys {
			if (r.User == k || r.Session == k) && r.Time.UnixMilli() <= until {
				return true
			}
		}
		return false
	}
	for _, k := range keys {
		n, err := s.dropAnswers(ctx, mine, `SELECT id FROM answers WHERE +shop = ? AND id > ? AND +first <= ? AND instr(subject, ?) > 0 ORDER BY id LIMIT 1`,
			string(shop), until, k[:])
		if err != nil {
			return removed, err
		}
		removed += n
	}
	return removed, nil
}

// dropBefore takes the records from before a time, in Unix milliseconds, out of
// a shop's batches, and returns how many there were.
func (s *Store) dropBefore(ctx context.Context, shop features.ShopID, before int64) (removed int64, err error) {
	err = s.writer.do(ctx, func(tx *transaction) error {
		if err := tx.get([]any{&removed}, `SELECT coalesce(sum(records), 0) FROM answers WHERE shop = ? AND last < ?`, string(shop), before); err != nil {
			return err
		}
		_, err := tx.exec(`DELETE FROM answers WHERE shop = ? AND last < ?`, string(shop), before)
		return err
	})
	if err != nil {
		return 0, err
	}
	n, err := s.dropAnswers(ctx, func(r *Served) bool { return r.Time.UnixMilli() < before },
		`SELECT id FROM answers WHERE shop = ? AND +id > ? AND first < ? ORDER BY +id LIMIT 1`, string(shop), before)
	return removed + n, err
}

// dropAnswers takes out the records that go, batch by batch: next finds the
// first batch of the shop past an id that may have some, by the shop, that id
// and args.
func (s *Store) dropAnswers(ctx context.Context, goes func(*Served) bool, next, shop string, args ...any) (removed int64, err error) {
	for id := int64(0); ; {
		err := s.read.QueryRowContext(ctx, next, append([]any{shop, id}, args...)...).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return removed, nil
		}
		if err != nil {
			return removed, err
		}
		n := 0
		err = s.writer.do(ctx, func(tx *transaction) (err error) {
			n, err = tx.dropFrom(id, goes)
			return err
		})
		if err != nil {
			return removed, err
		}
		removed += int64(n)
	}
}

// dropFrom writes a batch anew without the records that go.
func (tx *transaction) dropFrom(id int64, goes func(*Served) bool) (removed int, err error) {
	b := batch{id: id}
	err = tx.get([]any{&b.subject, &b.body}, `SELECT subject, body FROM answers WHERE id = ?`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	all, err := b.unpack(nil)
	if err != nil {
		return 0, err
	}
	var left []Served
	for i := range all {
		if !goes(&all[i]) {
			left = append(left, all[i])
		}
	}
	switch removed = len(all) - len(left); {
	case removed == 0:
		return 0, nil
	case len(left) == 0:
		_, err = tx.exec(`DELETE FROM answers WHERE id = ?`, id)
	default:
		b := packAnswers(left)
		_, err = tx.exec(`UPDATE answers SET first = ?, last = ?, records = ?, subject = ?, body = ? WHERE id = ?`,
			b.first, b.last, len(left), b.subject, b.body, id)
	}
	return removed, err
}
