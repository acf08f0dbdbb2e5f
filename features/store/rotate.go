package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"gocloud.dev/secrets"
	"gocloud.dev/secrets/localsecrets"
)

// nextKey is what the file of a new master key is called beside that of the old
// one, until everything is wrapped by it.
const nextKey = ".next"

// wrappedKeys is a column that the master key wraps, in pages by key.
type wrappedKeys struct{ list, set string }

var (
	shopSecrets = wrappedKeys{`SELECT shop, x'', secret FROM shops WHERE shop > ?1 ORDER BY shop LIMIT 1000`, `UPDATE shops SET secret = ?3 WHERE shop = ?1 AND ?2 = x''`}
	dataKeys    = wrappedKeys{`SELECT shop, user_key, wrapped FROM data_keys WHERE (shop, user_key) > (?1, ?2) ORDER BY shop, user_key LIMIT 1000`,
		`UPDATE data_keys SET wrapped = ?3 WHERE shop = ?1 AND user_key = ?2`}
)

// RotateMasterKey makes a new master key for the data directory in opts.Dir,
// wraps every data key and every shop's secret by it, and returns how many those
// are. The old key opens nothing there afterwards; a backup from before still
// needs it. Nobody else may own the directory meanwhile, and who reads beside has
// to open it anew. When it is stopped at any point, the next opening finds the
// key that fits.
func RotateMasterKey(ctx context.Context, opts Options) (int, error) {
	if opts.Keeper != nil {
		return 0, errors.New("rotate the master key: it is kept elsewhere, rotate it there")
	}
	s, err := Open(ctx, opts)
	if err != nil {
		return 0, fmt.Errorf("rotate the master key: %w", err)
	}
	n, err := s.rotate(ctx)
	if err = errors.Join(err, s.Close()); err != nil {
		return 0, fmt.Errorf("rotate the master key: %w", err)
	}
	return n, nil
}

func (s *Store) keyFile() string { return filepath.Join(s.opts.Dir, "master.key") }

func (s *Store) rotate(ctx context.Context) (n int, err error) {
	key, err := localsecrets.NewRandomKey()
	if err != nil {
		return 0, err
	}
	next := localsecrets.NewKeeper(key)
	defer func() { err = errors.Join(err, next.Close()) }()
	text := []byte(base64.StdEncoding.EncodeToString(key[:]) + "\n")
	path := s.keyFile() + nextKey
	if err := writeDurable(path, func(f *os.File) error { _, err := f.Write(text); return err }); err != nil {
		return 0, err
	}
	if err := s.opts.seam("next key written"); err != nil {
		return 0, err
	}
	err = s.writer.do(ctx, func(tx *transaction) error {
		n = 0
		for _, rows := range []wrappedKeys{shopSecrets, dataKeys} {
			if err := s.rewrap(ctx, tx, rows.list, rows.set, next, &n); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	if err := s.opts.seam("wrapped anew"); err != nil {
		return 0, err
	}
	if err := os.Rename(path, s.keyFile()); err != nil {
		return 0, err
	}
	if err := syncDir(s.opts.Dir); err != nil {
		return 0, err
	}
	return n, s.scrub(ctx)
}

// wrappedRow is what the master key wraps for a shop or a person.
type wrappedRow struct {
	shop          string
	user, wrapped []byte
}

func (s *Store) wrappedAfter(ctx context.Context, list, shop string, user []byte) (page []wrappedRow, err error) {
	found, err := s.read.QueryContext(ctx, list, shop, user)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	for found.Next() {
		var r wrappedRow
		if err := found.Scan(&r.shop, &r.user, &r.wrapped); err != nil {
			return nil, err
		}
		page = append(page, r)
	}
	return page, found.Err()
}

// rewrap has next wrap what a list finds. It reads the state before tx, in which
// all is written.
func (s *Store) rewrap(ctx context.Context, tx *transaction, list, set string, next *secrets.Keeper, n *int) error {
	shop, user := "", []byte{}
	for {
		page, err := s.wrappedAfter(ctx, list, shop, user)
		if err != nil || len(page) == 0 {
			return err
		}
		for i := range page {
			r := &page[i]
			if r.user == nil {
				r.user = []byte{}
			}
			if len(r.wrapped) == 0 {
				continue // destroyed
			}
			plain, err := s.keys.keeper.Decrypt(ctx, r.wrapped)
			if err != nil {
				return fmt.Errorf("unwrap a key of shop %s: %w", r.shop, err)
			}
			wrapped, err := next.Encrypt(ctx, plain)
			clear(plain)
			if err != nil {
				return err
			}
			if _, err := tx.exec(set, r.shop, r.user, wrapped); err != nil {
				return err
			}
			*n++
		}
		shop, user = page[len(page)-1].shop, page[len(page)-1].user
	}
}

// settleKeys ends a rotation that was stopped: of two keys, the one that opens
// what is wrapped stays.
func (s *Store) settleKeys(ctx context.Context) error {
	path := s.keyFile() + nextKey
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var wrapped []byte
	err = s.write.QueryRowContext(ctx, `SELECT secret FROM shops UNION ALL SELECT wrapped FROM data_keys WHERE length(wrapped) > 0 LIMIT 1`).Scan(&wrapped)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if key, err := localsecrets.Base64KeyStd(string(bytes.TrimSpace(text))); err == nil && wrapped != nil {
		next := localsecrets.NewKeeper(key)
		_, opens := next.Decrypt(ctx, wrapped)
		if err := next.Close(); err != nil {
			return err
		}
		if opens == nil {
			s.log.Info("a rotation of the master key was stopped and is ended now")
			return errors.Join(os.Rename(path, s.keyFile()), syncDir(s.opts.Dir), s.scrub(ctx))
		}
	}
	return errors.Join(os.Remove(path), syncDir(s.opts.Dir))
}
