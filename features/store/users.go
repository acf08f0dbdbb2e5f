package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/attune-rec/attune/features"
)

// PutUsers stores users, durable when it returns: all of them or none. A zero
// Key is made from ID.
func (s *Store) PutUsers(ctx context.Context, shop features.ShopID, users []User) error {
	if _, err := s.ensureShop(ctx, shop); err != nil {
		return fmt.Errorf("put users: %w", err)
	}
	p, err := s.Pseudonyms(ctx, shop)
	if err != nil {
		return fmt.Errorf("put users: %w", err)
	}
	people := make([]features.UserKey, len(users))
	for i := range users {
		if people[i] = users[i].Key; people[i].IsZero() {
			people[i] = p.User(users[i].ID)
		}
		if people[i].IsZero() {
			return fmt.Errorf("put users: user %d of %d has neither key nor id", i+1, len(users))
		}
	}
	if err := s.keys.ensure(ctx, shop, people); err != nil {
		return fmt.Errorf("put users: %w", err)
	}
	needs, err := s.Needs(ctx, shop)
	if err != nil {
		return fmt.Errorf("put users: %w", err)
	}
	agreed := s.agreed(ctx, shop)
	rows := make([]userRow, len(users))
	for i := range users {
		u := users[i]
		u.Key = people[i]
		if needs != nil {
			given, err := agreed(u.Key, u.Market)
			if err != nil {
				return fmt.Errorf("put users: %w", err)
			}
			if u.Consent != nil {
				given = *u.Consent
			}
			needs.user(&u, given)
		}
		if rows[i], err = s.userRow(ctx, shop, u); err != nil {
			return fmt.Errorf("put users: user %d of %d: %w", i+1, len(users), err)
		}
	}
	err = s.writer.do(ctx, func(tx *transaction) error {
		for i := range rows {
			if err := s.putUser(tx, shop, &rows[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("put users: %w", err)
	}
	return nil
}

// userRow is a user as stored.
type userRow struct {
	key              features.UserKey
	consent          sql.NullInt64
	market           string
	languages        string
	id, personal     []byte
	created, updated int64
}

func (s *Store) userRow(ctx context.Context, shop features.ShopID, u User) (r userRow, err error) {
	for i, l := range u.Languages {
		if strings.Contains(l, ",") {
			return r, fmt.Errorf("language %d must be one BCP 47 tag", i+1)
		}
	}
	r = userRow{key: u.Key, market: u.Market, languages: strings.Join(u.Languages, ",")}
	if u.Consent != nil {
		r.consent = sql.NullInt64{Int64: int64(*u.Consent), Valid: true}
	}
	if r.id, err = s.keys.encrypt(ctx, shop, u.Key, "external_id", []byte(u.ID)); err != nil {
		return r, err
	}
	personal, err := json.Marshal(u.Personal)
	if err != nil {
		return r, err
	}
	if string(personal) != "{}" {
		if r.personal, err = s.keys.encrypt(ctx, shop, u.Key, "personal", personal); err != nil {
			return r, err
		}
	}
	now := s.now()
	r.created, r.updated = millisOr(u.Created, now), millisOr(u.Updated, now)
	return r, nil
}

func millisOr(t, otherwise time.Time) int64 {
	if t.IsZero() {
		t = otherwise
	}
	return t.UnixMilli()
}

func (s *Store) putUser(tx *transaction, shop features.ShopID, r *userRow) error {
	change, err := nextChange(tx, shop)
	if err != nil {
		return err
	}
	_, err = tx.exec(`INSERT INTO users (shop, user_key, consent, market, languages, external_id, personal, change, created, updated)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (shop, user_key) DO UPDATE SET consent = excluded.consent, market = excluded.market, languages = excluded.languages,
		external_id = excluded.external_id, personal = excluded.personal, change = excluded.change, updated = excluded.updated`,
		string(shop), r.key[:], r.consent, r.market, r.languages, notNil(r.id), notNil(r.personal), change, r.created, r.updated)
	return err
}

// notNil keeps an empty column from being stored as NULL.
func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

const userColumns = `user_key, consent, market, languages, external_id, personal, created, updated`

// GetUser is the user with that key; ErrNotFound when there is none.
func (s *Store) GetUser(ctx context.Context, shop features.ShopID, key features.UserKey) (User, error) {
	row := s.read.QueryRowContext(ctx, `SELECT `+userColumns+` FROM users WHERE shop = ? AND user_key = ?`, string(shop), key[:])
	u, err := s.scanUser(ctx, shop, row.Scan)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	if err != nil {
		return User{}, fmt.Errorf("user %s: %w", key, err)
	}
	return u, nil
}

func (s *Store) scanUser(ctx context.Context, shop features.ShopID, scan func(...any) error) (u User, err error) {
	var key, id, personal []byte
	var consent sql.NullInt64
	var languages string
	var created, updated int64
	if err := scan(&key, &consent, &u.Market, &languages, &id, &personal, &created, &updated); err != nil {
		return u, err
	}
	if u.Key, err = keyFrom(key); err != nil {
		return u, err
	}
	if consent.Valid {
		p := features.Purposes(consent.Int64)
		u.Consent = &p
	}
	if languages != "" {
		u.Languages = strings.Split(languages, ",")
	}
	plain, err := s.keys.decrypt(ctx, shop, u.Key, "external_id", id)
	if err != nil {
		return u, err
	}
	u.ID = string(plain)
	if plain, err = s.keys.decrypt(ctx, shop, u.Key, "personal", personal); err != nil {
		return u, err
	}
	if len(plain) > 0 {
		if err := json.Unmarshal(plain, &u.Personal); err != nil {
			return u, fmt.Errorf("%w: personal fields of %s: %w", ErrCorrupt, u.Key, err)
		}
	}
	u.Created, u.Updated = time.UnixMilli(created).UTC(), time.UnixMilli(updated).UTC()
	return u, nil
}

// ListUsers returns at most limit users whose key is after the given one, by
// key.
func (s *Store) ListUsers(ctx context.Context, shop features.ShopID, after features.UserKey, limit int) ([]User, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT `+userColumns+` FROM users WHERE shop = ? AND user_key > ? ORDER BY user_key LIMIT ?`,
		string(shop), after[:], limit)
	if err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	defer rows.Close()
	var all []User
	for rows.Next() {
		u, err := s.scanUser(ctx, shop, rows.Scan)
		if err != nil {
			return nil, fmt.Errorf("list users: %w", err)
		}
		all = append(all, u)
	}
	return all, rows.Err()
}

// DeleteUser takes out what a user told the shop and destroys the data key, so
// that the text and attributes of their events and the payloads of their
// refused rows are lost too. The events themselves stay, under the pseudonym.
// ErrNotFound when there is no such user.
func (s *Store) DeleteUser(ctx context.Context, shop features.ShopID, key features.UserKey) error {
	if err := s.writable(); err != nil {
		return fmt.Errorf("delete user: %w", err)
	}
	now := s.now().UnixMilli()
	err := s.writer.doThen(ctx, func(tx *transaction) error {
		r, err := tx.exec(`DELETE FROM users WHERE shop = ? AND user_key = ?`, string(shop), key[:])
		if err != nil {
			return err
		}
		if err := oneRow(r); err != nil {
			return err
		}
		_, err = tx.exec(`UPDATE data_keys SET wrapped = x'', destroyed = ? WHERE shop = ? AND user_key = ?`, now, string(shop), key[:])
		return err
	}, func() { s.keys.forget(shop, key) })
	if err != nil {
		return fmt.Errorf("delete user %s: %w", key, err)
	}
	return nil
}

// Consent is what the person agreed to, or the default: see ConsentIn.
func (s *Store) Consent(ctx context.Context, shop features.ShopID, key features.UserKey) (features.Purposes, error) {
	return s.ConsentIn(ctx, shop, key, "")
}

// ConsentIn is what the person agreed to, or, of a session, what the user it is
// linked to did. Who said nothing has the default of their home market, of the
// market they are in now where they have none, or of the shop.
func (s *Store) ConsentIn(ctx context.Context, shop features.ShopID, key features.UserKey, market string) (features.Purposes, error) {
	fresh, err := s.fresh(ctx, shop)
	if err != nil {
		return 0, fmt.Errorf("consent: %w", err)
	}
	var linked any
	if l, ok := fresh.find(key); ok {
		linked = l.user[:]
	}
	var p sql.NullInt64
	err = s.read.QueryRowContext(ctx, `WITH who AS (SELECT consent, market FROM users WHERE shop = ?1 AND user_key IN (?2,
		coalesce(?4, (SELECT user_key FROM identities WHERE shop = ?1 AND alias_key = ?2 AND undone = 0 ORDER BY seq DESC LIMIT 1))))
		SELECT coalesce((SELECT min(consent) & max(consent) FROM who WHERE consent IS NOT NULL),
		(SELECT consent FROM market_consents WHERE shop = ?1 AND market = coalesce((SELECT max(market) FROM who WHERE market <> ''), ?3)),
		(SELECT consent FROM shops WHERE shop = ?1))`,
		string(shop), key[:], market, linked).Scan(&p)
	if err != nil {
		return 0, fmt.Errorf("consent: %w", err)
	}
	if !p.Valid {
		return features.AllPurposes, nil // what a new shop begins with
	}
	return features.Purposes(p.Int64), nil
}

// SetConsent is what a person agreed to from now on; nil takes back what they
// said, so that the default holds again. Who is not known becomes known by it.
// Nothing else of the person changes.
func (s *Store) SetConsent(ctx context.Context, shop features.ShopID, id string, key features.UserKey, p *features.Purposes) error {
	if _, err := s.ensureShop(ctx, shop); err != nil {
		return fmt.Errorf("set consent: %w", err)
	}
	if err := s.keys.ensure(ctx, shop, []features.UserKey{key}); err != nil {
		return fmt.Errorf("set consent: %w", err)
	}
	row, err := s.userRow(ctx, shop, User{Key: key, ID: id, Consent: p})
	if err != nil {
		return fmt.Errorf("set consent: %w", err)
	}
	err = s.writer.do(ctx, func(tx *transaction) error {
		change, err := nextChange(tx, shop)
		if err != nil {
			return err
		}
		r, err := tx.exec(`UPDATE users SET consent = ?, change = ?, updated = ? WHERE shop = ? AND user_key = ?`,
			row.consent, change, row.updated, string(shop), key[:])
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n > 0 {
			return err
		}
		return s.putUser(tx, shop, &row)
	})
	if err == nil {
		err = s.minimise(ctx, shop, key)
	}
	if err != nil {
		return fmt.Errorf("set consent: %w", err)
	}
	return nil
}

// SetMarketConsents makes these the defaults by market, and no others.
func (s *Store) SetMarketConsents(ctx context.Context, shop features.ShopID, by map[string]features.Purposes) error {
	if _, err := s.ensureShop(ctx, shop); err != nil {
		return fmt.Errorf("default consents: %w", err)
	}
	err := s.writer.do(ctx, func(tx *transaction) error {
		if _, err := tx.exec(`DELETE FROM market_consents WHERE shop = ?`, string(shop)); err != nil {
			return err
		}
		for market, p := range by {
			if _, err := tx.exec(`INSERT INTO market_consents (shop, market, consent) VALUES (?, ?, ?)`, string(shop), market, int64(p)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("default consents: %w", err)
	}
	return nil
}

// SetDefaultConsent is what a shopper of the shop who said nothing counts as
// having agreed to.
func (s *Store) SetDefaultConsent(ctx context.Context, shop features.ShopID, p features.Purposes) error {
	if _, err := s.ensureShop(ctx, shop); err != nil {
		return fmt.Errorf("default consent: %w", err)
	}
	return s.writer.do(ctx, func(tx *transaction) error {
		_, err := tx.exec(`UPDATE shops SET consent = ? WHERE shop = ?`, int64(p), string(shop))
		return err
	})
}

// Pseudonyms turns the shop's ids into keys. The shop is made when it is new
// and the store may write; otherwise ErrNotFound.
func (s *Store) Pseudonyms(ctx context.Context, shop features.ShopID) (*features.Pseudonyms, error) {
	var err error
	if s.writer != nil {
		_, err = s.ensureShop(ctx, shop)
	} else {
		_, err = s.knownShop(ctx, shop)
	}
	if err != nil {
		return nil, fmt.Errorf("pseudonyms of shop %s: %w", shop, err)
	}
	var wrapped []byte
	if err := s.read.QueryRowContext(ctx, `SELECT secret FROM shops WHERE shop = ?`, string(shop)).Scan(&wrapped); err != nil {
		return nil, fmt.Errorf("pseudonyms of shop %s: %w", shop, err)
	}
	secret, err := s.keys.keeper.Decrypt(ctx, wrapped)
	if err != nil {
		return nil, fmt.Errorf("unwrap the secret of shop %s: is this the master key it was made with? %w", shop, err)
	}
	return features.NewPseudonyms(secret)
}
