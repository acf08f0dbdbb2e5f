package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/attune-rec/attune/features"
)

// Certificate says what an erasure has taken out, place by place.
type Certificate struct {
	Shop   features.ShopID    `json:"shop"`
	User   features.UserKey   `json:"-"`
	Keys   []features.UserKey `json:"-"` // the person's, with the sessions and users linked to it
	Time   time.Time          `json:"time"`
	Places []Place            `json:"places"`

	until time.Time // what is from later stays
}

// Place is one place that was cleaned.
type Place struct {
	Name    string `json:"name"`
	Removed int64  `json:"removed"` // rows, events or keys
}

// Erase takes a person out of every place of the store: the data key is
// destroyed, what the person told the shop, their answers, refused rows and links
// are deleted, and their events are blanked in the log, sealed or not; places in
// the log stay counted. It is done when it returns, and taken
// up again at the next start when the program ends within. Events received
// later are not touched. A person who is not known gets a certificate too.
//
// From before begun is called until Erase returns, History and Opinions know
// nothing of the keys that begun is given: who drops there what is remembered of
// them serves nothing of them any more, however long the erasure takes.
func (s *Store) Erase(ctx context.Context, shop features.ShopID, key features.UserKey, begun ...func([]features.UserKey)) (*Certificate, error) {
	if err := s.writable(); err != nil {
		return nil, fmt.Errorf("erase: %w", err)
	}
	if key.IsZero() {
		return nil, errors.New("erase: no person is named")
	}
	if _, err := s.ensureShop(ctx, shop); err != nil {
		return nil, fmt.Errorf("erase: %w", err)
	}
	aliases, err := s.Aliases(ctx, shop, key)
	if err != nil {
		return nil, fmt.Errorf("erase: %w", err)
	}
	e := erasure{Shop: shop, Time: s.now().UnixMilli()}
	keys := append([]features.UserKey{key}, aliases...)
	for _, k := range keys {
		e.Keys = append(e.Keys, k.String())
	}
	if err := s.noteErasure(e); err != nil {
		return nil, fmt.Errorf("erase: %w", err)
	}
	for _, k := range keys {
		s.going.Store(goer{shop, k}, true)
		defer s.going.Delete(goer{shop, k})
	}
	for _, f := range begun {
		f(keys)
	}
	c, err := s.erase(ctx, e, endOfTime)
	if err != nil {
		return nil, fmt.Errorf("erase: it is taken up again at the next start: %w", err)
	}
	return c, nil
}

// goer is somebody who is being erased.
type goer struct {
	shop features.ShopID
	key  features.UserKey
}

// erase does what was noted, of all that is not later than until. Each step can
// be done again.
func (s *Store) erase(ctx context.Context, e erasure, until time.Time) (*Certificate, error) {
	ctx = context.WithoutCancel(ctx)
	c := &Certificate{Shop: e.Shop, Time: time.UnixMilli(e.Time).UTC(), until: until}
	for _, text := range e.Keys {
		k, err := features.ParseUserKey(text)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrCorrupt, erasuresFile, err)
		}
		c.Keys = append(c.Keys, k)
	}
	c.User = c.Keys[0]
	s.sealing.Lock() // nothing is sealed that is being cleaned
	defer s.sealing.Unlock()
	l, err := s.knownShop(ctx, e.Shop)
	if err != nil {
		return nil, err
	}
	if err := l.dropSealed(ctx); err != nil {
		return nil, err
	}
	if err := s.eraseRows(ctx, l, c); err != nil {
		return nil, err
	}
	if err := s.opts.seam("rows erased"); err != nil {
		return nil, err
	}
	pages, err := l.erasePages(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := s.opts.seam("pages erased"); err != nil {
		return nil, err
	}
	sealed, err := l.eraseSegments(ctx, c)
	if err != nil {
		return nil, err
	}
	c.Places = append(c.Places, Place{"events", pages}, Place{"sealed events", sealed})
	if err := s.scrub(ctx); err != nil {
		return nil, err
	}
	c.Places = append(c.Places, Place{"write-ahead log", 0})
	text, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	return c, s.writer.do(ctx, func(tx *transaction) error {
		for _, k := range c.Keys { // a list that came while the rest was erased
			if _, err := tx.exec(erasedAudiences, string(c.Shop), k[:], c.until.UnixMilli()); err != nil {
				return err
			}
		}
		for _, alias := range c.Keys[1:] { // a list that names one of them must not bring the person back
			if _, err := tx.exec(`INSERT INTO tombstones (shop, user_key, time, certificate) VALUES (?, ?, ?, '')
				ON CONFLICT (shop, user_key) DO UPDATE SET time = excluded.time`, string(c.Shop), alias[:], e.Time); err != nil {
				return err
			}
		}
		_, err := tx.exec(`INSERT INTO tombstones (shop, user_key, time, certificate) VALUES (?, ?, ?, ?)
			ON CONFLICT (shop, user_key) DO UPDATE SET time = excluded.time, certificate = excluded.certificate`,
			string(c.Shop), c.User[:], e.Time, string(text))
		return err
	})
}

const erasedAudiences = `DELETE FROM audience_members WHERE shop = ?1 AND user_key = ?2 AND since <= ?3`

// erasedRows are the rows of a person, by key, newest time and time of the
// erasure.
var erasedRows = []struct{ place, query string }{
	{"users", `DELETE FROM users WHERE shop = ?1 AND user_key = ?2 AND updated <= ?3`},
	{"answers", `DELETE FROM served WHERE shop = ?1 AND (user_key = ?2 OR session_key = ?2) AND time <= ?3`},
	{"refused rows", `DELETE FROM dead_letters WHERE shop = ?1 AND user_key = ?2 AND received <= ?3`},
	{"links of sessions", `DELETE FROM identities WHERE shop = ?1 AND (user_key = ?2 OR alias_key = ?2) AND time <= ?3`},
	{"audiences", erasedAudiences},
	{"risk flags", `DELETE FROM risk_flags WHERE shop = ?1 AND user_key = ?2 AND first <= ?3`},
	{"data keys", `UPDATE data_keys SET wrapped = x'', destroyed = ?4 WHERE shop = ?1 AND user_key = ?2 AND length(wrapped) > 0 AND created <= ?3`},
}

func (s *Store) eraseRows(ctx context.Context, l *shopLog, c *Certificate) error {
	removed := make([]int64, len(erasedRows))
	err := s.writer.doThen(ctx, func(tx *transaction) error {
		clear(removed)
		if err := tx.settle(l); err != nil {
			return err
		}
		for _, k := range c.Keys {
			for i := range erasedRows {
				r, err := tx.exec(erasedRows[i].query, string(c.Shop), k[:], c.until.UnixMilli(), c.Time.UnixMilli())
				if err != nil {
					return err
				}
				n, err := r.RowsAffected()
				if err != nil {
					return err
				}
				removed[i] += n
			}
		}
		return nil
	}, func() {
		for _, k := range c.Keys {
			s.keys.forget(c.Shop, k)
		}
	})
	if err != nil {
		return err
	}
	batched, err := s.dropOf(ctx, c.Shop, c.Keys, c.until.UnixMilli())
	for i := range erasedRows {
		if erasedRows[i].place == "answers" {
			removed[i] += batched
		}
		c.Places = append(c.Places, Place{erasedRows[i].place, removed[i]})
	}
	return err
}

// of reports whether an event is the person's and to be erased.
func (c *Certificate) of(e *stored) bool {
	return e.Type != features.EventUnknown && slices.Contains(c.Keys, e.Subject()) && !e.Received.After(c.until)
}

// scrubTries bounds the wait for readers that still look at the past.
const scrubTries = 50

// scrub empties the write-ahead log, where the past stands until it is
// overwritten. What was deleted in the database itself is overwritten at once.
func (s *Store) scrub(ctx context.Context) error {
	db, err := s.connect(1, "")
	if err != nil {
		return err
	}
	defer db.Close()
	for range scrubTries {
		var busy, frames, moved int
		if err := db.QueryRowContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &frames, &moved); err != nil {
			return fmt.Errorf("empty the write-ahead log: %w", err)
		}
		if busy == 0 {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return errors.New("the write-ahead log could not be emptied: a reader holds it")
}
