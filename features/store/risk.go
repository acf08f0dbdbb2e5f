package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/risk"
)

// RiskState is what was decided of a flag.
type RiskState string

// The states of a flag.
const (
	RiskFlagged     RiskState = "flagged"     // nobody decided yet; nothing is kept out
	RiskQuarantined RiskState = "quarantined" // its events are kept out
	RiskReleased    RiskState = "released"    // found to be honest, or let be
)

// RiskFlag is a flag as it is kept.
type RiskFlag struct {
	risk.Flag
	State   RiskState
	Found   time.Time // when it was last found
	Decided time.Time // zero: by nobody yet
	Actor   string    // who decided
	Note    string
}

// PutFlags keeps what was found, durable when it returns. A flag that is there
// already takes the new score, reasons and range; what was decided of it stays,
// except that one nobody decided of is quarantined from the score quarantine on
// (0: none is), by actor. It returns the flags that became quarantined.
func (s *Store) PutFlags(ctx context.Context, shop features.ShopID, flags []risk.Flag, quarantine float64, actor string) (kept []RiskFlag, err error) {
	if _, err := s.ensureShop(ctx, shop); err != nil {
		return nil, fmt.Errorf("put risk flags: %w", err)
	}
	now := s.now()
	err = s.writer.do(ctx, func(tx *transaction) error {
		kept = kept[:0]
		for i := range flags {
			f := &flags[i]
			reasons, err := json.Marshal(f.Reasons)
			if err != nil {
				return err
			}
			parts, err := json.Marshal(f.Parts)
			if err != nil {
				return err
			}
			state, decided := RiskFlagged, int64(0)
			err = tx.get([]any{&state, &decided}, `SELECT state, decided FROM risk_flags WHERE shop = ? AND id = ?`, string(shop), f.ID())
			if err != nil && !errors.Is(err, sql.ErrNoRows) {
				return err
			}
			by := ""
			if state == RiskFlagged && quarantine > 0 && f.Score >= quarantine {
				state, decided, by = RiskQuarantined, now.UnixMilli(), actor
				kept = append(kept, RiskFlag{Flag: *f, State: state, Found: now, Decided: now, Actor: actor})
			}
			if _, err := tx.exec(`INSERT INTO risk_flags (shop, id, user_key, kind, score, reasons, from_seq, to_seq, first, last, events, found, state, decided, actor, parts)
				VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
				ON CONFLICT (shop, id) DO UPDATE SET score = ?5, reasons = ?6, from_seq = ?7, to_seq = ?8, first = ?9, last = ?10, events = ?11, found = ?12,
				state = ?13, decided = ?14, parts = ?16, actor = CASE ?15 WHEN '' THEN actor ELSE ?15 END`,
				string(shop), f.ID(), f.Subject[:], string(f.Kind), f.Score, string(reasons), f.From, f.To, f.First.UnixMilli(), f.Last.UnixMilli(),
				f.Events, now.UnixMilli(), string(state), decided, by, string(parts)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("put risk flags: %w", err)
	}
	return kept, nil
}

// DecideFlag keeps a flag's events out or lets them in again; ErrNotFound when
// there is no such flag.
func (s *Store) DecideFlag(ctx context.Context, shop features.ShopID, id string, state RiskState, actor, note string) (RiskFlag, error) {
	if err := s.writable(); err != nil {
		return RiskFlag{}, fmt.Errorf("decide risk flag %s: %w", id, err)
	}
	err := s.writer.do(ctx, func(tx *transaction) error {
		r, err := tx.exec(`UPDATE risk_flags SET state = ?, decided = ?, actor = ?, note = ? WHERE shop = ? AND id = ?`,
			string(state), s.now().UnixMilli(), actor, note, string(shop), id)
		if err != nil {
			return err
		}
		return oneRow(r)
	})
	if err != nil {
		return RiskFlag{}, fmt.Errorf("decide risk flag %s: %w", id, err)
	}
	found, err := s.flags(ctx, `SELECT `+flagColumns+` FROM risk_flags WHERE shop = ? AND id = ?`, string(shop), id)
	if err == nil && len(found) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return RiskFlag{}, fmt.Errorf("decide risk flag %s: %w", id, err)
	}
	return found[0], nil
}

// ListFlags returns at most limit flags whose id is after the given one, by id;
// of all states where state is "".
func (s *Store) ListFlags(ctx context.Context, shop features.ShopID, state RiskState, after string, limit int) ([]RiskFlag, error) {
	all, err := s.flags(ctx, `SELECT `+flagColumns+` FROM risk_flags WHERE shop = ?1 AND (?2 = '' OR state = ?2) AND id > ?3 ORDER BY id LIMIT ?4`,
		string(shop), string(state), after, limit)
	if err != nil {
		return nil, fmt.Errorf("list risk flags: %w", err)
	}
	return all, nil
}

const flagColumns = `user_key, kind, score, reasons, from_seq, to_seq, first, last, events, found, state, decided, actor, note, parts`

func (s *Store) flags(ctx context.Context, query string, args ...any) (all []RiskFlag, err error) {
	rows, err := s.read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var f RiskFlag
		var key []byte
		var reasons, parts string
		var first, last, found, decided int64
		if err := rows.Scan(&key, &f.Kind, &f.Score, &reasons, &f.From, &f.To, &first, &last, &f.Events, &found, &f.State, &decided, &f.Actor, &f.Note, &parts); err != nil {
			return nil, err
		}
		if f.Subject, err = keyFrom(key); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(reasons), &f.Reasons); err != nil {
			return nil, fmt.Errorf("%w: reasons of risk flag %s: %w", ErrCorrupt, f.ID(), err)
		}
		if err := json.Unmarshal([]byte(parts), &f.Parts); err != nil {
			return nil, fmt.Errorf("%w: parts of risk flag %s: %w", ErrCorrupt, f.ID(), err)
		}
		f.First, f.Last, f.Found = time.UnixMilli(first).UTC(), time.UnixMilli(last).UTC(), time.UnixMilli(found).UTC()
		if decided != 0 {
			f.Decided = time.UnixMilli(decided).UTC()
		}
		all = append(all, f)
	}
	return all, rows.Err()
}

// Quarantined tells the events that are in quarantine. It is nil when there are
// none, holds what was decided up to the call, and is safe for concurrent use.
func (s *Store) Quarantined(ctx context.Context, shop features.ShopID) (func(*features.Event) bool, error) {
	flags, err := s.ListFlags(ctx, shop, RiskQuarantined, "", everythingListed)
	if err != nil || len(flags) == 0 {
		return nil, err
	}
	by := map[features.UserKey][]*risk.Flag{}
	for i := range flags {
		by[flags[i].Subject] = append(by[flags[i].Subject], &flags[i].Flag)
	}
	return func(e *features.Event) bool {
		for _, f := range by[e.Subject()] {
			if f.Covers(e) {
				return true
			}
		}
		return false
	}, nil
}

// Suspects are the keys that a flag was found of, or decided about, since a
// time; a flag that was released counts as well.
func (s *Store) Suspects(ctx context.Context, shop features.ShopID, since time.Time) ([]features.UserKey, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT DISTINCT user_key FROM risk_flags WHERE shop = ?1 AND (found >= ?2 OR decided >= ?2)`, string(shop), since.UnixMilli())
	if err != nil {
		return nil, fmt.Errorf("suspects: %w", err)
	}
	defer rows.Close()
	var all []features.UserKey
	for rows.Next() {
		var key []byte
		if err := rows.Scan(&key); err != nil {
			return nil, fmt.Errorf("suspects: %w", err)
		}
		k, err := keyFrom(key)
		if err != nil {
			return nil, err
		}
		all = append(all, k)
	}
	return all, rows.Err()
}

// Withheld tells the events that nothing may be learnt or counted from: those in
// quarantine, and those of persons who said nothing in a market whose default is
// without analytics. It is nil when there are none, holds what was decided up to
// the call, and is safe for concurrent use.
func (s *Store) Withheld(ctx context.Context, shop features.ShopID) (func(*features.Event) bool, error) {
	quarantined, err := s.Quarantined(ctx, shop)
	if err != nil {
		return nil, err
	}
	choices, err := s.Choices(ctx, shop)
	if err != nil {
		return nil, err
	}
	strict := false
	for _, p := range choices.Markets {
		strict = strict || !p.Has(features.Analytics)
	}
	if !strict {
		return quarantined, nil
	}
	return func(e *features.Event) bool {
		return quarantined != nil && quarantined(e) || !choices.In(e.Subject(), e.Market).Has(features.Analytics)
	}, nil
}

// everythingListed is more flags than a shop has.
const everythingListed = 1 << 40
