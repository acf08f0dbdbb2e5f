package catalog

import (
	"sync"

	"github.com/attune-rec/attune/features"
)

// Codes are numbers for what an item shares with others: equal where the texts
// are, in this snapshot and in those made from it by Apply; 0 where the item
// says nothing. Comparing and counting them costs neither a look into the item
// nor one at its texts.
type Codes struct {
	Category int32 // the last of the path
	Brand    int32
	Seller   int32
	Group    int32
	// Sponsored says that somebody pays for the item's place.
	Sponsored bool
}

// gone stands in Group for an item that is deleted.
const gone = -1

// texts gives each text its number. Snapshots that were made of one another
// share it; only edits ask it.
type texts struct {
	mu    sync.Mutex
	codes map[string]int32
}

func (t *texts) codesOf(it *features.Item) Codes {
	if it == nil {
		return Codes{Group: gone}
	}
	leaf := ""
	if n := len(it.Category); n > 0 {
		leaf = it.Category[n-1]
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return Codes{Category: t.code(leaf), Brand: t.code(it.Brand), Seller: t.code(it.Seller), Group: t.code(it.Group), Sponsored: it.Sponsor != ""}
}

func (t *texts) code(text string) int32 {
	if text == "" {
		return 0
	}
	c, ok := t.codes[text]
	if !ok {
		c = int32(len(t.codes) + 1) // #nosec G115 -- four a row at most, and rows are int32
		t.codes[text] = c
	}
	return c
}

// Codes is what the item in row shares with others; false when it is deleted or
// row out of range.
func (s *Snapshot) Codes(row features.Row) (Codes, bool) {
	if row < 0 || int(row) >= s.n {
		return Codes{}, false
	}
	c := s.chunks[row/chunkRows].codes[row%chunkRows]
	return c, c.Group != gone
}
