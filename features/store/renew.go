package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/attune-rec/attune/features"
)

// renewedAtOnce is how many rows one transaction encrypts anew.
const renewedAtOnce = 256

// RenewDataKeys makes a new data key for every person and shop of the data
// directory in opts.Dir, encrypts anew by it all that the old one had encrypted,
// and forgets the old one; it returns how many keys those are. It is for when
// data keys may have become known, as they have to who held the master key and
// the data at the same time: a new master key alone would leave them good for
// whatever is copied later. Pseudonyms stay as they are. Nobody else may own the
// directory meanwhile, and who reads beside has to open it anew. When it is
// stopped at any point, everything can be read, and the next call goes on.
func RenewDataKeys(ctx context.Context, opts Options) (int, error) {
	s, err := Open(ctx, opts)
	if err != nil {
		return 0, fmt.Errorf("renew data keys: %w", err)
	}
	n, err := s.renew(ctx)
	if err = errors.Join(err, s.Close()); err != nil {
		return 0, fmt.Errorf("renew data keys: %w", err)
	}
	return n, nil
}

// renew puts a new key before every old one, encrypts everything by it, and
// takes the old ones away.
func (s *Store) renew(ctx context.Context) (int, error) {
	_, err := s.changeKeys(ctx, func(old []byte) ([]byte, error) {
		if len(old) > keySize {
			return nil, nil // has one already
		}
		next, err := newKey()
		return append(next, old...), err
	})
	if err != nil {
		return 0, err
	}
	if err := s.opts.seam("new keys stand"); err != nil {
		return 0, err
	}
	shops, err := s.Shops(ctx)
	if err != nil {
		return 0, err
	}
	for _, shop := range shops {
		if err := s.renewShop(ctx, shop); err != nil {
			return 0, fmt.Errorf("shop %s: %w", shop, err)
		}
	}
	if err := s.opts.seam("encrypted anew"); err != nil {
		return 0, err
	}
	n, err := s.changeKeys(ctx, func(both []byte) ([]byte, error) {
		if len(both) == keySize {
			return nil, nil // had no old one
		}
		return slices.Clone(both[:keySize]), nil
	})
	if err != nil {
		return 0, err
	}
	return n, s.scrub(ctx)
}

// changeKeys stores what change makes of every data key, and returns of how many
// it made something; nil leaves a key as it is.
func (s *Store) changeKeys(ctx context.Context, change func([]byte) ([]byte, error)) (n int, err error) {
	defer s.keys.cache.Purge()
	shop, user := "", []byte{}
	for {
		page, err := s.wrappedAfter(ctx, dataKeys.list, shop, user)
		if err != nil || len(page) == 0 {
			return n, err
		}
		err = s.writer.do(ctx, func(tx *transaction) error {
			for i := range page {
				changed, err := s.changeKey(ctx, tx, &page[i], change)
				if err != nil {
					return fmt.Errorf("a data key of shop %s: %w", page[i].shop, err)
				}
				if changed {
					n++
				}
			}
			return nil
		})
		if err != nil {
			return n, err
		}
		shop, user = page[len(page)-1].shop, notNil(page[len(page)-1].user)
	}
}

func (s *Store) changeKey(ctx context.Context, tx *transaction, r *wrappedRow, change func([]byte) ([]byte, error)) (bool, error) {
	if len(r.wrapped) == 0 {
		return false, nil // destroyed
	}
	key, err := s.keys.keeper.Decrypt(ctx, r.wrapped)
	if err != nil {
		return false, err
	}
	defer clear(key)
	changed, err := change(key)
	if err != nil || changed == nil {
		return false, err
	}
	defer clear(changed)
	wrapped, err := s.keys.keeper.Encrypt(ctx, changed)
	if err != nil {
		return false, err
	}
	_, err = tx.exec(dataKeys.set, r.shop, notNil(r.user), wrapped)
	return err == nil, err
}

// sealedColumns are the encrypted columns of a table, under the names that they
// were encrypted by. list gives rows after one, and set writes their columns.
type sealedColumns struct {
	names     []string
	start     any // before the first row
	list, set string
}

var sealedTables = []sealedColumns{
	{[]string{"external_id", "personal"}, []byte{}, `SELECT user_key, user_key, external_id, personal FROM users WHERE shop = ? AND user_key > ? ORDER BY user_key LIMIT ?`,
		`UPDATE users SET external_id = ?3, personal = ?4 WHERE shop = ?1 AND user_key = ?2`},
	{[]string{"payload"}, int64(-1), `SELECT id, user_key, payload FROM dead_letters WHERE shop = ? AND id > ? ORDER BY id LIMIT ?`,
		`UPDATE dead_letters SET payload = ?3 WHERE shop = ?1 AND id = ?2`},
}

// sealedRow is a row of such a table.
type sealedRow struct {
	id      any
	user    []byte
	columns [][]byte
}

func (s *Store) renewShop(ctx context.Context, shop features.ShopID) error {
	for i := range sealedTables {
		t := &sealedTables[i]
		for after := t.start; ; {
			rows, err := s.sealedAfter(ctx, shop, t, after)
			if err != nil {
				return err
			}
			if len(rows) == 0 {
				break
			}
			if err := s.renewRows(ctx, shop, t, rows); err != nil {
				return err
			}
			after = rows[len(rows)-1].id
		}
	}
	l, err := s.knownShop(ctx, shop)
	if err != nil {
		return err
	}
	return l.renewEvents(ctx)
}

func (s *Store) sealedAfter(ctx context.Context, shop features.ShopID, t *sealedColumns, after any) (all []sealedRow, err error) {
	rows, err := s.read.QueryContext(ctx, t.list, string(shop), after, renewedAtOnce)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		r := sealedRow{columns: make([][]byte, len(t.names))}
		to := []any{&r.id, &r.user}
		for i := range r.columns {
			to = append(to, &r.columns[i])
		}
		if err := rows.Scan(to...); err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, rows.Err()
}

func (s *Store) renewRows(ctx context.Context, shop features.ShopID, t *sealedColumns, rows []sealedRow) error {
	for i := range rows {
		user, err := keyFrom(rows[i].user)
		if err != nil {
			return err
		}
		for c, name := range t.names {
			if rows[i].columns[c], err = s.keys.renewed(ctx, shop, user, name, rows[i].columns[c]); err != nil {
				return err
			}
		}
	}
	return s.writer.do(ctx, func(tx *transaction) error {
		for i := range rows {
			args := []any{string(shop), rows[i].id}
			for _, c := range rows[i].columns {
				args = append(args, notNil(c))
			}
			if _, err := tx.exec(t.set, args...); err != nil {
				return err
			}
		}
		return nil
	})
}

// renewEvents encrypts anew what the log has encrypted, sealed or not.
func (l *shopLog) renewEvents(ctx context.Context) error {
	s := l.store
	s.sealing.Lock() // nothing is sealed that is being changed
	defer s.sealing.Unlock()
	renew := func(e *stored) (changed bool, err error) {
		if len(e.text) == 0 && len(e.attributes) == 0 {
			return false, nil
		}
		if e.text, err = s.keys.renewed(ctx, e.Shop, e.Subject(), "text", e.text); err != nil {
			return false, err
		}
		e.attributes, err = s.keys.renewed(ctx, e.Shop, e.Subject(), "attributes", e.attributes)
		return true, err
	}
	l.mu.RLock()
	segments := slices.Clone(l.segments)
	tail, end := l.tailFrom, l.end
	l.mu.RUnlock()
	for _, g := range segments {
		private := false
		err := l.readSegment(ctx, filepath.Join(s.opts.Dir, g.File), func(e *stored) error {
			if private = len(e.text) > 0 || len(e.attributes) > 0; private {
				return errEnough
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			return err
		}
		if private {
			if _, err := l.changeSegment(ctx, g.Segment, renew, s.stamp(g.Segment)); err != nil {
				return err
			}
		}
	}
	var seqs []int64
	err := l.eachStored(ctx, tail, end, func(e *stored) error {
		if len(e.text) > 0 || len(e.attributes) > 0 {
			seqs = append(seqs, e.Seq)
		}
		return nil
	})
	if err != nil {
		return err
	}
	_, err = l.changePages(ctx, seqs, renew)
	return err
}

// stamp is a time that tells a segment's next file from the one it has.
func (s *Store) stamp(g Segment) time.Time {
	now := s.now()
	for g.File == rewrittenFile(g, now) {
		now = now.Add(time.Millisecond)
	}
	return now
}

// renewed is what was encrypted, encrypted by the newest of the person's keys;
// nil when the person's key has been destroyed.
func (k *keyring) renewed(ctx context.Context, shop features.ShopID, user features.UserKey, what string, sealed []byte) ([]byte, error) {
	plain, err := k.decrypt(ctx, shop, user, what, sealed)
	if err != nil || len(plain) == 0 {
		return nil, err
	}
	defer clear(plain)
	return k.encrypt(ctx, shop, user, what, plain)
}
