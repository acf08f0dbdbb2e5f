package store

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"

	"github.com/attune-rec/attune/features"
)

// eventsBuilder packs the events of a segment for its sidecar.
type eventsBuilder struct {
	page     pageWriter // its strings are those of all events
	packs    []byte
	ends     []uint64 // in packs, of each row
	subjects []features.UserKey
}

func (b *eventsBuilder) add(e *stored) {
	if len(b.subjects) == 0 {
		b.page.reset(1)
	}
	b.page.begin()
	b.page.add(e)
	body := b.page.body
	b.packs = appendString(b.packs, body)
	b.packs = binary.LittleEndian.AppendUint32(b.packs, crc32.Checksum(body, castagnoli))
	b.ends = append(b.ends, uint64(len(b.packs)))
	b.subjects = append(b.subjects, e.Subject())
}

func (b *eventsBuilder) packed(row uint32) []byte {
	from := uint64(0)
	if row > 0 {
		from = b.ends[row-1]
	}
	return b.packs[from:b.ends[row]]
}

// layout is the order of the rows in the file, those of one subject side by
// side, and where each begins.
func (b *eventsBuilder) layout() (order []uint32, places []uint64) {
	order = make([]uint32, len(b.subjects))
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortFunc(order, func(x, y uint32) int {
		return cmp.Or(bytes.Compare(b.subjects[x][:], b.subjects[y][:]), cmp.Compare(x, y))
	})
	places = make([]uint64, len(order))
	at := uint64(0)
	for _, row := range order {
		places[row] = at
		at += uint64(len(b.packed(row)))
	}
	return order, places
}

func unpackNames(b []byte) (names []string, err error) {
	r := pageReader{raw: b}
	for r.at < len(b) && !r.bad {
		names = append(names, r.string())
	}
	if r.bad {
		return nil, errors.New("names end within one")
	}
	return names, nil
}

// window is how much of a sidecar one read takes: some fifty events.
const window = 4 << 10

// events reads the events of the ascending rows.
func (c *sidecar) events(shop features.ShopID, rows []int64) ([]stored, error) {
	type place struct {
		at int64
		to int
	}
	places := make([]place, len(rows))
	var x [8]byte
	for i, row := range rows {
		if row < 0 || row >= c.rows {
			return nil, fmt.Errorf("%w: no row %d of %d", ErrCorrupt, row, c.rows)
		}
		if _, err := c.file.ReadAt(x[:], c.placesAt()+8*row); err != nil {
			return nil, err
		}
		places[i] = place{c.eventsAt() + int64(binary.BigEndian.Uint64(x[:])), i}
	}
	slices.SortFunc(places, func(a, b place) int { return cmp.Compare(a.at, b.at) })
	out := make([]stored, len(rows))
	w := rowWindow{c: c}
	var r pageReader
	for _, p := range places {
		body, err := w.body(p.at)
		if err != nil {
			return nil, err
		}
		r.openBody(shop, c.names, 1, body)
		if !r.next(&out[p.to]) {
			return nil, fmt.Errorf("%w: row %d cannot be read", ErrCorrupt, rows[p.to])
		}
	}
	return out, nil
}

// rowWindow is the part of a sidecar that was read last.
type rowWindow struct {
	c    *sidecar
	from int64
	buf  []byte
}

// bytes is n bytes at an offset, or as many as there are.
func (w *rowWindow) bytes(at int64, n int) ([]byte, error) {
	if at < w.from || at+int64(n) > w.from+int64(len(w.buf)) {
		buf := slices.Grow(w.buf[:0], max(n, window))[:max(n, window)]
		k, err := w.c.file.ReadAt(buf, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		w.from, w.buf = at, buf[:k]
	}
	b := w.buf[at-w.from:]
	return b[:min(n, len(b))], nil
}

// body is the checked body of the event at an offset, until the next call.
func (w *rowWindow) body(at int64) ([]byte, error) {
	head, err := w.bytes(at, binary.MaxVarintLen32)
	if err != nil {
		return nil, err
	}
	n, k := binary.Uvarint(head)
	if k <= 0 || n > uint64(max(0, w.c.size-at)) {
		return nil, fmt.Errorf("%w: an event at %d has no length", ErrCorrupt, at)
	}
	b, err := w.bytes(at+int64(k), int(n)+4)
	if err != nil {
		return nil, err
	}
	if uint64(len(b)) < n+4 || crc32.Checksum(b[:n], castagnoli) != binary.LittleEndian.Uint32(b[n:]) {
		return nil, fmt.Errorf("%w: the event at %d has a wrong checksum", ErrCorrupt, at)
	}
	return b[:n], nil
}
