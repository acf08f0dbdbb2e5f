package store

import (
	"context"
	"sync"

	"github.com/attune-rec/attune/features"
)

// knownAliases is a filter of the keys that ever were linked to a user in the
// table of identities, so that a key that never was, as a new session is, need
// not be looked for there. It never forgets: a key that went is looked for in
// vain. It is safe for concurrent use.
type knownAliases struct {
	mu    sync.RWMutex
	read  bool // the table was read; before, every key may be there
	parts []summaryPart
}

// leastAliases is the room of the first filter; each further one has twice as
// much.
const leastAliases = 1 << 16

// add takes in a key that goes to the table, before it is there.
func (a *knownAliases) add(key features.UserKey) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.put(key)
}

func (a *knownAliases) put(key features.UserKey) {
	n := len(a.parts)
	if n == 0 || a.parts[n-1].left == 0 {
		room := leastAliases << n
		a.parts = append(a.parts, summaryPart{newFilter(room), room})
		n++
	}
	p := &a.parts[n-1]
	p.add(hashKey(key))
	p.left--
}

// may reports whether a key may be in the table.
func (a *knownAliases) may(key features.UserKey) bool {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if !a.read {
		return true
	}
	h := hashKey(key)
	for i := range a.parts {
		if a.parts[i].has(h) {
			return true
		}
	}
	return false
}

// aliasesAtOnce is how many rows one read of the table takes.
const aliasesAtOnce = 4096

// load reads the table; keys may be added meanwhile.
func (a *knownAliases) load(ctx context.Context, s *Store, shop features.ShopID) error {
	var after features.UserKey // no alias is zero
	for {
		keys, err := s.aliasesAfter(ctx, shop, after)
		if err != nil {
			return err
		}
		a.mu.Lock()
		for _, k := range keys {
			a.put(k)
		}
		a.read = len(keys) < aliasesAtOnce
		a.mu.Unlock()
		if len(keys) < aliasesAtOnce {
			return nil
		}
		after = keys[len(keys)-1]
	}
}

// aliasesAfter are the next keys above the given one that ever were linked.
func (s *Store) aliasesAfter(ctx context.Context, shop features.ShopID, after features.UserKey) ([]features.UserKey, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT alias_key FROM identities WHERE shop = ? AND alias_key > ? ORDER BY alias_key LIMIT ?`,
		string(shop), after[:], aliasesAtOnce)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	keys := make([]features.UserKey, 0, aliasesAtOnce)
	for rows.Next() {
		var b []byte
		if err := rows.Scan(&b); err != nil {
			return nil, err
		}
		k, err := keyFrom(b)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, rows.Err()
}

// readAliases reads the table of every shop, beside all else.
func (s *Store) readAliases(ctx context.Context, logs []*shopLog) {
	for _, l := range logs {
		if err := l.aliases.load(ctx, s, l.shop); err != nil && ctx.Err() == nil {
			s.log.Warn("linked keys could not be read; every key is looked for in the table", "shop", string(l.shop), "error", err)
		}
	}
}
