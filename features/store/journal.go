package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/attune-rec/attune/features"
)

// servedAtOnce is how many records one read takes.
const servedAtOnce = 500

// PutServed stores the records of answers, durable when it returns. Records that
// are told again are stored once.
func (s *Store) PutServed(ctx context.Context, shop features.ShopID, records []Served) error {
	if _, err := s.ensureShop(ctx, shop); err != nil {
		return fmt.Errorf("put served: %w", err)
	}
	for i := range records {
		if records[i].Recommendation == "" {
			return fmt.Errorf("put served: record %d of %d has no recommendation id", i+1, len(records))
		}
	}
	for some := range slices.Chunk(records, mostAnswers) {
		b, name := packAnswers(some), nameOf(some) // before anybody waits for the writer
		err := s.writer.do(ctx, func(tx *transaction) error {
			_, err := tx.exec(`INSERT OR IGNORE INTO answers (shop, first, last, name, records, subject, body) VALUES (?, ?, ?, ?, ?, ?, ?)`,
				string(shop), b.first, b.last, name, len(some), b.subject, b.body)
			return err
		})
		if err != nil {
			return fmt.Errorf("put served: %w", err)
		}
	}
	return nil
}

// ScanServed calls f with the records of from <= time < to (zero: without that
// bound) by time and id, in bounded reads.
func (s *Store) ScanServed(ctx context.Context, shop features.ShopID, from, to time.Time, f func(*Served) error) error {
	w := times{from: math.MinInt64, to: math.MaxInt64}
	if !from.IsZero() {
		w.from = from.UnixMilli()
	}
	if !to.IsZero() {
		w.to = to.UnixMilli()
	}
	if err := merged(f, s.oneByOne(ctx, shop, w), s.batches(ctx, shop, w)); err != nil {
		return fmt.Errorf("scan served: %w", err)
	}
	return nil
}

// times is the times from <= time < to, in Unix milliseconds.
type times struct{ from, to int64 }

// stretches gives records that were stored together, some at a time, from first
// on, in Unix milliseconds. What comes next begins no earlier. More is false at
// the end.
type stretches func() (some []Served, first int64, more bool, err error)

// oneByOne is the records that have a row each.
func (s *Store) oneByOne(ctx context.Context, shop features.ShopID, w times) stretches {
	after, last, ended := w.from, "", false
	return func() ([]Served, int64, bool, error) {
		if ended {
			return nil, 0, false, nil
		}
		rows, err := s.read.QueryContext(ctx, `SELECT recommendation, time, user_key, session_key, surface, market, release, record FROM served
			WHERE shop = ? AND (time, recommendation) > (?, ?) AND time < ? ORDER BY time, recommendation LIMIT ?`,
			string(shop), after, last, w.to, servedAtOnce)
		if err != nil {
			return nil, 0, false, err
		}
		some, err := scanServed(rows)
		if ended = len(some) < servedAtOnce; err != nil || len(some) == 0 {
			return nil, 0, false, err
		}
		end := &some[len(some)-1]
		after, last = end.Time.UnixMilli(), end.Recommendation
		return some, some[0].Time.UnixMilli(), true, nil
	}
}

// batches is the records that are stored in batches.
func (s *Store) batches(ctx context.Context, shop features.ShopID, w times) stretches {
	var read []batch
	after, name, ended := int64(math.MinInt64), int64(math.MinInt64), false
	return func() ([]Served, int64, bool, error) {
		if len(read) == 0 && !ended {
			var err error
			if read, name, err = s.someBatches(ctx, `SELECT id, first, last, name, subject, body FROM answers
				WHERE shop = ? AND (first, name) > (?, ?) AND last >= ? AND first < ? ORDER BY first, name LIMIT ?`,
				string(shop), after, name, w.from, w.to, batchesAtOnce); err != nil {
				return nil, 0, false, err
			}
			if ended = len(read) < batchesAtOnce; len(read) > 0 {
				after = read[len(read)-1].first
			}
		}
		if len(read) == 0 {
			return nil, 0, false, nil
		}
		some, err := read[0].unpack(nil)
		if err != nil {
			return nil, 0, false, err
		}
		first := read[0].first
		read = read[1:]
		return slices.DeleteFunc(some, w.without), first, true, nil
	}
}

func (w times) without(r Served) bool {
	ms := r.Time.UnixMilli()
	return ms < w.from || ms >= w.to
}

// merged calls f with the records of all by time and id, each once.
func merged(f func(*Served) error, all ...stretches) error {
	type head struct {
		next  stretches
		some  []Served
		first int64
	}
	var heads []*head
	for _, next := range all {
		heads = append(heads, &head{next: next})
	}
	step := func(h *head) (more bool, err error) {
		h.some, h.first, more, err = h.next()
		return more, err
	}
	for i := 0; i < len(heads); {
		more, err := step(heads[i])
		if err != nil {
			return err
		}
		if !more {
			heads = slices.Delete(heads, i, i+1)
			continue
		}
		i++
	}
	var held []Served // that came, and that something yet to come may be before
	var last Served
	for len(heads) > 0 {
		h := slices.MinFunc(heads, func(a, b *head) int { return cmp.Compare(a.first, b.first) })
		held = append(held, h.some...)
		more, err := step(h)
		if err != nil {
			return err
		}
		if !more {
			heads = slices.DeleteFunc(heads, func(x *head) bool { return x == h })
		}
		until := int64(math.MaxInt64)
		for _, x := range heads {
			until = min(until, x.first)
		}
		slices.SortStableFunc(held, Served.compare)
		n := 0
		for ; n < len(held) && held[n].Time.UnixMilli() < until; n++ {
			if held[n].Recommendation == last.Recommendation && held[n].Time.Equal(last.Time) {
				continue // told again
			}
			last = held[n]
			if err := f(&last); err != nil {
				return err
			}
		}
		held = slices.Delete(held, 0, n)
	}
	return nil
}

// compare orders records by time and id.
func (r Served) compare(other Served) int {
	return cmp.Or(r.Time.Compare(other.Time), strings.Compare(r.Recommendation, other.Recommendation))
}

// batchesAtOnce is how many batches one read takes.
const batchesAtOnce = 16

// someBatches is what a query gives, and the name of the last.
func (s *Store) someBatches(ctx context.Context, query string, args ...any) (read []batch, name int64, err error) {
	rows, err := s.read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var b batch
		if err := rows.Scan(&b.id, &b.first, &b.last, &name, &b.subject, &b.body); err != nil {
			return nil, 0, err
		}
		read = append(read, b)
	}
	return read, name, rows.Err()
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

// unpackServed reads the record of a row by itself into s: version 1, the number
// of items, and of each: item and source as length and bytes, score and
// propensity as little-endian float32. Its place is its position. Version 2 has
// the page's item before that, then the number of items in the cart and each of
// them.
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
