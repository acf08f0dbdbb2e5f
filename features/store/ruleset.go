package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/attune-rec/attune/features"
)

// ErrStale is returned for a change of something that was changed meanwhile.
var ErrStale = errors.New("changed meanwhile")

// RuleSet is rules that steer what is answered. What they say is for others to
// read: the store keeps Body as it is.
type RuleSet struct {
	ID       string
	Surface  string    // "": every surface
	Starts   time.Time // zero: always
	Ends     time.Time // zero: never; exclusive
	Body     []byte    // JSON
	Revision int64     // another one after each change
	Created  time.Time
	Updated  time.Time
}

// RuleSets is the rule sets of shops. It is safe for concurrent use.
type RuleSets interface {
	// PutRuleSet stores a rule set, durable when it returns, and returns it as
	// it is stored. A Revision other than 0 must be the stored one's: ErrStale.
	PutRuleSet(ctx context.Context, shop features.ShopID, set RuleSet) (RuleSet, error)
	GetRuleSet(ctx context.Context, shop features.ShopID, id string) (RuleSet, error)
	// ListRuleSets returns at most limit rule sets whose id is after the given
	// one, by id.
	ListRuleSets(ctx context.Context, shop features.ShopID, after string, limit int) ([]RuleSet, error)
	// DeleteRuleSet takes a rule set out. A revision other than 0 must be the
	// stored one's: ErrStale.
	DeleteRuleSet(ctx context.Context, shop features.ShopID, id string, revision int64) error
}

var _ RuleSets = (*Store)(nil)

const ruleSetColumns = `id, surface, starts, ends, body, revision, created, updated`

// PutRuleSet implements RuleSets.
func (s *Store) PutRuleSet(ctx context.Context, shop features.ShopID, set RuleSet) (RuleSet, error) {
	if set.ID == "" || len(set.ID) > MaxField {
		return set, fmt.Errorf("put rule set: expected an id of 1 to %d bytes, got %d", MaxField, len(set.ID))
	}
	if _, err := s.ensureShop(ctx, shop); err != nil {
		return set, fmt.Errorf("put rule set: %w", err)
	}
	err := s.writer.do(ctx, func(tx *transaction) error {
		now := s.now()
		created, stored := now.UnixMilli(), int64(0)
		err := tx.get([]any{&created, &stored}, `SELECT created, revision FROM rule_sets WHERE shop = ? AND id = ?`, string(shop), set.ID)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if set.Revision != 0 && set.Revision != stored {
			return ErrStale
		}
		revision, err := nextChange(tx, shop)
		if err != nil {
			return err
		}
		set.Created, set.Updated, set.Revision = time.UnixMilli(created).UTC(), now, revision
		_, err = tx.exec(`INSERT INTO rule_sets (shop, id, surface, starts, ends, body, revision, created, updated) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (shop, id) DO UPDATE SET surface = excluded.surface, starts = excluded.starts, ends = excluded.ends,
				body = excluded.body, revision = excluded.revision, updated = excluded.updated`,
			string(shop), set.ID, set.Surface, millisOrNever(set.Starts), millisOrNever(set.Ends), set.Body, revision, created, now.UnixMilli())
		return err
	})
	if err != nil {
		return set, fmt.Errorf("put rule set %q: %w", set.ID, err)
	}
	return set, nil
}

// GetRuleSet is the rule set with that id; ErrNotFound when there is none.
func (s *Store) GetRuleSet(ctx context.Context, shop features.ShopID, id string) (RuleSet, error) {
	set, err := scanRuleSet(s.read.QueryRowContext(ctx, `SELECT `+ruleSetColumns+` FROM rule_sets WHERE shop = ? AND id = ?`, string(shop), id))
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	if err != nil {
		return RuleSet{}, fmt.Errorf("rule set %q: %w", id, err)
	}
	return set, nil
}

// ListRuleSets implements RuleSets.
func (s *Store) ListRuleSets(ctx context.Context, shop features.ShopID, after string, limit int) ([]RuleSet, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT `+ruleSetColumns+` FROM rule_sets WHERE shop = ? AND id > ? ORDER BY id LIMIT ?`, string(shop), after, limit)
	if err != nil {
		return nil, fmt.Errorf("list rule sets: %w", err)
	}
	defer rows.Close()
	var all []RuleSet
	for rows.Next() {
		set, err := scanRuleSet(rows)
		if err != nil {
			return nil, fmt.Errorf("list rule sets: %w", err)
		}
		all = append(all, set)
	}
	return all, rows.Err()
}

// DeleteRuleSet implements RuleSets. It reports ErrNotFound when there is none.
func (s *Store) DeleteRuleSet(ctx context.Context, shop features.ShopID, id string, revision int64) error {
	if err := s.writable(); err != nil {
		return fmt.Errorf("delete rule set %q: %w", id, err)
	}
	err := s.writer.do(ctx, func(tx *transaction) error {
		var stored int64
		switch err := tx.get([]any{&stored}, `SELECT revision FROM rule_sets WHERE shop = ? AND id = ?`, string(shop), id); {
		case errors.Is(err, sql.ErrNoRows):
			return ErrNotFound
		case err != nil:
			return err
		case revision != 0 && revision != stored:
			return ErrStale
		}
		_, err := tx.exec(`DELETE FROM rule_sets WHERE shop = ? AND id = ?`, string(shop), id)
		return err
	})
	if err != nil {
		return fmt.Errorf("delete rule set %q: %w", id, err)
	}
	return nil
}

func scanRuleSet(row interface{ Scan(dst ...any) error }) (set RuleSet, err error) {
	var starts, ends, created, updated int64
	err = row.Scan(&set.ID, &set.Surface, &starts, &ends, &set.Body, &set.Revision, &created, &updated)
	set.Starts, set.Ends, set.Created, set.Updated = timeOrNever(starts), timeOrNever(ends), time.UnixMilli(created).UTC(), time.UnixMilli(updated).UTC()
	return set, err
}
