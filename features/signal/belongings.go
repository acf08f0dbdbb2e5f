package signal

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
	"strings"

	"github.com/attune-rec/attune/features"
)

// belongings is what one shopper has had to do with items: cells by item, or
// the bytes of a snapshot until they are first looked at.
type belongings struct {
	packed []byte // nil: items has all
	items  map[string]*cell
}

// unpack needs the shard locked for writing.
func (b *belongings) unpack() {
	if b.packed != nil {
		b.items, b.packed = b.seen(), nil
	}
}

// seen is the cells by item; it changes nothing.
func (b *belongings) seen() map[string]*cell {
	if b.packed == nil {
		return b.items
	}
	items := map[string]*cell{}
	in := &reader{left: b.packed}
	for len(in.left) > 0 && in.err == nil {
		item, cells := in.text(), in.cells()
		if in.err == nil {
			c := new(cell)
			c.numbers.Store(&cells)
			items[item] = c
		}
	}
	return items
}

// appendTo writes them in the order of the items.
func (b *belongings) appendTo(dst []byte) []byte {
	if b.packed != nil {
		return append(dst, b.packed...)
	}
	ids := make([]string, 0, len(b.items))
	for id, c := range b.items {
		if c.read() != nil {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	for _, id := range ids {
		dst = appendCells(appendText(dst, id), b.items[id].read())
	}
	return dst
}

func appendCells(dst []byte, cells []float64) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(cells)))
	for _, c := range cells {
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(c))
	}
	return dst
}

// unpack makes the owner's cells ready to be found.
func (s *shard) unpack(o owner) {
	s.mu.RLock()
	b := s.pairs[o]
	packed := b != nil && b.packed != nil
	s.mu.RUnlock()
	if packed {
		s.mu.Lock()
		b.unpack()
		s.mu.Unlock()
	}
}

func (a owner) compare(b owner) int {
	if c := strings.Compare(a.feature, b.feature); c != 0 {
		return c
	}
	return strings.Compare(a.user, b.user)
}

// own puts the shopper's cells where of finds them by row.
func (d *desk) own(feature, user string, c features.Catalog) {
	s := &d.m.shards[d.m.shard(key{feature, features.OfPair, user})]
	s.unpack(owner{feature, user})
	s.mu.RLock()
	defer s.mu.RUnlock()
	var items map[string]*cell
	if b := s.pairs[owner{feature, user}]; b != nil {
		items = b.items
	}
	size := 1 << bits.Len(uint(2*len(items)+1))
	if cap(d.mine) < size {
		d.mine = make([]places, size)
	}
	d.mine = d.mine[:size]
	clear(d.mine)
	d.maybe = [len(d.maybe)]uint64{}
	turn := d.edition.number
	for id, cell := range items {
		found := cell.found.Load()
		if uint32(found>>32) != turn {
			row, ok := c.Row(id)
			if !ok {
				row = features.NoRow
			}
			found = uint64(turn)<<32 | uint64(uint32(row)) // #nosec G115 -- given back below
			cell.found.Store(found)
		}
		row := features.Row(int32(uint32(found))) // #nosec G115 -- as it was put there
		if row == features.NoRow {
			continue
		}
		i := d.place(row)
		d.mine[i] = places{row: row, used: true, cell: cell}
		d.maybe[uint32(row)/64%maybes] |= 1 << (uint32(row) % 64)
	}
}

// of is the shopper's cell of row's item; nil where there is none.
func (d *desk) of(row features.Row) *cell {
	if d.maybe[uint32(row)/64%maybes]>>(uint32(row)%64)&1 == 0 {
		return nil
	}
	return d.mine[d.place(row)].cell
}

// maybes is how many words tell of most rows at a glance that they are not the
// shopper's.
const maybes = 32

func (d *desk) place(row features.Row) int {
	mask := len(d.mine) - 1
	i := int(uint32(row)*2654435769>>7) & mask // #nosec G115 -- a hash
	for d.mine[i].used && d.mine[i].row != row {
		i = (i + 1) & mask
	}
	return i
}
