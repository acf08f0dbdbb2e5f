package store

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"slices"
	"sort"

	"github.com/attune-rec/attune/features"
)

// A sidecar is the index of a segment, in a file beside it: 8 bytes of magic,
// the numbers of keys, postings, ids, events and bytes of names as uint32, then
//
//	keys       16 bytes each, ascending: those of the chains
//	ends       uint32 each: where the key's postings end
//	postings   uint32 each: rows of the segment, ascending within a key
//	ids        16 bytes each, ascending: 96 bits of hash, then the row
//	names      the strings that repeat in the events, each as length and bytes
//	places     uint64 for each row: where its event begins in what follows
//
// and a CRC-32C of all before; integers are big-endian, so that order is that
// of bytes. Then come the events once more, those of one subject side by side,
// so that a history costs few reads: each as varint length, the body of a page
// of one, and its CRC-32C. A sidecar can be made anew from the segment.
const (
	sidecarMagic = "ATTUIDX2"
	sidecarHead  = len(sidecarMagic) + 20
)

// sidecarBuilder collects what a sidecar says.
type sidecarBuilder struct {
	rows map[features.UserKey][]uint32
	ids  [][16]byte
	n    int
	eventsBuilder
}

func (b *sidecarBuilder) add(e *stored, row uint32) {
	if b.rows == nil {
		b.rows = map[features.UserKey][]uint32{}
	}
	c := chainsOf(&e.Event)
	for _, k := range c.keys[:c.n] {
		b.rows[k] = append(b.rows[k], row)
		b.n++
	}
	if e.ID != "" {
		b.ids = append(b.ids, entry(hashID(e.ID), row))
	}
	b.eventsBuilder.add(e)
}

func entry(h idHash, row uint32) (x [16]byte) {
	binary.BigEndian.PutUint64(x[:], h.a)
	binary.BigEndian.PutUint32(x[8:], h.b)
	binary.BigEndian.PutUint32(x[12:], row)
	return x
}

func (b *sidecarBuilder) writeTo(out io.Writer) error {
	sum := crc32.New(castagnoli)
	w := bufio.NewWriterSize(io.MultiWriter(out, sum), 1<<16)
	keys := make([]features.UserKey, 0, len(b.rows))
	for k := range b.rows {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(x, y features.UserKey) int { return bytes.Compare(x[:], y[:]) })
	slices.SortFunc(b.ids, func(x, y [16]byte) int { return bytes.Compare(x[:], y[:]) })
	_, _ = w.WriteString(sidecarMagic) // Flush says what a write met
	var number [4]byte
	put := func(n int) {
		binary.BigEndian.PutUint32(number[:], uint32(n))
		_, _ = w.Write(number[:])
	}
	put(len(keys))
	put(b.n)
	put(len(b.ids))
	put(len(b.subjects))
	put(len(b.page.dict))
	for _, k := range keys {
		_, _ = w.Write(k[:])
	}
	end := 0
	for _, k := range keys {
		end += len(b.rows[k])
		put(end)
	}
	for _, k := range keys {
		for _, row := range b.rows[k] {
			put(int(row))
		}
	}
	for i := range b.ids {
		_, _ = w.Write(b.ids[i][:])
	}
	_, _ = w.Write(b.page.dict)
	order, places := b.layout()
	var place [8]byte
	for _, at := range places {
		binary.BigEndian.PutUint64(place[:], at)
		_, _ = w.Write(place[:])
	}
	if err := w.Flush(); err != nil { // and what Write met before
		return err
	}
	binary.BigEndian.PutUint32(number[:], sum.Sum32())
	if _, err := out.Write(number[:]); err != nil {
		return err
	}
	w.Reset(out)
	for _, row := range order {
		_, _ = w.Write(b.packed(row))
	}
	return w.Flush()
}

// sidecar is an open one: its keys and ids are in filters in memory, the rest is read
// when needed.
type sidecar struct {
	file                   *os.File
	size                   int64
	keys, posts, ids, rows int64
	nameBytes              int64
	names                  []string
	filter                 filter
	known                  filter   // of the keys
	fresh                  []uint64 // hashes of the ids, until a summary has them
}

// openSidecar reads the file through once, to check it and to fill the filter.
func openSidecar(path string) (*sidecar, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	c := &sidecar{file: f}
	if err := c.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %s: %w", ErrCorrupt, path, err), f.Close())
	}
	return c, nil
}

func (c *sidecar) load() error {
	sum := crc32.New(castagnoli)
	in := bufio.NewReaderSize(c.file, 1<<16)
	r := io.TeeReader(in, sum)
	head := make([]byte, sidecarHead)
	if _, err := io.ReadFull(r, head); err != nil {
		return err
	}
	if string(head[:len(sidecarMagic)]) != sidecarMagic {
		return errors.New("is not an index of this form")
	}
	numbers := head[len(sidecarMagic):]
	for i, n := range []*int64{&c.keys, &c.posts, &c.ids, &c.rows, &c.nameBytes} {
		*n = int64(binary.BigEndian.Uint32(numbers[4*i:]))
	}
	info, err := c.file.Stat()
	if err != nil {
		return err
	}
	if c.size = info.Size(); c.size < c.eventsAt() {
		return fmt.Errorf("has %d bytes, want at least %d", c.size, c.eventsAt())
	}
	c.known = newFilter(int(c.keys))
	var x [16]byte
	for range c.keys {
		if _, err := io.ReadFull(r, x[:]); err != nil {
			return err
		}
		c.known.add(hashKey(x))
	}
	if _, err := io.CopyN(io.Discard, r, c.idsAt()-c.endsAt()); err != nil {
		return err
	}
	c.filter = newFilter(int(c.ids))
	c.fresh = make([]uint64, 0, c.ids)
	for range c.ids {
		if _, err := io.ReadFull(r, x[:]); err != nil {
			return err
		}
		id := binary.BigEndian.Uint64(x[:])
		c.filter.add(id)
		c.fresh = append(c.fresh, id)
	}
	names := make([]byte, c.nameBytes)
	if _, err := io.ReadFull(r, names); err != nil {
		return err
	}
	if _, err := io.CopyN(io.Discard, r, 8*c.rows); err != nil {
		return err
	}
	want := sum.Sum32()
	if _, err := io.ReadFull(in, x[:4]); err != nil {
		return err
	}
	if got := binary.BigEndian.Uint32(x[:]); got != want {
		return errors.New("has a wrong checksum")
	}
	c.names, err = unpackNames(names)
	return err
}

func (c *sidecar) endsAt() int64   { return int64(sidecarHead) + 16*c.keys }
func (c *sidecar) postsAt() int64  { return c.endsAt() + 4*c.keys }
func (c *sidecar) idsAt() int64    { return c.postsAt() + 4*c.posts }
func (c *sidecar) placesAt() int64 { return c.idsAt() + 16*c.ids + c.nameBytes }
func (c *sidecar) eventsAt() int64 { return c.placesAt() + 8*c.rows + 4 }

func (c *sidecar) close() error { return c.file.Close() }

// find is the row of the event with that id.
func (c *sidecar) find(id idHash) (row uint32, ok bool, err error) {
	if !c.filter.has(id.a) {
		return 0, false, nil
	}
	want := entry(id, 0)
	at, x, err := c.search(c.idsAt(), c.ids, func(x []byte) int { return bytes.Compare(x[:12], want[:12]) })
	if err != nil || at < 0 {
		return 0, false, err
	}
	return binary.BigEndian.Uint32(x[12:]), true, nil
}

// search is the place of the first of n sorted 16-byte entries that compares
// as 0; -1 when none does.
func (c *sidecar) search(from, n int64, compare func([]byte) int) (int64, []byte, error) {
	var x [16]byte
	var failed error
	read := func(i int64) []byte {
		if _, err := c.file.ReadAt(x[:], from+16*i); err != nil {
			failed = err
		}
		return x[:]
	}
	at := int64(sort.Search(int(n), func(i int) bool { return failed != nil || compare(read(int64(i))) >= 0 }))
	if failed != nil || at == n || compare(read(at)) != 0 {
		return -1, nil, failed
	}
	return at, x[:], failed
}

// newest is the rows of at most limit newest events of k, ascending.
func (c *sidecar) newest(k features.UserKey, limit int) ([]int64, error) {
	if !c.known.has(hashKey(k)) {
		return nil, nil
	}
	at, _, err := c.search(int64(sidecarHead), c.keys, func(x []byte) int { return bytes.Compare(x, k[:]) })
	if err != nil || at < 0 {
		return nil, err
	}
	var ends [8]byte
	from := int64(0)
	if at == 0 {
		_, err = c.file.ReadAt(ends[4:], c.endsAt())
	} else {
		_, err = c.file.ReadAt(ends[:], c.endsAt()+4*(at-1))
		from = int64(binary.BigEndian.Uint32(ends[:]))
	}
	if err != nil {
		return nil, err
	}
	end := int64(binary.BigEndian.Uint32(ends[4:]))
	from = max(from, end-int64(limit))
	raw := make([]byte, 4*(end-from))
	if _, err := c.file.ReadAt(raw, c.postsAt()+4*from); err != nil {
		return nil, err
	}
	rows := make([]int64, end-from)
	for i := range rows {
		rows[i] = int64(binary.BigEndian.Uint32(raw[4*i:]))
	}
	return rows, nil
}

// hashKey is a key's part for the filter: keys are as good as random.
func hashKey(k [16]byte) uint64 { return binary.BigEndian.Uint64(k[:]) }

// filter is a Bloom filter in blocks of a cache line (Putze, Sanders, Singler
// 2007): seven bits of one block for each hash, 20 bits an entry, about one
// wrong yes in a thousand, so that a new id seldom costs a read of any segment.
type filter struct{ blocks [][8]uint64 }

func newFilter(n int) filter { return filter{make([][8]uint64, min(n, 1+n*20/512))} }

func (f filter) place(h uint64) (block int, bits uint64) {
	return int((h >> 32) * uint64(len(f.blocks)) >> 32), h * 0x9E3779B97F4A7C15
}

func (f filter) add(h uint64) {
	b, bits := f.place(h)
	for range 7 {
		f.blocks[b][bits>>6&7] |= 1 << (bits & 63)
		bits >>= 9
	}
}

func (f filter) has(h uint64) bool {
	if len(f.blocks) == 0 {
		return false
	}
	b, bits := f.place(h)
	for range 7 {
		if f.blocks[b][bits>>6&7]&(1<<(bits&63)) == 0 {
			return false
		}
		bits >>= 9
	}
	return true
}
