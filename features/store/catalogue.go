package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/attune-rec/attune/features"
	pacing "github.com/attune-rec/attune/features/pace"
)

// changesAtOnce is how many changes one read takes.
const changesAtOnce = 1000

// PutItems stores items, durable when it returns: all of them or none. An item
// that is as it was stored makes no change. Prices and stock that differ are
// also kept in the history.
func (s *Store) PutItems(ctx context.Context, shop features.ShopID, items []features.Item) error {
	if _, err := s.ensureShop(ctx, shop); err != nil {
		return fmt.Errorf("put items: %w", err)
	}
	for i := range items {
		if items[i].ID == "" {
			return fmt.Errorf("put items: item %d of %d has no id", i+1, len(items))
		}
		if len(items[i].ID) > MaxField {
			return fmt.Errorf("put items: the id of item %d has %d bytes: at most %d are kept", i+1, len(items[i].ID), MaxField)
		}
	}
	err := s.writer.do(ctx, func(tx *transaction) error {
		for i := range items {
			if err := s.putItem(tx, shop, items[i]); err != nil {
				return fmt.Errorf("item %q: %w", items[i].ID, err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("put items: %w", err)
	}
	return nil
}

func (s *Store) putItem(tx *transaction, shop features.ShopID, it features.Item) error {
	now := s.now()
	var old features.Item
	var body []byte
	var deleted int64
	err := tx.get([]any{&body, &deleted}, `SELECT body, deleted FROM items WHERE shop = ? AND id = ?`, string(shop), it.ID)
	switch {
	case errors.Is(err, sql.ErrNoRows):
	case err != nil:
		return err
	default:
		if err := json.Unmarshal(body, &old); err != nil {
			return fmt.Errorf("%w: item %q: %w", ErrCorrupt, it.ID, err)
		}
	}
	if it.Created.IsZero() {
		it.Created = old.Created
	}
	if it.Created.IsZero() {
		it.Created = now
	}
	updated := it.Updated
	it.Updated = old.Updated
	same, err := json.Marshal(it)
	if err != nil {
		return err
	}
	if deleted == 0 && len(body) > 0 && string(same) == string(body) {
		return nil
	}
	if it.Updated = updated; updated.IsZero() || updated.Equal(old.Updated) {
		it.Updated = now
	}
	if body, err = json.Marshal(it); err != nil {
		return err
	}
	change, err := nextChange(tx, shop)
	if err != nil {
		return err
	}
	if _, err := tx.exec(`INSERT INTO items (shop, id, body, change, created, updated) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (shop, id) DO UPDATE SET body = excluded.body, change = excluded.change, updated = excluded.updated, deleted = 0`,
		string(shop), it.ID, body, change, it.Created.UnixMilli(), it.Updated.UnixMilli()); err != nil {
		return err
	}
	return keepHistory(tx, shop, &old, &it, now)
}

func nextChange(tx *transaction, shop features.ShopID) (int64, error) {
	var n int64
	err := tx.get([]any{&n}, `UPDATE shops SET next_change = next_change + 1 WHERE shop = ? RETURNING next_change - 1`, string(shop))
	return n, err
}

// keepHistory records the prices and stock that differ from what they were.
func keepHistory(tx *transaction, shop features.ShopID, old, it *features.Item, now time.Time) error {
	record := func(field, market string, number int64, currency string) error {
		_, err := tx.exec(`INSERT OR REPLACE INTO item_history (shop, id, market, time, field, micros, currency) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			string(shop), it.ID, market, now.UnixMilli(), field, number, currency)
		return err
	}
	for _, p := range []struct {
		field    string
		was, are map[string]features.Money
	}{{"price", old.Prices, it.Prices}, {"list_price", old.ListPrices, it.ListPrices}} {
		for market, m := range p.are {
			if was, ok := p.was[market]; !ok || was != m {
				if err := record(p.field, market, m.Micros, m.Currency); err != nil {
					return err
				}
			}
		}
	}
	for market, n := range it.Stock {
		if was, ok := old.Stock[market]; !ok || was != n {
			if err := record("stock", market, int64(n), ""); err != nil {
				return err
			}
		}
	}
	return nil
}

// GetItem is the item with that id; ErrNotFound when there is none, or no
// longer.
func (s *Store) GetItem(ctx context.Context, shop features.ShopID, id string) (features.Item, error) {
	var body []byte
	err := s.read.QueryRowContext(ctx, `SELECT body FROM items WHERE shop = ? AND id = ? AND deleted = 0`, string(shop), id).Scan(&body)
	if errors.Is(err, sql.ErrNoRows) {
		return features.Item{}, fmt.Errorf("item %q: %w", id, ErrNotFound)
	}
	if err != nil {
		return features.Item{}, fmt.Errorf("get item %q: %w", id, err)
	}
	return itemFrom(id, body)
}

func itemFrom(id string, body []byte) (it features.Item, err error) {
	if err := json.Unmarshal(body, &it); err != nil {
		return it, fmt.Errorf("%w: item %q: %w", ErrCorrupt, id, err)
	}
	return it, nil
}

// ListItems returns at most limit items whose id is after the given one, by id.
func (s *Store) ListItems(ctx context.Context, shop features.ShopID, after string, limit int) ([]features.Item, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT id, body FROM items WHERE shop = ? AND id > ? AND deleted = 0 ORDER BY id LIMIT ?`,
		string(shop), after, limit)
	if err != nil {
		return nil, fmt.Errorf("list items: %w", err)
	}
	defer rows.Close()
	var items []features.Item
	for rows.Next() {
		var id string
		var body []byte
		if err := rows.Scan(&id, &body); err != nil {
			return nil, fmt.Errorf("list items: %w", err)
		}
		it, err := itemFrom(id, body)
		if err != nil {
			return nil, err
		}
		items = append(items, it)
	}
	return items, rows.Err()
}

// DeleteItem takes an item out; what it was stays in Changes. ErrNotFound when
// there is none.
func (s *Store) DeleteItem(ctx context.Context, shop features.ShopID, id string) error {
	if err := s.writable(); err != nil {
		return fmt.Errorf("delete item %q: %w", id, err)
	}
	err := s.writer.do(ctx, func(tx *transaction) error {
		r, err := tx.exec(`UPDATE items SET deleted = ? WHERE shop = ? AND id = ? AND deleted = 0`, s.now().UnixMilli(), string(shop), id)
		if err != nil {
			return err
		}
		if err := oneRow(r); err != nil {
			return err
		}
		change, err := nextChange(tx, shop)
		if err != nil {
			return err
		}
		_, err = tx.exec(`UPDATE items SET change = ? WHERE shop = ? AND id = ?`, change, string(shop), id)
		return err
	})
	if err != nil {
		return fmt.Errorf("delete item %q: %w", id, err)
	}
	return nil
}

// Changes calls f with the changes with a number >= from, in order, an item's
// newest change only, and returns the number to go on from.
func (s *Store) Changes(ctx context.Context, shop features.ShopID, from int64, f func(Change) error) (int64, error) {
	for {
		changes, err := s.someChanges(ctx, shop, from)
		if err != nil {
			return from, fmt.Errorf("changes: %w", err)
		}
		for _, c := range changes {
			if err := f(c); err != nil {
				return from, err
			}
			from = c.Number + 1
		}
		if len(changes) < changesAtOnce {
			return max(from, 1), nil
		}
	}
}

func (s *Store) someChanges(ctx context.Context, shop features.ShopID, from int64) ([]Change, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT id, body, change, deleted FROM items WHERE shop = ? AND change >= ? ORDER BY change LIMIT ?`,
		string(shop), from, changesAtOnce)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Change
	job := pacing.Of(ctx)
	for rows.Next() {
		job.Step()
		var id string
		var body []byte
		var deleted int64
		var c Change
		if err := rows.Scan(&id, &body, &c.Number, &deleted); err != nil {
			return nil, err
		}
		if c.Item, err = itemFrom(id, body); err != nil {
			return nil, err
		}
		c.Deleted = deleted != 0
		all = append(all, c)
	}
	return all, rows.Err()
}

// Price is a price or stock as it was from a time on.
type Price struct {
	Market string
	Field  string // price, list_price, stock
	Time   time.Time
	Amount features.Money // of stock: Micros is the pieces, without a currency
}

// ItemHistory is what the item's prices and stock were, oldest first.
func (s *Store) ItemHistory(ctx context.Context, shop features.ShopID, id string) ([]Price, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT market, field, time, micros, currency FROM item_history
		WHERE shop = ? AND id = ? ORDER BY time, market, field`, string(shop), id)
	if err != nil {
		return nil, fmt.Errorf("history of item %q: %w", id, err)
	}
	defer rows.Close()
	var all []Price
	for rows.Next() {
		var p Price
		var ms int64
		if err := rows.Scan(&p.Market, &p.Field, &ms, &p.Amount.Micros, &p.Amount.Currency); err != nil {
			return nil, fmt.Errorf("history of item %q: %w", id, err)
		}
		p.Time = time.UnixMilli(ms).UTC()
		all = append(all, p)
	}
	return all, rows.Err()
}
