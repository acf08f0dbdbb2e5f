package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/attune-rec/attune/features"
)

// LinkMany is Link for several pairs of alias and user, which are stored
// together: what one Link would refuse is left out.
func (s *Store) LinkMany(ctx context.Context, shop features.ShopID, pairs [][2]features.UserKey) error {
	l, err := s.ensureShop(ctx, shop)
	if err != nil {
		return fmt.Errorf("link: %w", err)
	}
	l.mu.RLock()
	at := l.end
	l.mu.RUnlock()
	now := s.now().UnixMilli()
	err = s.writer.do(ctx, func(tx *transaction) error {
		if err := tx.settle(l); err != nil {
			return err
		}
		k, err := checkLinks(tx, l, pairs, now)
		if err != nil {
			return err
		}
		return k.store(at, now)
	})
	if err != nil {
		return fmt.Errorf("link: %w", err)
	}
	return nil
}

// writeLinks stores what the calls of a transaction said of who is who. When
// that fails the calls are told so, and their events are kept.
func (l *shopLog) writeLinks(tx *transaction, p *pendingLog) (spoilt error) {
	if p.links == 0 {
		return nil
	}
	pairs := make([][2]features.UserKey, 0, p.links)
	for _, a := range p.calls {
		pairs = append(pairs, a.links...)
	}
	now := l.store.now().UnixMilli()
	failed, spoilt := tx.isolate(func(tx *transaction) error {
		if l.fresh.many() {
			if err := tx.settleSome(l, now, movesAStep); err != nil {
				return err
			}
		}
		k, err := checkLinks(tx, l, pairs, now)
		if err != nil {
			return err
		}
		p.linked, p.linkedAt = k.pairs, now
		return tx.putFresh(l.shop, k.pairs, p.end, now)
	})
	if failed != nil {
		p.linked = nil
	}
	for _, a := range p.calls {
		a.failed = failed
	}
	return spoilt
}

// linksAtOnce is how many links one statement looks up or stores: running many
// costs more than the work of each.
const linksAtOnce = 32

var (
	linkedQuery = `SELECT alias_key, user_key FROM identities WHERE shop = ? AND undone = 0 AND alias_key IN (?` +
		strings.Repeat(`, ?`, linksAtOnce-1) + `)`
	linkQuery  = linkRows(1)
	linksQuery = linkRows(linksAtOnce)
)

func linkRows(n int) string {
	return `INSERT INTO identities (shop, seq, time, alias_key, user_key) VALUES (?1, ?2, ?3, ?, ?)` +
		strings.Repeat(`, (?1, ?2, ?3, ?, ?)`, n-1) +
		` ON CONFLICT (shop, alias_key, seq) DO UPDATE SET user_key = excluded.user_key, time = excluded.time, undone = 0`
}

// linking is links on their way into one transaction.
type linking struct {
	tx    *transaction
	log   *shopLog
	shop  features.ShopID
	known map[features.UserKey]features.UserKey // whom a key is linked to now; zero: nobody
	fresh map[features.UserKey]int              // place in pairs
	pairs [][2]features.UserKey                 // to be stored
}

// checkLinks is the links in order that are to be stored: those that hold
// already or would close a circle are left out, and those that they replace are
// undone.
func checkLinks(tx *transaction, l *shopLog, pairs [][2]features.UserKey, now int64) (*linking, error) {
	k := &linking{tx: tx, log: l, shop: l.shop, known: make(map[features.UserKey]features.UserKey, 2*len(pairs)), fresh: make(map[features.UserKey]int, len(pairs))}
	if err := k.lookUp(pairs); err != nil {
		return nil, err
	}
	for _, p := range pairs {
		if err := k.add(p[0], p[1], now); err != nil {
			return nil, err
		}
	}
	return k, nil
}

// lookUp finds whom the keys of the pairs are linked to.
func (k *linking) lookUp(pairs [][2]features.UserKey) error {
	var unknown []features.UserKey
	for _, p := range pairs {
		for _, key := range p {
			if _, ok := k.known[key]; ok || key.IsZero() {
				continue
			}
			to, waits := k.tx.waits(k.log, key)
			if k.known[key] = to; !waits && k.log.aliases.may(key) {
				unknown = append(unknown, key)
			}
		}
	}
	args := make([]any, 1+linksAtOnce)
	args[0] = string(k.shop)
	for some := range slices.Chunk(unknown, linksAtOnce) {
		for i := range linksAtOnce {
			args[1+i] = some[min(i, len(some)-1)][:]
		}
		if err := k.read(args); err != nil {
			return err
		}
	}
	return nil
}

func (k *linking) read(args []any) error {
	rows, err := k.tx.query(linkedQuery, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var alias, user []byte
		if err := rows.Scan(&alias, &user); err != nil {
			return err
		}
		a, err := keyFrom(alias)
		if err != nil {
			return err
		}
		if k.known[a], err = keyFrom(user); err != nil {
			return err
		}
	}
	return rows.Err()
}

// to is whom a key is linked to; the zero key when it is not.
func (k *linking) to(key features.UserKey) (to features.UserKey, err error) {
	to, ok := k.known[key]
	if ok {
		return to, nil
	}
	if to, ok = k.tx.waits(k.log, key); !ok && k.log.aliases.may(key) {
		to, err = linkedTo(k.tx, k.shop, key)
	}
	if err == nil {
		k.known[key] = to
	}
	return to, err
}

// add takes one link in, unless it holds already or would close a circle.
func (k *linking) add(alias, user features.UserKey, now int64) error {
	if alias.IsZero() || user.IsZero() || alias == user || k.known[alias] == user {
		return nil
	}
	for key, i := user, 0; i < maxLinks && !key.IsZero(); i++ {
		var err error
		if key, err = k.to(key); err != nil {
			return err
		}
		if key == alias {
			return nil
		}
	}
	at, again := k.fresh[alias]
	switch {
	case again:
		k.pairs[at][1] = user
	case !k.known[alias].IsZero():
		if err := k.tx.settle(k.log); err != nil {
			return err
		}
		if _, err := k.tx.exec(`UPDATE identities SET undone = ? WHERE shop = ? AND alias_key = ? AND undone = 0`, now, string(k.shop), alias[:]); err != nil {
			return err
		}
		fallthrough
	default:
		k.fresh[alias] = len(k.pairs)
		k.pairs = append(k.pairs, [2]features.UserKey{alias, user})
	}
	k.known[alias] = user
	return nil
}

// store puts the links into the table.
func (k *linking) store(at, now int64) error {
	for i := range k.pairs {
		k.log.aliases.add(k.pairs[i][0])
	}
	args := make([]any, 0, 3+2*linksAtOnce)
	for some := range slices.Chunk(k.pairs, linksAtOnce) {
		if len(some) < linksAtOnce {
			for i := range some {
				if _, err := k.tx.exec(linkQuery, string(k.shop), at, now, some[i][0][:], some[i][1][:]); err != nil {
					return err
				}
			}
			continue
		}
		args = append(args[:0], string(k.shop), at, now)
		for i := range some {
			args = append(args, some[i][0][:], some[i][1][:])
		}
		if _, err := k.tx.exec(linksQuery, args...); err != nil {
			return err
		}
	}
	return nil
}
