package profile

import (
	"sync"

	"github.com/attune-rec/attune/features"
)

// kept is the entries of at most so many shoppers, the latest seen: where there
// is no room for another, the first goes that was not seen since others were
// looked over for that. To see one is to set a mark, so that those who read do
// not wait for each other, and next to nothing of it has pointers, which the
// garbage collector would follow. It is safe for concurrent use.
type kept struct {
	size int

	mu    sync.RWMutex
	at    map[features.UserKey]int32 // places among slots
	slots []slot
	free  []int32
	hand  int // where the next to go is looked for
}

type slot struct {
	key features.UserKey
	e   *entry // nil: free
}

func newKept(size int) *kept {
	return &kept{size: size, at: map[features.UserKey]int32{}}
}

// Get is the entry of a key, which is seen now.
func (k *kept) Get(key features.UserKey) (*entry, bool) {
	e, ok := k.Peek(key)
	if ok && !e.seen.Load() {
		e.seen.Store(true)
	}
	return e, ok
}

// Peek is the entry of a key.
func (k *kept) Peek(key features.UserKey) (*entry, bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	at, ok := k.at[key]
	if !ok {
		return nil, false
	}
	return k.slots[at].e, true
}

// PeekOrAdd is the entry of a key, or e where it has none yet.
func (k *kept) PeekOrAdd(key features.UserKey, e *entry) *entry {
	k.mu.Lock()
	defer k.mu.Unlock()
	if at, ok := k.at[key]; ok {
		return k.slots[at].e
	}
	at := k.room()
	k.slots[at] = slot{key, e}
	k.at[key] = at
	e.seen.Store(true)
	return e
}

// room is a free place.
func (k *kept) room() int32 {
	if n := len(k.free); n > 0 {
		at := k.free[n-1]
		k.free = k.free[:n-1]
		return at
	}
	if len(k.slots) < k.size {
		k.slots = append(k.slots, slot{})
		return int32(len(k.slots) - 1) // #nosec G115 -- below the size
	}
	for {
		at := k.hand
		k.hand = (k.hand + 1) % len(k.slots)
		if s := &k.slots[at]; !s.e.seen.CompareAndSwap(true, false) {
			delete(k.at, s.key)
			return int32(at) // #nosec G115 -- below the size
		}
	}
}

// Remove forgets a key.
func (k *kept) Remove(key features.UserKey) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if at, ok := k.at[key]; ok {
		delete(k.at, key)
		k.slots[at] = slot{}
		k.free = append(k.free, at)
	}
}

// Purge forgets all.
func (k *kept) Purge() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.at, k.slots, k.free, k.hand = map[features.UserKey]int32{}, nil, nil, 0
}

// Len is how many are kept.
func (k *kept) Len() int {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return len(k.at)
}

// Keys is whose entries are kept.
func (k *kept) Keys() []features.UserKey {
	k.mu.RLock()
	defer k.mu.RUnlock()
	keys := make([]features.UserKey, 0, len(k.at))
	for i := range k.slots {
		if s := &k.slots[i]; s.e != nil {
			keys = append(keys, s.key)
		}
	}
	return keys
}
