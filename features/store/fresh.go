package store

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/attune-rec/attune/features"
)

// Links that come with events wait in rows of their own until so many, or so
// old, move to the table of identities in its order: keys are random, so that
// each of few costs a page of the table and one of its index to write, and many
// share pages. They move some at a time while the writer has nothing else to
// do; once there are twice as many, some go with each commit.
const (
	mostFresh  = 64 << 10
	freshFor   = 10 * time.Second
	movesAStep = 1 << 10 // with a commit
	movesIdle  = 1 << 6  // with nothing else to do: whoever comes waits for no more
	movesRest  = 3       // times as long as a move took until the next

	pairBytes = 2 * len(features.UserKey{})
)

// freshLink is whom an alias was linked to, and when.
type freshLink struct {
	user      features.UserKey
	seq, time int64
}

// freshLinks are the links of a shop that wait. An alias has one of them at
// most, which is newer than what the table says. Who looks for a link looks
// here first and then into the table, so that none is missed on its way. It is
// safe for concurrent use; the zero value is empty.
type freshLinks struct {
	mu     sync.RWMutex
	to     map[features.UserKey]freshLink
	of     map[features.UserKey][]features.UserKey // aliases by user
	oldest int64                                   // milliseconds
	rows   int                                     // that they came in
	moving move
	step   int // how many move at a time; 0 for as many as are asked for
}

// move is links on their way to the table. They wait until the last is there,
// when their rows go, too.
type move struct {
	aliases []features.UserKey // in the table's order
	done    int                // of them
	rows    int                // the oldest ones, which hold them
}

// allMoved stands for every link of a shop.
const allMoved = -1

func (f *freshLinks) add(pairs [][2]features.UserKey, seq, ms int64) {
	if len(pairs) == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.to) == 0 {
		f.to, f.of, f.oldest = map[features.UserKey]freshLink{}, map[features.UserKey][]features.UserKey{}, ms
	}
	for _, p := range pairs {
		f.to[p[0]] = freshLink{p[1], seq, ms}
		f.of[p[1]] = append(f.of[p[1]], p[0])
	}
	f.rows++
}

// next are at most n links to move, with the number of rows to delete after
// them; none as long as it is not time.
func (f *freshLinks) next(now int64, n int) (links []features.UserKey, rows int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := &f.moving
	if len(m.aliases) == 0 {
		if len(f.to) < mostFresh && (len(f.to) == 0 || now-f.oldest < freshFor.Milliseconds()) {
			return nil, 0
		}
		*m = move{aliases: inOrder(f.to), rows: f.rows}
	}
	left := m.aliases[m.done:]
	if n = cmp.Or(f.step, n); n < len(left) {
		return left[:n], 0
	}
	return left, m.rows
}

// moved says that the next n, or all there are, are in the table now.
func (f *freshLinks) moved(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n == allMoved {
		f.to, f.of, f.rows, f.moving = nil, nil, 0, move{}
		return
	}
	m := &f.moving
	if m.done += n; m.done < len(m.aliases) {
		return
	}
	for _, alias := range m.aliases {
		user := f.to[alias].user
		if own := slices.DeleteFunc(f.of[user], func(a features.UserKey) bool { return a == alias }); len(own) > 0 {
			f.of[user] = own
		} else {
			delete(f.of, user)
		}
		delete(f.to, alias)
	}
	f.rows -= m.rows
	f.moving = move{}
	f.oldest = math.MaxInt64
	for _, l := range f.to {
		f.oldest = min(f.oldest, l.time)
	}
}

func inOrder(links map[features.UserKey]freshLink) []features.UserKey {
	return slices.SortedFunc(maps.Keys(links), func(a, b features.UserKey) int { return bytes.Compare(a[:], b[:]) })
}

// find is the link of an alias that waits.
func (f *freshLinks) find(alias features.UserKey) (freshLink, bool) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	l, ok := f.to[alias]
	return l, ok
}

// aliases are those linked to a user.
func (f *freshLinks) aliases(user features.UserKey) []features.UserKey {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return slices.Clone(f.of[user])
}

func (f *freshLinks) all() map[features.UserKey]freshLink {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return maps.Clone(f.to)
}

// read takes in what the rows of a shop say.
func (f *freshLinks) read(ctx context.Context, s *Store, shop features.ShopID) error {
	rows, err := s.read.QueryContext(ctx, `SELECT seq, time, body FROM fresh_links WHERE shop = ? ORDER BY id`, string(shop))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var seq, ms int64
		var body []byte
		if err := rows.Scan(&seq, &ms, &body); err != nil {
			return err
		}
		if len(body)%pairBytes != 0 {
			return fmt.Errorf("%w: links of shop %s have %d bytes", ErrCorrupt, shop, len(body))
		}
		pairs := make([][2]features.UserKey, 0, len(body)/pairBytes)
		for b := range slices.Chunk(body, pairBytes) {
			pairs = append(pairs, [2]features.UserKey{features.UserKey(b[:pairBytes/2]), features.UserKey(b[pairBytes/2:])})
		}
		f.add(pairs, seq, ms)
	}
	return rows.Err()
}

// freshRead is what a store that only reads has read of a shop's.
type freshRead struct {
	first, last int64 // rows
	links       *freshLinks
}

// fresh are the links of a shop that are not in the table, or are on their way
// there.
func (s *Store) fresh(ctx context.Context, shop features.ShopID) (*freshLinks, error) {
	if s.writer != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		if l := s.shops[shop]; l != nil {
			return &l.fresh, nil
		}
		return &freshLinks{}, nil
	}
	now := freshRead{links: &freshLinks{}}
	err := s.read.QueryRowContext(ctx, `SELECT (SELECT coalesce(min(id), 0) FROM fresh_links WHERE shop = ?1), (SELECT coalesce(max(id), 0) FROM fresh_links WHERE shop = ?1)`,
		string(shop)).Scan(&now.first, &now.last)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	before, ok := s.freshRead[shop]
	s.mu.Unlock()
	if ok && before.first == now.first && before.last == now.last {
		return before.links, nil
	}
	if now.last > 0 {
		if err := now.links.read(ctx, s, shop); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.freshRead == nil {
		s.freshRead = map[features.ShopID]freshRead{}
	}
	s.freshRead[shop] = now
	return now.links, nil
}

// settlesQuery takes shop, then alias, user, number and time of each.
var settlesQuery, settleQuery = settleRows(linksAtOnce), settleRows(1)

func settleRows(n int) string {
	return `INSERT INTO identities (shop, alias_key, user_key, seq, time) VALUES (?1, ?, ?, ?, ?)` +
		strings.Repeat(`, (?1, ?, ?, ?, ?)`, n-1) +
		` ON CONFLICT (shop, alias_key, seq) DO UPDATE SET user_key = excluded.user_key, time = excluded.time, undone = 0`
}

// settle puts all links of a shop that wait into the table: who changes the
// table otherwise does so first.
func (tx *transaction) settle(l *shopLog) error {
	if tx.settled(l) {
		return nil
	}
	waiting := l.fresh.all()
	if len(waiting) == 0 {
		return nil
	}
	if err := tx.identify(l, inOrder(waiting)); err != nil {
		return err
	}
	if _, err := tx.exec(`DELETE FROM fresh_links WHERE shop = ?`, string(l.shop)); err != nil {
		return err
	}
	tx.move(l, allMoved)
	return nil
}

// settled reports whether no link of a shop waits any more.
func (tx *transaction) settled(l *shopLog) bool { return tx.moves[l] == allMoved }

func (tx *transaction) move(l *shopLog, n int) {
	if tx.moves == nil {
		tx.moves = map[*shopLog]int{}
	}
	tx.moves[l] = n
}

// many reports whether so many links wait that they cannot go on waiting for
// the writer to have nothing else to do.
func (f *freshLinks) many() bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return len(f.to) >= 2*mostFresh || f.step > 0
}

// settleSome puts at most n links into the table whose turn it is.
func (tx *transaction) settleSome(l *shopLog, now int64, n int) error {
	if tx.settled(l) {
		return nil
	}
	some, rows := l.fresh.next(now, n)
	if len(some) == 0 {
		return nil
	}
	if err := tx.identify(l, some); err != nil {
		return err
	}
	if rows > 0 {
		if _, err := tx.exec(`DELETE FROM fresh_links WHERE id IN (SELECT id FROM fresh_links WHERE shop = ? ORDER BY id LIMIT ?)`, string(l.shop), rows); err != nil {
			return err
		}
	}
	tx.move(l, len(some))
	return nil
}

// identify writes the links of aliases that wait into the table.
func (tx *transaction) identify(l *shopLog, aliases []features.UserKey) error {
	for _, alias := range aliases {
		l.aliases.add(alias)
	}
	args := make([]any, 0, 1+4*linksAtOnce)
	for some := range slices.Chunk(aliases, linksAtOnce) {
		if len(some) < linksAtOnce {
			for i := range some {
				w, _ := l.fresh.find(some[i])
				if _, err := tx.exec(settleQuery, string(l.shop), some[i][:], w.user[:], w.seq, w.time); err != nil {
					return err
				}
			}
			continue
		}
		args = append(args[:0], string(l.shop))
		for i := range some {
			w, _ := l.fresh.find(some[i])
			args = append(args, some[i][:], w.user[:], w.seq, w.time)
		}
		if _, err := tx.exec(settlesQuery, args...); err != nil {
			return err
		}
	}
	return nil
}

// waits is whom an alias was linked to by a link that waits.
func (tx *transaction) waits(l *shopLog, alias features.UserKey) (features.UserKey, bool) {
	if tx.settled(l) {
		return features.UserKey{}, false
	}
	w, ok := l.fresh.find(alias)
	return w.user, ok
}

// putFresh stores links in a row of their own.
func (tx *transaction) putFresh(shop features.ShopID, pairs [][2]features.UserKey, at, now int64) error {
	if len(pairs) == 0 {
		return nil
	}
	body := make([]byte, 0, len(pairs)*pairBytes)
	for _, p := range pairs {
		body = append(append(body, p[0][:]...), p[1][:]...)
	}
	_, err := tx.exec(`INSERT INTO fresh_links (shop, seq, time, body) VALUES (?, ?, ?, ?)`, string(shop), at, now, body)
	return err
}
