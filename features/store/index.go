package store

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/attune-rec/attune/features"
)

// idHash is 96 bits of the SHA-256 of an event id. Two ids that share them
// would be taken for one: with a thousand million events, one chance in 10^11.
type idHash struct {
	a uint64
	b uint32
}

func hashID(id string) idHash {
	sum := sha256.Sum256([]byte(id))
	return idHash{binary.BigEndian.Uint64(sum[:]), binary.BigEndian.Uint32(sum[8:])}
}

// An event stands in the chains of its keys. A chain is named by a key, some by
// a variant of it that no subject has:
//
//	the user                 what they did
//	the session              what was done in it by nobody known
//	known(session)           what was done in it by users
//	opinions(user, session)  Hide, Dislike and Like, so that they are found
//	                         however long ago they were; of a session those of
//	                         nobody known
type chains struct {
	keys [4]features.UserKey
	n    int
}

func chainsOf(e *features.Event) (c chains) {
	add := func(k features.UserKey) {
		c.keys[c.n] = k
		c.n++
	}
	if !e.User.IsZero() {
		add(e.User)
	}
	if !e.Session.IsZero() && e.Session != e.User {
		if e.User.IsZero() {
			add(e.Session)
		} else {
			add(known(e.Session))
		}
	}
	switch e.Type {
	case features.Hide, features.Dislike, features.Like:
		add(opinions(e.Subject()))
	}
	return c
}

func known(session features.UserKey) features.UserKey { return variant(session, 0x5A) }

func opinions(subject features.UserKey) features.UserKey { return variant(subject, 0xC3) }

// variant is another key: keys are as good as random, so that one in 2^128 is
// the key of somebody else.
func variant(k features.UserKey, by byte) features.UserKey {
	for i := range k {
		k[i] ^= by
	}
	return k
}

// generation is the index of a range of the log that lies in pages: whose
// events they are, and which ids they had. It is kept in memory and made anew
// from the pages at start. Once full it never changes again, and is what a
// segment is made of.
type generation struct {
	first int64 // its first sequence number
	next  int64 // after its last
	heads map[features.UserKey]int32
	links []link
	ids   map[idHash]uint32
	seen  filter // of the ids, once they are many: it stays in the processor's cache
	room  int    // ids it would have room for
}

// manyIDs is how many ids a generation has before it has a filter.
const manyIDs = 16 << 10

// link is an event in the chain of a subject's events, newest first.
type link struct {
	row  uint32 // seq - first
	prev int32  // -1: none
}

// newGeneration begins a generation of so many events at first.
func newGeneration(first int64, events int) *generation {
	return &generation{first: first, next: first, room: events, heads: map[features.UserKey]int32{}, ids: map[idHash]uint32{}}
}

// add takes in the next event; id is nil when it has none.
func (g *generation) add(e *features.Event, id *idHash) {
	row := uint32(e.Seq - g.first)
	c := chainsOf(e)
	for _, k := range c.keys[:c.n] {
		g.chain(k, row)
	}
	if id != nil {
		g.ids[*id] = row
		g.see(*id)
	}
	g.next = e.Seq + 1
}

// see puts an id among those that the filter has, all of them when it is made.
func (g *generation) see(id idHash) {
	switch {
	case len(g.seen.blocks) > 0:
		g.seen.add(id.a)
	case len(g.ids) >= manyIDs:
		g.seen = newFilter(g.room)
		for id := range g.ids {
			g.seen.add(id.a)
		}
	}
}

func (g *generation) chain(k features.UserKey, row uint32) {
	prev, ok := g.heads[k]
	if !ok {
		prev = -1
	}
	g.heads[k] = int32(len(g.links))
	g.links = append(g.links, link{row, prev})
}

// newest appends the sequence numbers of at most limit events of k that are at
// least from, newest first.
func (g *generation) newest(k features.UserKey, from int64, limit int, dst []int64) []int64 {
	at, ok := g.heads[k]
	for ; ok && at >= 0 && limit > 0; limit-- {
		l := g.links[at]
		seq := g.first + int64(l.row)
		if seq < from {
			break
		}
		dst = append(dst, seq)
		at = l.prev
	}
	return dst
}

// find is where an event with this id is stored.
func (g *generation) find(id idHash) (seq int64, ok bool) {
	if len(g.seen.blocks) > 0 && !g.seen.has(id.a) {
		return 0, false
	}
	row, ok := g.ids[id]
	return g.first + int64(row), ok
}
