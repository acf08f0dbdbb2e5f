package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/attune-rec/attune/features"
)

// Audience is a list of people that a partner brought, with its figures. Names
// are hashed e-mails, devices and the shop's own ids, each by its pseudonym.
type Audience struct {
	Name             string
	Source           string // who brought it last
	Created, Updated time.Time
	Size             int64 // names on it, expired ones too
	Matched          int64 // of those not expired, that somebody goes by who did or told something
	Unmatched        int64 // of those not expired, that nobody goes by yet
	Expired          int64
}

// Listed is somebody to be put on a list.
type Listed struct {
	Key     features.UserKey
	Expires time.Time // zero: never
}

// Enlisted is what became of several.
type Enlisted struct {
	Stored   int64 // new or changed
	Same     int64 // were on the list so already
	Withheld int64 // were erased, and did not agree to marketing since
}

// Audiences keeps the lists of people that partners bring. It is safe for
// concurrent use.
type Audiences interface {
	// Enlist puts people on a list, all of them or none, durable when it returns.
	// Whom it has alike is left as they are. Who was erased is kept out, unless
	// the user of that key, or the one it is linked to, said yes to marketing.
	Enlist(ctx context.Context, shop features.ShopID, name, source string, people []Listed) (Enlisted, error)
	// Retain takes everybody off a list who is not among those to keep, and says
	// how many that were. ErrNotFound when there is no such list.
	Retain(ctx context.Context, shop features.ShopID, name string, keep map[features.UserKey]struct{}) (int64, error)
	// ListAudiences is at most limit lists whose name is after the given one, by
	// name. Figures are counted as it is called, at a read or two for each name.
	ListAudiences(ctx context.Context, shop features.ShopID, after string, limit int) ([]Audience, error)
	// GetAudience is one of them; ErrNotFound when there is none of that name.
	GetAudience(ctx context.Context, shop features.ShopID, name string) (Audience, error)
	// DeleteAudience takes a list away with all that is on it, or ErrNotFound.
	DeleteAudience(ctx context.Context, shop features.ShopID, name string) error
	// Memberships are the lists that any of the keys is on, by name, expired ones
	// too: of several names on one list, since the first and until the last.
	Memberships(ctx context.Context, shop features.ShopID, keys []features.UserKey) ([]features.Membership, error)
	// AnyAudience reports whether a shop has a list.
	AnyAudience(ctx context.Context, shop features.ShopID) (bool, error)
}

var _ Audiences = (*Store)(nil)

// mostAudience is the most characters of a list's name.
const mostAudience = 128

// CheckAudience reports a text that cannot name a list.
func CheckAudience(name string) error {
	n := utf8.RuneCountInString(name)
	odd := func(r rune) bool { return r == '/' || r == ':' || unicode.IsControl(r) || r == utf8.RuneError }
	if n == 0 || n > mostAudience || strings.TrimSpace(name) != name || strings.ContainsFunc(name, odd) {
		return fmt.Errorf("%.40q cannot name an audience: expected 1 to %d characters without /, : and control characters", name, mostAudience)
	}
	return nil
}

// enlistQuery changes no row of who is to be kept out and of who is on the list
// alike. The number is features.Marketing.
const enlistQuery = `INSERT INTO audience_members (shop, audience, user_key, source, since, expires)
	SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE NOT EXISTS (SELECT 1 FROM tombstones WHERE shop = ?1 AND user_key = ?3)
	OR EXISTS (SELECT 1 FROM users WHERE shop = ?1 AND consent & ?7 AND user_key IN
		(?3, (SELECT user_key FROM identities WHERE shop = ?1 AND alias_key = ?3 AND undone = 0)))
	ON CONFLICT (shop, user_key, audience) DO UPDATE SET source = excluded.source, expires = excluded.expires
	WHERE source <> excluded.source OR expires <> excluded.expires`

// Enlist implements Audiences.
func (s *Store) Enlist(ctx context.Context, shop features.ShopID, name, source string, people []Listed) (Enlisted, error) {
	if err := CheckAudience(name); err != nil {
		return Enlisted{}, fmt.Errorf("enlist: %w", err)
	}
	l, err := s.ensureShop(ctx, shop)
	if err != nil {
		return Enlisted{}, fmt.Errorf("enlist: %w", err)
	}
	now := s.now().UnixMilli()
	var out Enlisted
	err = s.writer.do(ctx, func(tx *transaction) error {
		out = Enlisted{}
		if err := tx.settle(l); err != nil {
			return err
		}
		for i := range people {
			if err := enlist(tx, shop, name, source, &people[i], now, &out); err != nil {
				return err
			}
		}
		if out.Stored == 0 {
			_, err := tx.exec(`INSERT INTO audiences (shop, name, source, created, updated) VALUES (?1, ?2, ?3, ?4, ?4) ON CONFLICT DO NOTHING`,
				string(shop), name, source, now)
			return err
		}
		_, err := tx.exec(`INSERT INTO audiences (shop, name, source, created, updated) VALUES (?1, ?2, ?3, ?4, ?4)
			ON CONFLICT (shop, name) DO UPDATE SET source = excluded.source, updated = excluded.updated`, string(shop), name, source, now)
		return err
	})
	if err != nil {
		return Enlisted{}, fmt.Errorf("enlist on %s: %w", name, err)
	}
	return out, nil
}

func enlist(tx *transaction, shop features.ShopID, name, source string, p *Listed, now int64, out *Enlisted) error {
	if p.Key.IsZero() {
		return errors.New("somebody has no key")
	}
	expires := int64(0)
	if !p.Expires.IsZero() {
		expires = p.Expires.UnixMilli()
	}
	r, err := tx.exec(enlistQuery, string(shop), name, p.Key[:], source, now, expires, int64(features.Marketing))
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil || n > 0 {
		out.Stored += n
		return err
	}
	var there bool
	err = tx.get([]any{&there}, `SELECT EXISTS (SELECT 1 FROM audience_members WHERE shop = ? AND user_key = ? AND audience = ?)`,
		string(shop), p.Key[:], name)
	if there {
		out.Same++
	} else {
		out.Withheld++
	}
	return err
}

const listedAtOnce = 1000

// Retain implements Audiences.
func (s *Store) Retain(ctx context.Context, shop features.ShopID, name string, keep map[features.UserKey]struct{}) (removed int64, err error) {
	if err := s.writable(); err != nil {
		return 0, fmt.Errorf("retain on %s: %w", name, err)
	}
	if _, err := s.audience(ctx, shop, name); err != nil {
		return 0, fmt.Errorf("retain on %s: %w", name, err)
	}
	var goes []features.UserKey
	err = s.eachListed(ctx, shop, name, func(key features.UserKey, _ int64, _ bool) error {
		if _, ok := keep[key]; !ok {
			goes = append(goes, key)
		}
		return nil
	})
	for some := range slices.Chunk(goes, listedAtOnce) {
		if err != nil {
			break
		}
		err = s.writer.do(ctx, func(tx *transaction) error {
			for _, key := range some {
				if _, err := tx.exec(`DELETE FROM audience_members WHERE shop = ? AND user_key = ? AND audience = ?`, string(shop), key[:], name); err != nil {
					return err
				}
			}
			_, err := tx.exec(`UPDATE audiences SET updated = ? WHERE shop = ? AND name = ?`, s.now().UnixMilli(), string(shop), name)
			return err
		})
		if err == nil {
			removed += int64(len(some))
		}
	}
	if err != nil {
		return removed, fmt.Errorf("retain on %s: %w", name, err)
	}
	return removed, nil
}

// eachListed calls f with the names on a list, when they expire, and whether a
// user or a link is known by them, in bounded reads.
func (s *Store) eachListed(ctx context.Context, shop features.ShopID, name string, f func(key features.UserKey, expires int64, known bool) error) error {
	after := []byte{}
	for {
		n, last, err := s.someListed(ctx, shop, name, after, f)
		if err != nil || n < listedAtOnce {
			return err
		}
		after = last[:]
	}
}

// someListed is eachListed for those after a key, and how many that were.
func (s *Store) someListed(ctx context.Context, shop features.ShopID, name string, after []byte, f func(features.UserKey, int64, bool) error) (n int, last features.UserKey, err error) {
	rows, err := s.read.QueryContext(ctx, `SELECT user_key, expires, EXISTS (SELECT 1 FROM users u WHERE u.shop = m.shop AND u.user_key = m.user_key)
		OR EXISTS (SELECT 1 FROM identities i WHERE i.shop = m.shop AND i.alias_key = m.user_key AND undone = 0)
		FROM audience_members m INDEXED BY audience_members_by_audience WHERE shop = ? AND audience = ? AND user_key > ? ORDER BY user_key LIMIT ?`,
		string(shop), name, after, listedAtOnce)
	if err != nil {
		return 0, last, err
	}
	defer rows.Close()
	for ; rows.Next(); n++ {
		var b []byte
		var expires int64
		var known bool
		if err := rows.Scan(&b, &expires, &known); err != nil {
			return n, last, err
		}
		if last, err = keyFrom(b); err != nil {
			return n, last, err
		}
		if err := f(last, expires, known); err != nil {
			return n, last, err
		}
	}
	return n, last, rows.Err()
}

// ListAudiences implements Audiences.
func (s *Store) ListAudiences(ctx context.Context, shop features.ShopID, after string, limit int) ([]Audience, error) {
	all, err := s.audiences(ctx, `SELECT name, source, created, updated FROM audiences WHERE shop = ? AND name > ? ORDER BY name LIMIT ?`,
		string(shop), after, limit)
	for i := range all {
		if err == nil {
			err = s.figures(ctx, shop, &all[i])
		}
	}
	if err != nil {
		return nil, fmt.Errorf("list audiences: %w", err)
	}
	return all, nil
}

// GetAudience implements Audiences.
func (s *Store) GetAudience(ctx context.Context, shop features.ShopID, name string) (Audience, error) {
	a, err := s.audience(ctx, shop, name)
	if err == nil {
		err = s.figures(ctx, shop, &a)
	}
	if err != nil {
		return Audience{}, fmt.Errorf("audience %s: %w", name, err)
	}
	return a, nil
}

// audience is a list without its figures.
func (s *Store) audience(ctx context.Context, shop features.ShopID, name string) (Audience, error) {
	one, err := s.audiences(ctx, `SELECT name, source, created, updated FROM audiences WHERE shop = ? AND name = ?`, string(shop), name)
	if err == nil && len(one) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Audience{}, err
	}
	return one[0], nil
}

func (s *Store) audiences(ctx context.Context, query string, args ...any) ([]Audience, error) {
	rows, err := s.read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Audience
	for rows.Next() {
		var a Audience
		var created, updated int64
		if err := rows.Scan(&a.Name, &a.Source, &created, &updated); err != nil {
			return nil, err
		}
		a.Created, a.Updated = time.UnixMilli(created).UTC(), time.UnixMilli(updated).UTC()
		all = append(all, a)
	}
	return all, rows.Err()
}

// figures counts who is on a list.
func (s *Store) figures(ctx context.Context, shop features.ShopID, a *Audience) error {
	now := s.now().UnixMilli()
	return s.eachListed(ctx, shop, a.Name, func(key features.UserKey, expires int64, known bool) (err error) {
		a.Size++
		if expires != 0 && expires <= now {
			a.Expired++
			return nil
		}
		if !known {
			known, err = s.Anonymous(ctx, shop, key)
		}
		if known {
			a.Matched++
		} else {
			a.Unmatched++
		}
		return err
	})
}

// DeleteAudience implements Audiences.
func (s *Store) DeleteAudience(ctx context.Context, shop features.ShopID, name string) error {
	if err := s.writable(); err != nil {
		return fmt.Errorf("delete audience: %w", err)
	}
	err := s.writer.do(ctx, func(tx *transaction) error {
		r, err := tx.exec(`DELETE FROM audiences WHERE shop = ? AND name = ?`, string(shop), name)
		if err != nil {
			return err
		}
		if err := oneRow(r); err != nil {
			return err
		}
		_, err = tx.exec(`DELETE FROM audience_members WHERE shop = ? AND audience = ?`, string(shop), name)
		return err
	})
	if err != nil {
		return fmt.Errorf("delete audience %s: %w", name, err)
	}
	return nil
}

var membershipsQuery = `SELECT audience, source, since, expires FROM audience_members WHERE shop = ? AND user_key IN (?` +
	strings.Repeat(`, ?`, linksAtOnce-1) + `) ORDER BY audience, since`

// Memberships implements Audiences.
func (s *Store) Memberships(ctx context.Context, shop features.ShopID, keys []features.UserKey) ([]features.Membership, error) {
	var all []features.Membership
	args := make([]any, 1+linksAtOnce)
	args[0] = string(shop)
	for some := range slices.Chunk(keys, linksAtOnce) {
		for i := range linksAtOnce {
			args[1+i] = some[min(i, len(some)-1)][:]
		}
		rows, err := s.read.QueryContext(ctx, membershipsQuery, args...)
		if err == nil {
			all, err = appendMemberships(all, rows)
		}
		if err != nil {
			return nil, fmt.Errorf("memberships: %w", err)
		}
	}
	slices.SortStableFunc(all, func(a, b features.Membership) int {
		if a.Audience != b.Audience {
			return strings.Compare(a.Audience, b.Audience)
		}
		return a.Since.Compare(b.Since)
	})
	one := all[:0]
	for _, m := range all {
		if n := len(one); n == 0 || one[n-1].Audience != m.Audience {
			one = append(one, m)
		} else if last := &one[n-1]; !last.Expires.IsZero() && (m.Expires.IsZero() || m.Expires.After(last.Expires)) {
			last.Expires = m.Expires
		}
	}
	return one, nil
}

func appendMemberships(all []features.Membership, rows *sql.Rows) ([]features.Membership, error) {
	defer rows.Close()
	for rows.Next() {
		var m features.Membership
		var since, expires int64
		if err := rows.Scan(&m.Audience, &m.Source, &since, &expires); err != nil {
			return nil, err
		}
		m.Since = time.UnixMilli(since).UTC()
		if expires != 0 {
			m.Expires = time.UnixMilli(expires).UTC()
		}
		all = append(all, m)
	}
	return all, rows.Err()
}

// AnyAudience implements Audiences.
func (s *Store) AnyAudience(ctx context.Context, shop features.ShopID) (yes bool, err error) {
	err = s.read.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM audiences WHERE shop = ?)`, string(shop)).Scan(&yes)
	if err != nil {
		return false, fmt.Errorf("audiences: %w", err)
	}
	return yes, nil
}
