package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/attune-rec/attune/features"
)

// AllShops is the shop of a key that is good for every shop.
const AllShops features.ShopID = "*"

// APIKey is what is kept of a key that a program calls the server with.
type APIKey struct {
	ID       string
	Hash     []byte // SHA-256 of the secret part, which is not kept
	Name     string // for people
	Shops    []features.ShopID
	Roles    []string
	Rate     float64 // calls a second; 0: as the server is told
	MaxBytes int64   // of a request; 0: as the server is told
	Created  time.Time
	Expires  time.Time // zero: never
	Revoked  time.Time // zero: not
}

// Keys is the keys of the store in a data directory. It works beside the
// program that owns the directory and is safe for concurrent use.
type Keys struct {
	db    *sql.DB
	now   func() time.Time
	close func() error
}

// Keys is the keys of this store, to be read.
func (s *Store) Keys() *Keys {
	return &Keys{db: s.read.db, now: s.now, close: func() error { return nil }}
}

// OpenKeys opens the keys of the store in opts.Dir for reading and writing,
// beside a running server where there is one. A store that is new, or has an
// older schema, is brought up to date first, for which nobody else may own it.
func OpenKeys(ctx context.Context, opts Options) (*Keys, error) {
	opts = opts.withDefaults()
	s := &Store{opts: opts}
	fresh := func() error {
		if _, err := os.Stat(s.path()); err != nil {
			return err
		}
		db, err := s.connect(1, "&_pragma=query_only(true)")
		if err != nil {
			return err
		}
		return errors.Join(checkSchema(ctx, db), db.Close())
	}
	if err := fresh(); err != nil {
		owned, err := Open(ctx, opts)
		if err != nil {
			return nil, err
		}
		if err := owned.Close(); err != nil {
			return nil, err
		}
	}
	db, err := s.connect(1, "&_txlock=immediate")
	if err != nil {
		return nil, fmt.Errorf("open keys: %w", err)
	}
	return &Keys{db: db, now: func() time.Time { return s.now() }, close: db.Close}, nil
}

// Close gives back what OpenKeys took.
func (k *Keys) Close() error { return k.close() }

// Put stores a new key, durable when it returns.
func (k *Keys) Put(ctx context.Context, key APIKey) error {
	if key.ID == "" || len(key.Hash) != 32 || len(key.Roles) == 0 || len(key.Shops) == 0 {
		return errors.New("put key: an id, a SHA-256, a role and a shop are needed")
	}
	tx, err := k.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("put key: %w", err)
	}
	for _, shop := range key.Shops {
		if _, err := tx.ExecContext(ctx, `INSERT INTO api_keys (shop, id, hash, roles, name, rate, max_bytes, created, expires) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			string(shop), key.ID, key.Hash, strings.Join(key.Roles, ","), key.Name, key.Rate, key.MaxBytes,
			millisOr(key.Created, k.now()), millisOrNever(key.Expires)); err != nil {
			return errors.Join(fmt.Errorf("put key: %w", err), tx.Rollback())
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("put key: %w", err)
	}
	return nil
}

// Revoke ends a key for all its shops; ErrNotFound when there is none with that
// id. One that was revoked before stays so.
func (k *Keys) Revoke(ctx context.Context, id string) error {
	r, err := k.db.ExecContext(ctx, `UPDATE api_keys SET revoked = CASE revoked WHEN 0 THEN ? ELSE revoked END WHERE id = ?`, k.now().UnixMilli(), id)
	if err != nil {
		return fmt.Errorf("revoke key %s: %w", id, err)
	}
	if n, err := r.RowsAffected(); err != nil || n == 0 {
		return fmt.Errorf("revoke key %s: %w", id, errors.Join(ErrNotFound, err))
	}
	return nil
}

// Get is the key with that id; ErrNotFound when there is none.
func (k *Keys) Get(ctx context.Context, id string) (APIKey, error) {
	all, err := k.query(ctx, `WHERE id = ?`, id)
	if err != nil {
		return APIKey{}, err
	}
	if len(all) == 0 {
		return APIKey{}, fmt.Errorf("key: %w", ErrNotFound)
	}
	return all[0], nil
}

// List is every key, oldest first.
func (k *Keys) List(ctx context.Context) ([]APIKey, error) { return k.query(ctx, ``) }

// Any reports whether a key was ever made.
func (k *Keys) Any(ctx context.Context) (bool, error) {
	var some bool
	if err := k.db.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM api_keys)`).Scan(&some); err != nil {
		return false, fmt.Errorf("keys: %w", err)
	}
	return some, nil
}

func (k *Keys) query(ctx context.Context, where string, args ...any) ([]APIKey, error) {
	// #nosec G202 -- where is one of this file's constants
	rows, err := k.db.QueryContext(ctx, `SELECT shop, id, hash, roles, name, rate, max_bytes, created, expires, revoked FROM api_keys `+
		where+` ORDER BY created, id, shop`, args...)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	defer rows.Close()
	var all []APIKey
	for rows.Next() {
		var key APIKey
		var shop, roles string
		var created, expires, revoked int64
		if err := rows.Scan(&shop, &key.ID, &key.Hash, &roles, &key.Name, &key.Rate, &key.MaxBytes, &created, &expires, &revoked); err != nil {
			return nil, fmt.Errorf("keys: %w", err)
		}
		if i := slices.IndexFunc(all, func(o APIKey) bool { return o.ID == key.ID }); i >= 0 {
			all[i].Shops = append(all[i].Shops, features.ShopID(shop))
			continue
		}
		key.Shops, key.Roles = []features.ShopID{features.ShopID(shop)}, strings.Split(roles, ",")
		key.Created, key.Expires, key.Revoked = time.UnixMilli(created).UTC(), timeOrNever(expires), timeOrNever(revoked)
		all = append(all, key)
	}
	return all, rows.Err()
}

func millisOrNever(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func timeOrNever(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
