package catalog

import (
	"slices"
	"time"

	"github.com/attune-rec/attune/features"
)

// Apply is the catalogue after the changes, which are taken in order. s stays
// as it is. A new id gets the next row, past all others; a deleted item keeps
// its row and comes back to it when it is put in again. A deletion of an
// unknown id, or a change without an id, does nothing. The cost grows with the
// changes and with the sets they touch, not with the catalogue: give many
// changes at once.
func (s *Snapshot) Apply(changes []Change) *Snapshot {
	e := s.edit()
	for i := range changes {
		e.change(&changes[i])
	}
	if len(e.before) == 0 {
		return s
	}
	return e.finish()
}

// edit is a snapshot in the making.
type edit struct {
	old    *Snapshot
	to     *Snapshot
	ids    map[string]features.Row
	owned  map[int]bool                    // chunks that are copies already
	before map[features.Row]*features.Item // what the touched rows were at first
}

func (s *Snapshot) edit() *edit {
	return &edit{
		old: s,
		to: &Snapshot{
			n: s.n, chunks: append([]*chunk(nil), s.chunks...), texts: s.texts, rows: s.rows, marks: s.marks,
			known: s.known, visible: s.visible, market: s.market, stock: s.stock,
			windows: s.windows, newest: s.newest, base: map[baseKey]*features.Bitmap{},
		},
		ids: map[string]features.Row{}, owned: map[int]bool{}, before: map[features.Row]*features.Item{},
	}
}

func (e *edit) change(c *Change) {
	if c.Item == nil || c.Item.ID == "" {
		return
	}
	id := c.Item.ID
	row, ok := e.old.rows.get(id)
	if !ok {
		row, ok = e.ids[id]
	}
	if !ok {
		if c.Deleted {
			return
		}
		row = features.Row(e.to.n)
		e.to.n++
		e.ids[id] = row
		if int(row)%chunkRows == 0 {
			e.to.chunks = append(e.to.chunks, new(chunk))
			e.owned[int(row)/chunkRows] = true
		}
	}
	if _, seen := e.before[row]; !seen {
		e.before[row] = e.old.Item(row)
	}
	at := int(row) / chunkRows
	if !e.owned[at] {
		fresh := *e.to.chunks[at]
		e.to.chunks[at], e.owned[at] = &fresh, true
	}
	ch := e.to.chunks[at]
	ch.ids[row%chunkRows] = id
	ch.items[row%chunkRows] = nil
	if !c.Deleted {
		ch.items[row%chunkRows] = c.Item
	}
	ch.codes[row%chunkRows] = e.to.texts.codesOf(ch.items[row%chunkRows])
}

// flips is the rows that enter and leave a set.
type flips struct{ in, out []features.Row }

func (e *edit) finish() *Snapshot {
	to := e.to
	to.rows = to.rows.with(e.ids)
	touched := make([]features.Row, 0, len(e.before))
	for row := range e.before {
		touched = append(touched, row)
	}
	slices.Sort(touched)

	moved := map[mark]*flips{}
	var known, visible flips
	market, stock := to.market.edit(to.n), to.stock.edit(to.n)
	windowsMoved, newestMoved := false, false
	for _, row := range touched {
		was, is := e.before[row], to.Item(row)
		was0, is0 := map[mark]bool{}, map[mark]bool{}
		marks(was, func(m mark) { was0[m] = true })
		marks(is, func(m mark) { is0[m] = true })
		for m := range is0 {
			if !was0[m] {
				flip(moved, m).in = append(flip(moved, m).in, row)
			}
		}
		for m := range was0 {
			if !is0[m] {
				flip(moved, m).out = append(flip(moved, m).out, row)
			}
		}
		known.note(row, was != nil, is != nil)
		visible.note(row, was != nil && !was.Hidden, is != nil && !is.Hidden)
		market.put(row, sold(is))
		stock.put(row, stocked(is))
		windowsMoved = windowsMoved || !sameWindow(was, is)
		newestMoved = newestMoved || !created(was).Equal(created(is))
	}
	fresh := make(map[mark]*posting, len(moved))
	for m, f := range moved {
		p, _ := to.marks.get(m)
		fresh[m] = p.changed(f.in, f.out, to.n)
	}
	to.marks = to.marks.with(fresh)
	to.known = known.apply(to.known, to.n)
	to.visible = visible.apply(to.visible, to.n)
	to.market, to.stock = market.to, stock.to
	if windowsMoved {
		e.rewindow(touched)
	}
	if newestMoved {
		e.resort(touched)
	}
	return to
}

func flip(moved map[mark]*flips, m mark) *flips {
	f := moved[m]
	if f == nil {
		f = &flips{}
		moved[m] = f
	}
	return f
}

func (f *flips) note(row features.Row, was, is bool) {
	switch {
	case is && !was:
		f.in = append(f.in, row)
	case was && !is:
		f.out = append(f.out, row)
	}
}

func (f *flips) apply(b *features.Bitmap, n int) *features.Bitmap {
	if len(f.in)+len(f.out) == 0 {
		return b
	}
	b = b.Grow(n)
	for _, r := range f.in {
		b.Set(r)
	}
	for _, r := range f.out {
		b.Clear(r)
	}
	return b
}

func created(it *features.Item) time.Time {
	if it == nil {
		return time.Time{}
	}
	return it.Created
}

// rewindow makes the list of rows with a sale window anew.
func (e *edit) rewindow(touched []features.Row) {
	rows := make([]features.Row, 0, len(e.to.windows.rows)+len(touched))
	for _, r := range e.to.windows.rows {
		if _, hit := e.before[r]; !hit {
			rows = append(rows, r)
		}
	}
	for _, r := range touched {
		if hasWindow(e.to.Item(r)) {
			rows = append(rows, r)
		}
	}
	slices.Sort(rows)
	e.to.windows = newWindows(rows, e.to.Item)
}

// resort merges the touched rows into the order by creation.
func (e *edit) resort(touched []features.Row) {
	var in []features.Row
	for _, r := range touched {
		if !created(e.to.Item(r)).IsZero() {
			in = append(in, r)
		}
	}
	slices.SortFunc(in, e.to.byCreated)
	out := make([]features.Row, 0, len(e.to.newest)+len(in))
	for _, r := range e.to.newest {
		if _, hit := e.before[r]; hit {
			continue
		}
		for len(in) > 0 && e.to.byCreated(in[0], r) < 0 {
			out, in = append(out, in[0]), in[1:]
		}
		out = append(out, r)
	}
	e.to.newest = append(out, in...)
}
