package features

import "math/bits"

// Bitmap is a set of rows. Rows at or past Len are not in it. It is safe for
// concurrent reading; the zero value is the empty set of length 0. A nil
// bitmap may be read and is empty.
type Bitmap struct {
	words []uint64
	n     int
}

// NewBitmap is the empty set over n rows.
func NewBitmap(n int) *Bitmap { return &Bitmap{words: make([]uint64, (n+63)/64), n: n} }

// FullBitmap is the set of all n rows.
func FullBitmap(n int) *Bitmap {
	b := NewBitmap(n)
	b.Fill()
	return b
}

// BitmapOf is the set of the given rows over n rows.
func BitmapOf(n int, rows ...Row) *Bitmap {
	b := NewBitmap(n)
	for _, r := range rows {
		b.Set(r)
	}
	return b
}

// Len is how many rows the set is over.
func (b *Bitmap) Len() int {
	if b == nil {
		return 0
	}
	return b.n
}

// Has reports whether r is in the set.
func (b *Bitmap) Has(r Row) bool {
	return b != nil && r >= 0 && int(r) < b.n && b.words[r>>6]&(1<<(uint(r)&63)) != 0
}

// Set puts r in. It does nothing when r is out of range.
func (b *Bitmap) Set(r Row) {
	if r >= 0 && int(r) < b.n {
		b.words[r>>6] |= 1 << (uint(r) & 63)
	}
}

// Clear takes r out.
func (b *Bitmap) Clear(r Row) {
	if r >= 0 && int(r) < b.n {
		b.words[r>>6] &^= 1 << (uint(r) & 63)
	}
}

// Fill puts all rows in.
func (b *Bitmap) Fill() {
	for i := range b.words {
		b.words[i] = ^uint64(0)
	}
	b.trim()
}

// Resize makes the set one over n rows and empties it, reusing its memory.
func (b *Bitmap) Resize(n int) {
	w := (n + 63) / 64
	if cap(b.words) < w {
		b.words = make([]uint64, w)
	}
	b.words = b.words[:w]
	clear(b.words)
	b.n = n
}

// Clone is a copy that shares nothing.
func (b *Bitmap) Clone() *Bitmap {
	if b == nil {
		return nil
	}
	return &Bitmap{words: append([]uint64(nil), b.words...), n: b.n}
}

// Grow is a copy over n rows, at least Len, the new ones not in it.
func (b *Bitmap) Grow(n int) *Bitmap {
	g := NewBitmap(max(n, b.Len()))
	if b != nil {
		copy(g.words, b.words)
	}
	return g
}

// CopyFrom makes b equal to o over b's own length.
func (b *Bitmap) CopyFrom(o *Bitmap) {
	clear(b.words)
	if o != nil {
		copy(b.words, o.words)
	}
	b.trim()
}

// And keeps the rows that o has as well. A nil o is empty.
func (b *Bitmap) And(o *Bitmap) {
	var ow []uint64
	if o != nil {
		ow = o.words
	}
	n := min(len(b.words), len(ow))
	for i := range n {
		b.words[i] &= ow[i]
	}
	clear(b.words[n:])
}

// AndNot takes out the rows that o has.
func (b *Bitmap) AndNot(o *Bitmap) {
	if o == nil {
		return
	}
	for i := range min(len(b.words), len(o.words)) {
		b.words[i] &^= o.words[i]
	}
}

// Or puts in the rows that o has, as far as b reaches.
func (b *Bitmap) Or(o *Bitmap) {
	if o == nil {
		return
	}
	for i := range min(len(b.words), len(o.words)) {
		b.words[i] |= o.words[i]
	}
	b.trim()
}

// Count is how many rows are in the set.
func (b *Bitmap) Count() int {
	if b == nil {
		return 0
	}
	c := 0
	for _, w := range b.words {
		c += bits.OnesCount64(w)
	}
	return c
}

// Each calls f with the rows in ascending order until f returns false.
func (b *Bitmap) Each(f func(Row) bool) {
	if b == nil {
		return
	}
	for i, w := range b.words {
		for w != 0 {
			if !f(Row(i<<6 + bits.TrailingZeros64(w))) {
				return
			}
			w &= w - 1
		}
	}
}

// AppendRows appends the rows in ascending order to dst.
func (b *Bitmap) AppendRows(dst []Row) []Row {
	b.Each(func(r Row) bool { dst = append(dst, r); return true })
	return dst
}

// Words is the set as it lies in memory: bit r&63 of word r>>6. It is shared
// and read-only; bits past Len are zero.
func (b *Bitmap) Words() []uint64 {
	if b == nil {
		return nil
	}
	return b.words
}

func (b *Bitmap) trim() {
	if r := uint(b.n) & 63; r != 0 && len(b.words) > 0 {
		b.words[len(b.words)-1] &= 1<<r - 1
	}
}
