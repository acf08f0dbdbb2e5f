package store

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/attune-rec/attune/features"
)

// servedAtOnce is how many records one read takes.
const servedAtOnce = 500

// PutServed stores the records of answers, durable when it returns. A record
// whose recommendation is stored already is left as it was.
func (s *Store) PutServed(ctx context.Context, shop features.ShopID, records []Served) error {
	if _, err := s.ensureShop(ctx, shop); err != nil {
		return fmt.Errorf("put served: %w", err)
	}
	for i := range records {
		if records[i].Recommendation == "" {
			return fmt.Errorf("put served: record %d of %d has no recommendation id", i+1, len(records))
		}
	}
	err := s.writer.do(ctx, func(tx *transaction) error {
		for i := range records {
			r := &records[i]
			if _, err := tx.exec(`INSERT OR IGNORE INTO served (shop, recommendation, time, user_key, session_key, surface, market, release, record)
				VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`, string(shop), r.Recommendation, r.Time.UnixMilli(), keyBytes(r.User), keyBytes(r.Session),
				r.Surface, r.Market, r.Release, packServed(r)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("put served: %w", err)
	}
	return nil
}

// ScanServed calls f with the records of from <= time < to (zero: without that
// bound) by time, in bounded reads.
func (s *Store) ScanServed(ctx context.Context, shop features.ShopID, from, to time.Time, f func(*Served) error) error {
	after, end := int64(math.MinInt64), int64(math.MaxInt64)
	if !from.IsZero() {
		after = from.UnixMilli()
	}
	if !to.IsZero() {
		end = to.UnixMilli()
	}
	var last string
	for {
		records, err := s.someServed(ctx, shop, after, last, end)
		if err != nil {
			return fmt.Errorf("scan served: %w", err)
		}
		for i := range records {
			if err := f(&records[i]); err != nil {
				return err
			}
		}
		if len(records) < servedAtOnce {
			return nil
		}
		r := &records[len(records)-1]
		after, last = r.Time.UnixMilli(), r.Recommendation
	}
}

func (s *Store) someServed(ctx context.Context, shop features.ShopID, after int64, last string, end int64) ([]Served, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT recommendation, time, user_key, session_key, surface, market, release, record FROM served
		WHERE shop = ? AND (time, recommendation) > (?, ?) AND time < ? ORDER BY time, recommendation LIMIT ?`,
		string(shop), after, last, end, servedAtOnce)
	if err != nil {
		return nil, err
	}
	return scanServed(rows)
}

// scanServed reads and closes rows.
func scanServed(rows *sql.Rows) ([]Served, error) {
	defer rows.Close()
	var all []Served
	for rows.Next() {
		var r Served
		var ms int64
		var user, session, packed []byte
		if err := rows.Scan(&r.Recommendation, &ms, &user, &session, &r.Surface, &r.Market, &r.Release, &packed); err != nil {
			return nil, err
		}
		r.Time = time.UnixMilli(ms).UTC()
		var err error
		if r.User, err = keyFrom(user); err != nil {
			return nil, err
		}
		if r.Session, err = keyFrom(session); err != nil {
			return nil, err
		}
		if err = unpackServed(packed, &r); err != nil {
			return nil, fmt.Errorf("recommendation %s: %w", r.Recommendation, err)
		}
		all = append(all, r)
	}
	return all, rows.Err()
}

// packServed is version 1, the number of items, and of each: item and source as
// length and bytes, score and propensity as little-endian float32. Its place is
// its position. Version 2, where there is one, has the page's item before that,
// then the number of items in the cart and each of them.
func packServed(r *Served) []byte {
	var b []byte
	if r.Page == "" && len(r.Cart) == 0 {
		b = append(b, 1)
	} else {
		b = appendString(append(b, 2), r.Page)
		b = binary.AppendUvarint(b, uint64(len(r.Cart)))
		for _, item := range r.Cart {
			b = appendString(b, item)
		}
	}
	b = binary.AppendUvarint(b, uint64(len(r.Items)))
	for i := range r.Items {
		it := &r.Items[i]
		b = appendString(b, it.Item)
		b = appendString(b, it.Source)
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(it.Score))
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(it.Propensity))
	}
	return b
}

// unpackServed reads what packServed wrote into s.
func unpackServed(b []byte, s *Served) error {
	r := pageReader{in: string(b), raw: b}
	switch v := r.byte(); v {
	case 1:
	case 2:
		s.Page = r.string()
		for n := r.uvarint(); n > 0 && !r.bad; n-- {
			s.Cart = append(s.Cart, r.string())
		}
	default:
		return fmt.Errorf("%w: served record of form %d", ErrCorrupt, v)
	}
	for n := r.uvarint(); n > 0 && !r.bad; n-- {
		it := ServedItem{Item: r.string(), Source: r.string()}
		it.Score, it.Propensity = r.float32(), r.float32()
		s.Items = append(s.Items, it)
	}
	if r.bad {
		return fmt.Errorf("%w: served record ends early", ErrCorrupt)
	}
	return nil
}

func (r *pageReader) float32() float32 {
	if at, ok := r.take(4); ok {
		return math.Float32frombits(binary.LittleEndian.Uint32(r.raw[at:]))
	}
	return 0
}
