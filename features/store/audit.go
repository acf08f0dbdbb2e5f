package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/attune-rec/attune/features"
)

// Audited is what somebody did. It names a person by pseudonym only.
type Audited struct {
	ID      int64 // 1, 2, 3 … within a shop
	Time    time.Time
	Actor   string
	Method  string
	Subject string // what it was done to
	Detail  string
	Hash    []byte // over all of it and the hash before
}

func (a *Audited) hash(shop features.ShopID, before []byte) []byte {
	h := sha256.New()
	field := func(b []byte) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(b)))
		h.Write(n[:])
		h.Write(b)
	}
	var numbers [16]byte
	binary.BigEndian.PutUint64(numbers[:], uint64(a.ID))
	binary.BigEndian.PutUint64(numbers[8:], uint64(a.Time.UnixMilli()))
	field(before)
	field(numbers[:])
	for _, s := range []string{string(shop), a.Actor, a.Method, a.Subject, a.Detail} {
		field([]byte(s))
	}
	return h.Sum(nil)
}

// Audit writes down what somebody did, durable when it returns. ID, Time and
// Hash are given by the store.
func (s *Store) Audit(ctx context.Context, shop features.ShopID, a Audited) error {
	return s.AuditAll(ctx, shop, []Audited{a})
}

// AuditAll writes down several things that somebody did, one after the other: all
// of them or none.
func (s *Store) AuditAll(ctx context.Context, shop features.ShopID, all []Audited) error {
	if err := s.writable(); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	err := s.writer.do(ctx, func(tx *transaction) error {
		for _, a := range all {
			err := a.chain(shop, s.now(), tx.get, func(query string, args ...any) error { _, err := tx.exec(query, args...); return err })
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	return nil
}

// chain puts the entry behind the newest of its shop, within a transaction.
func (a *Audited) chain(shop features.ShopID, now time.Time, get func([]any, string, ...any) error, exec func(string, ...any) error) error {
	var before []byte
	err := get([]any{&a.ID, &before}, `SELECT id, hash FROM audit WHERE shop = ? ORDER BY id DESC LIMIT 1`, string(shop))
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	a.ID, a.Time = a.ID+1, now
	return exec(`INSERT INTO audit (shop, id, time, actor, method, subject, detail, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		string(shop), a.ID, a.Time.UnixMilli(), a.Actor, a.Method, a.Subject, a.Detail, a.hash(shop, before))
}

// Audit writes down what somebody did beside a running server, of every shop
// that is named: see Store.Audit. AllShops has a log of its own.
func (k *Keys) Audit(ctx context.Context, shops []features.ShopID, a Audited) error {
	tx, err := k.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	for _, shop := range shops {
		err := a.chain(shop, k.now(),
			func(to []any, query string, args ...any) error {
				return tx.QueryRowContext(ctx, query, args...).Scan(to...)
			},
			func(query string, args ...any) error { _, err := tx.ExecContext(ctx, query, args...); return err })
		if err != nil {
			return errors.Join(fmt.Errorf("audit: %w", err), tx.Rollback())
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	return nil
}

// AuditedShops lists the shops that something was written down of.
func (s *Store) AuditedShops(ctx context.Context) (all []features.ShopID, err error) {
	rows, err := s.read.QueryContext(ctx, `SELECT DISTINCT shop FROM audit ORDER BY shop`)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var shop string
		if err := rows.Scan(&shop); err != nil {
			return nil, fmt.Errorf("audit: %w", err)
		}
		all = append(all, features.ShopID(shop))
	}
	return all, rows.Err()
}

// ScanAudit calls f with what was written down of a shop, oldest first, and
// checks the chain as it goes: ErrCorrupt when an entry was changed, added,
// taken out or moved. That the newest are missing it cannot tell: compare the
// last hash with one that was kept elsewhere.
func (s *Store) ScanAudit(ctx context.Context, shop features.ShopID, f func(*Audited) error) error {
	rows, err := s.read.QueryContext(ctx, `SELECT id, time, actor, method, subject, detail, hash FROM audit WHERE shop = ? ORDER BY id`, string(shop))
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	defer rows.Close()
	var before []byte
	for want := int64(1); rows.Next(); want++ {
		var a Audited
		var ms int64
		if err := rows.Scan(&a.ID, &ms, &a.Actor, &a.Method, &a.Subject, &a.Detail, &a.Hash); err != nil {
			return fmt.Errorf("audit: %w", err)
		}
		a.Time = time.UnixMilli(ms).UTC()
		if a.ID != want || !bytes.Equal(a.hash(shop, before), a.Hash) {
			return fmt.Errorf("%w: the audit log of shop %s does not hold from entry %d on", ErrCorrupt, shop, want)
		}
		before = a.Hash
		if err := f(&a); err != nil {
			return err
		}
	}
	return rows.Err()
}

// AuditQuery says which entries of the audit log are wanted; the zero value
// means all.
type AuditQuery struct {
	Actor    string
	Subject  string // whom or what it was about, or a person among those read
	Method   string
	From, To time.Time // not before, and before
	Before   int64     // entries with a smaller ID; 0: any
	Limit    int       // 0: 100
}

// ListAudit returns entries, newest first. It does not check the chain: see
// ScanAudit.
func (s *Store) ListAudit(ctx context.Context, shop features.ShopID, q AuditQuery) ([]Audited, error) {
	if q.Limit <= 0 {
		q.Limit = 100
	}
	if q.Before <= 0 {
		q.Before = 1<<63 - 1
	}
	to := q.To
	if to.IsZero() {
		to = endOfTime
	}
	from := int64(0)
	if !q.From.IsZero() {
		from = q.From.UnixMilli()
	}
	rows, err := s.read.QueryContext(ctx, `SELECT id, time, actor, method, subject, detail, hash FROM audit
		WHERE shop = ?1 AND id < ?2 AND time >= ?3 AND time < ?4 AND (?5 = '' OR actor = ?5) AND (?6 = '' OR method = ?6)
		AND (?7 = '' OR subject = ?7 OR instr(detail, ?7) > 0) ORDER BY id DESC LIMIT ?8`,
		string(shop), q.Before, from, to.UnixMilli(), q.Actor, q.Method, q.Subject, q.Limit)
	if err != nil {
		return nil, fmt.Errorf("list audit: %w", err)
	}
	defer rows.Close()
	var all []Audited
	for rows.Next() {
		var a Audited
		var ms int64
		if err := rows.Scan(&a.ID, &ms, &a.Actor, &a.Method, &a.Subject, &a.Detail, &a.Hash); err != nil {
			return nil, fmt.Errorf("list audit: %w", err)
		}
		a.Time = time.UnixMilli(ms).UTC()
		all = append(all, a)
	}
	return all, rows.Err()
}
