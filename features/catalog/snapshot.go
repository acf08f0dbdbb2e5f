// Package catalog is the live catalogue of a shop: an immutable Snapshot of
// its items by row, with a bitmap for each attribute value and the set of
// items that may be sold in a market now. A change makes a new snapshot that
// shares what did not change with the old one.
//
// It imports features only. Start reading at Snapshot; eligible.go has the
// set that every request begins with, region.go what "everywhere" means.
package catalog

import (
	"cmp"
	"errors"
	"fmt"
	"sync"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/pace"
)

// ErrItem is returned for items that cannot make a catalogue.
var ErrItem = errors.New("bad item")

const chunkRows = 512

// chunk is the items of chunkRows consecutive rows.
type chunk struct {
	ids   [chunkRows]string
	items [chunkRows]*features.Item
	codes [chunkRows]Codes
}

// Snapshot is a catalogue as it stood at one moment. It implements
// features.Catalog, is immutable and safe for concurrent use.
type Snapshot struct {
	n       int
	chunks  []*chunk
	texts   *texts
	rows    overlay[string, features.Row]
	marks   overlay[mark, *posting]
	known   *features.Bitmap // not deleted
	visible *features.Bitmap // neither deleted nor hidden
	market  *region
	stock   *region
	windows *windows
	newest  []features.Row // by Created, newest first, ties by row; items without it are left out

	mu   sync.RWMutex
	base map[baseKey]*features.Bitmap

	prices priceLists
}

// Change is an item that was put in, changed or deleted.
type Change struct {
	Item    *features.Item // only its ID matters when Deleted; shared and read-only from now on
	Deleted bool
}

// New is the catalogue with ids[i] in row i. items[i] is what is known of it,
// nil when it was deleted; its ID must be ids[i]. It reports ErrItem for an
// empty or repeated id.
func New(ids []string, items []*features.Item) (*Snapshot, error) { return at(nil, ids, items) }

// at is New at the pace of a job.
func at(job *pace.Job, ids []string, items []*features.Item) (*Snapshot, error) {
	if len(ids) != len(items) {
		return nil, fmt.Errorf("%w: %d ids for %d items", ErrItem, len(ids), len(items))
	}
	n := len(ids)
	s := &Snapshot{n: n, texts: &texts{codes: map[string]int32{}}, known: features.NewBitmap(n), visible: features.NewBitmap(n), base: map[baseKey]*features.Bitmap{}}
	rows := make(map[string]features.Row, n)
	lists := map[mark][]features.Row{}
	var windowed []features.Row
	var created []birth
	for i, id := range ids {
		job.Step()
		row := features.Row(i)
		it := items[i]
		if _, twice := rows[id]; twice || id == "" {
			return nil, fmt.Errorf("%w: row %d has id %q: expected ids that are not empty and differ", ErrItem, i, id)
		}
		if it != nil && it.ID != id {
			return nil, fmt.Errorf("%w: row %d has id %q and the item of %q", ErrItem, i, id, it.ID)
		}
		rows[id] = row
		if i%chunkRows == 0 {
			s.chunks = append(s.chunks, new(chunk))
		}
		c := s.chunks[i/chunkRows]
		c.ids[i%chunkRows], c.items[i%chunkRows], c.codes[i%chunkRows] = id, it, s.texts.codesOf(it)
		if it == nil {
			continue
		}
		s.known.Set(row)
		if !it.Hidden {
			s.visible.Set(row)
		}
		if hasWindow(it) {
			windowed = append(windowed, row)
		}
		if !it.Created.IsZero() {
			created = append(created, birth{it.Created.Unix(), int32(it.Created.Nanosecond()), row}) // #nosec G115 -- below a second
		}
		marks(it, func(m mark) { lists[m] = append(lists[m], row) })
	}
	s.rows = s.rows.with(rows)
	postings := make(map[mark]*posting, len(lists))
	for m, list := range lists {
		postings[m] = newPosting(list, n)
	}
	s.marks = s.marks.with(postings)
	item := func(row int) *features.Item {
		job.Step()
		return items[row]
	}
	s.market = newRegion(n, item, sold)
	s.stock = newRegion(n, item, stocked)
	s.windows = newWindows(windowed, s.Item)
	pace.SortFunc(job, created, birth.before)
	for _, b := range created {
		s.newest = append(s.newest, b.row)
	}
	return s, nil
}

// birth is when an item was made.
type birth struct {
	seconds int64
	nanos   int32
	row     features.Row
}

// before is byCreated without a look into the items.
func (b birth) before(c birth) int {
	return cmp.Or(cmp.Compare(c.seconds, b.seconds), cmp.Compare(c.nanos, b.nanos), cmp.Compare(b.row, c.row))
}

// Of is the catalogue of items, each in the row of its index.
func Of(items []features.Item) (*Snapshot, error) { return Prepare(nil, items) }

// Prepare is Of at the pace of a job.
func Prepare(job *pace.Job, items []features.Item) (*Snapshot, error) {
	ids, ptrs := make([]string, len(items)), make([]*features.Item, len(items))
	for i := range items {
		ids[i], ptrs[i] = items[i].ID, &items[i]
	}
	return at(job, ids, ptrs)
}

// Len implements features.Catalog.
func (s *Snapshot) Len() int { return s.n }

// Row implements features.Catalog.
func (s *Snapshot) Row(id string) (features.Row, bool) { return s.rows.get(id) }

// Item implements features.Catalog.
func (s *Snapshot) Item(row features.Row) *features.Item {
	if row < 0 || int(row) >= s.n {
		return nil
	}
	return s.chunks[row/chunkRows].items[row%chunkRows]
}

// ID implements features.Catalog.
func (s *Snapshot) ID(row features.Row) string {
	if row < 0 || int(row) >= s.n {
		return ""
	}
	return s.chunks[row/chunkRows].ids[row%chunkRows]
}

// Where implements features.Catalog. An item that is sold everywhere is in
// every market's set, those no item names included; market "" is all items, as
// features.Item.SoldIn has it. A set may be shorter than Len: rows past its end
// are not in it.
func (s *Snapshot) Where(attr, value string) *features.Bitmap {
	switch attr {
	case features.AttrVisible:
		if value == "" {
			return s.visible
		}
		return nil
	case features.AttrMarket:
		if value == "" {
			return s.known
		}
		return s.market.in(value)
	case features.AttrStock:
		return s.stock.in(value)
	}
	p, ok := s.marks.get(mark{attr, value})
	if !ok {
		return nil
	}
	return p.bitmap()
}

// Newest is the rows of items with a creation time, newest first, ties by row.
// It is shared and read-only.
func (s *Snapshot) Newest() []features.Row { return s.newest }

func (s *Snapshot) byCreated(a, b features.Row) int {
	if c := s.Item(b).Created.Compare(s.Item(a).Created); c != 0 {
		return c
	}
	return int(a) - int(b)
}
