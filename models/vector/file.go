package vector

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"slices"
	"unsafe"

	"github.com/attune-rec/attune/models/linalg"
)

// The history of index files.
//
//	1  a header, a table of sections with their checksums (CRC-32C), the
//	   sections, each on a multiple of 64 bytes; everything little-endian
//	2  the same with more sections: rows may be arranged
const (
	fileFormat = 2 // what is written
	fileOldest = 1 // what is still read
)

const (
	fileMagic   = "attnvec\n"
	headerBytes = 64
	entryBytes  = 24
	align       = 64
	mostEntries = 16
)

// kinds of index.
const (
	exactKind = 1
	hnswKind  = 2
)

// sections.
const (
	codesSection = iota + 1
	scaleSection
	vecsSection
	linksSection
	topSection
	offSection
	normSection
	rowAtSection    // arranged rows only, as the following
	placeOfSection  //
	meansSection    // codes of the means of runs
	startsSection   // the first place of each run
	blocksSection   // the block of each run
	runStatsSection // their scales, and runStats numbers of each
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// header is the numbers at the beginning of a file.
type header struct {
	format, kind, dim, degree, width, entries uint32
	rows, top                                 uint64
}

type section struct {
	id   uint32
	data []byte
}

// put writes a file of the sections, in their order.
func (h header) put(w io.Writer, sections []section) (int64, error) {
	if !littleEndian() {
		return 0, fmt.Errorf("%w: this machine is not little-endian", ErrFile)
	}
	h.format, h.entries = fileFormat, uint32(len(sections))
	b := make([]byte, headerBytes, headerBytes+len(sections)*entryBytes+4)
	copy(b, fileMagic)
	for i, v := range []uint32{h.format, h.kind, h.dim, h.degree, h.width, h.entries} {
		binary.LittleEndian.PutUint32(b[8+4*i:], v)
	}
	binary.LittleEndian.PutUint64(b[32:], h.rows)
	binary.LittleEndian.PutUint64(b[40:], h.top)
	at := up64(uint64(cap(b)))
	for _, s := range sections {
		b = binary.LittleEndian.AppendUint32(b, s.id)
		b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(s.data, castagnoli))
		b = binary.LittleEndian.AppendUint64(b, at)
		b = binary.LittleEndian.AppendUint64(b, uint64(len(s.data)))
		at = up64(at + uint64(len(s.data)))
	}
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	var written int64
	write := func(p []byte) error {
		n, err := w.Write(p)
		written += int64(n)
		return err
	}
	pad := make([]byte, align)
	if err := write(append(b, pad[:up64(uint64(len(b)))-uint64(len(b))]...)); err != nil {
		return written, err
	}
	for _, s := range sections {
		if err := write(s.data); err != nil {
			return written, err
		}
		if err := write(pad[:up64(uint64(written))-uint64(written)]); err != nil {
			return written, err
		}
	}
	return written, nil
}

func up64(n uint64) uint64 { return (n + align - 1) &^ (align - 1) }

// opened is a file whose header and table hold.
type opened struct {
	header
	data [mostEntries][]byte
	sums [mostEntries]uint32
}

func badFile(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrFile, fmt.Sprintf(format, args...))
}

// parse checks the header and the table of b, not what the sections hold.
func parse(b []byte) (*opened, error) {
	if !littleEndian() {
		return nil, badFile("this machine is not little-endian")
	}
	if len(b) < headerBytes+4 || string(b[:8]) != fileMagic {
		return nil, badFile("does not begin as one")
	}
	word := func(at int) uint32 { return binary.LittleEndian.Uint32(b[at:]) }
	o := &opened{header: header{
		format: word(8), kind: word(12), dim: word(16), degree: word(20), width: word(24), entries: word(28),
		rows: binary.LittleEndian.Uint64(b[32:]), top: binary.LittleEndian.Uint64(b[40:]),
	}}
	if o.format < fileOldest || o.format > fileFormat {
		return nil, badFile("has format %d: this program reads %d to %d; build it again", o.format, fileOldest, fileFormat)
	}
	table := headerBytes + int(min(o.entries, mostEntries))*entryBytes
	if o.entries >= mostEntries || len(b) < table+4 || crc32.Checksum(b[:table], castagnoli) != word(table) {
		return nil, badFile("the header's checksum does not match")
	}
	if o.dim == 0 || o.dim > 65536 || o.rows > math.MaxInt32 || o.top > o.rows || o.degree > 2*mostLinks || o.width > math.MaxInt32 {
		return nil, badFile("%d rows of dimension %d, %d links, width %d are out of bounds", o.rows, o.dim, o.degree, o.width)
	}
	end := up64(uint64(table + 4))
	for i := range int(o.entries) {
		at := headerBytes + i*entryBytes
		id, from, length := word(at), binary.LittleEndian.Uint64(b[at+8:]), binary.LittleEndian.Uint64(b[at+16:])
		if id == 0 || id >= mostEntries || o.data[id] != nil || from != end || from > uint64(len(b)) || length > uint64(len(b))-from {
			return nil, badFile("section %d lies outside its %d bytes", id, len(b))
		}
		o.data[id], o.sums[id] = b[from:from+length:from+length], word(at+4)
		end = up64(from + length)
	}
	if uint64(len(b)) != end {
		return nil, badFile("has %d bytes: expected %d", len(b), end)
	}
	return o, nil
}

// check compares a section with its checksum.
func (o *opened) check(ids ...uint32) error {
	for _, id := range ids {
		if crc32.Checksum(o.data[id], castagnoli) != o.sums[id] {
			return badFile("the checksum of section %d does not match", id)
		}
	}
	return nil
}

// numbers4 is a section of n numbers of four bytes, where they lie if they lie
// straight.
func numbers4[T int32 | float32](o *opened, id uint32, n uint64) ([]T, error) {
	b := o.data[id]
	if uint64(len(b)) != 4*n {
		return nil, badFile("section %d has %d bytes: expected %d", id, len(b), 4*n)
	}
	if n == 0 {
		return nil, nil
	}
	if uintptr(unsafe.Pointer(&b[0]))%4 != 0 {
		words := make([]T, n)
		copy(unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), len(b)), b)
		return words, nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&b[0])), n), nil
}

func bytesOf[T int32 | float32](x []T) []byte {
	if len(x) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&x[0])), 4*len(x))
}

func littleEndian() bool {
	x := uint16(1)
	return *(*byte)(unsafe.Pointer(&x)) == 1
}

// vectors reads what both kinds have: codes, scales and numbers.
func (o *opened) vectors() (q linalg.Quantised, vecs []float32, err error) {
	n, d := o.rows, uint64(o.dim)
	if uint64(len(o.data[codesSection])) != n*d {
		return q, nil, badFile("has %d codes: expected %d", len(o.data[codesSection]), n*d)
	}
	q = linalg.Quantised{N: int(n), D: int(d), Codes: o.data[codesSection]}
	if q.Scale, err = numbers4[float32](o, scaleSection, n); err != nil {
		return q, nil, err
	}
	vecs, err = numbers4[float32](o, vecsSection, n*d)
	return q, vecs, err
}

// arranged reads what is known of arranged rows, if they are.
func (o *opened) arranged() (*runs, error) {
	if o.data[rowAtSection] == nil {
		return nil, nil
	}
	if err := o.check(rowAtSection, startsSection, blocksSection, meansSection, runStatsSection); err != nil {
		return nil, err
	}
	count := len(o.data[blocksSection]) / 4
	if count == 0 {
		return nil, badFile("has no runs")
	}
	r := &runs{mean: linalg.Quantised{N: count, D: int(o.dim), Codes: o.data[meansSection]}}
	if len(r.mean.Codes) != count*r.mean.D {
		return nil, badFile("has %d codes of means: expected %d", len(r.mean.Codes), count*r.mean.D)
	}
	var err error
	if r.rowAt, err = numbers4[int32](o, rowAtSection, o.rows); err != nil {
		return nil, err
	}
	if r.blockOf, err = numbers4[int32](o, blocksSection, uint64(count)); err != nil {
		return nil, err
	}
	if r.start, err = numbers4[int32](o, startsSection, uint64(count+1)); err != nil {
		return nil, err
	}
	if r.placeOf, err = numbers4[int32](o, placeOfSection, o.rows); err != nil {
		return nil, err
	}
	stats, err := numbers4[float32](o, runStatsSection, uint64(count*(1+runStats)))
	if err != nil {
		return nil, err
	}
	r.mean.Scale = stats[:count:count]
	r.split(stats[count:])
	if err := r.valid(); err != nil {
		return nil, err
	}
	r.ready()
	return r, nil
}

// valid reports rows that are not each at one place, and bounds that bound
// nothing.
func (r *runs) valid() error {
	var met seen
	met.reset(len(r.rowAt))
	for place, row := range r.rowAt {
		if row < 0 || int(row) >= len(r.rowAt) || !met.mark(row) {
			return badFile("place %d has row %d, which there is not or is elsewhere", place, row)
		}
	}
	last := int32(-1)
	for run, block := range r.blockOf {
		if block < max(last, 0) || block > last+1 {
			return badFile("run %d is of block %d after %d", run, block, last)
		}
		if from, to := r.start[run], r.start[run+1]; from < 0 || to <= from || to-from > runRows {
			return badFile("run %d is from %d to %d", run, from, to)
		}
		last = block
	}
	if r.start[0] != 0 || int(r.start[len(r.blockOf)]) != len(r.rowAt) {
		return badFile("runs end at %d of %d", r.start[len(r.blockOf)], len(r.rowAt))
	}
	for run, s := range r.spread {
		if !(s >= 0 && r.reach[run] >= 0 && r.norm[run] >= 0 && r.off[run] >= 0 && r.long[run] >= 0) {
			return badFile("run %d has bounds %v, %v, %v and %v, rows %v times as long", run, s, r.reach[run], r.norm[run], r.off[run], r.long[run])
		}
	}
	return nil
}

// sections are what a file has of a body.
func (x *body) sections() []section {
	s := []section{{codesSection, x.q8.Codes}, {scaleSection, bytesOf(x.q8.Scale)}}
	if r := x.runs; r != nil {
		stats := slices.Concat(r.mean.Scale, r.spread, r.reach, r.norm, r.off, r.long)
		s = append(s, section{rowAtSection, bytesOf(r.rowAt)}, section{startsSection, bytesOf(r.start)}, section{blocksSection, bytesOf(r.blockOf)}, section{meansSection, r.mean.Codes},
			section{runStatsSection, bytesOf(stats)}, section{placeOfSection, bytesOf(r.placeOf)})
	}
	return append(s, section{vecsSection, bytesOf(x.vecs)})
}

// WriteTo writes the index's file, which Open reads.
func (x *Exact) WriteTo(w io.Writer) (int64, error) {
	s := x.sections()
	if x.runs == nil {
		s = append(s, section{offSection, bytesOf(x.off)}, section{normSection, bytesOf(x.norm)})
	}
	return header{kind: exactKind, dim: uint32(x.dim), rows: uint64(x.n)}.put(w, s)
}

// open reads the rows of either kind: not the numbers, of which a search touches few.
func (x *body) open(o *opened) (err error) {
	x.dim, x.n = int(o.dim), int(o.rows)
	if err = o.check(codesSection, scaleSection); err != nil {
		return err
	}
	if x.q8, x.vecs, err = o.vectors(); err != nil {
		return err
	}
	x.runs, err = o.arranged()
	x.bound()
	return err
}

func openExact(o *opened) (*Exact, error) {
	x := &Exact{}
	err := x.open(o)
	if err == nil && x.runs == nil {
		err = o.check(offSection, normSection)
		if err == nil {
			x.off, err = numbers4[float32](o, offSection, o.rows)
		}
		if err == nil {
			x.norm, err = numbers4[float32](o, normSection, o.rows)
		}
	}
	if err != nil {
		return nil, err
	}
	x.ready()
	return x, nil
}

// WriteTo writes the index's file, which Open reads.
func (h *HNSW) WriteTo(w io.Writer) (int64, error) {
	return header{
		kind: hnswKind, dim: uint32(h.dim), rows: uint64(h.n), degree: uint32(h.degree),
		width: uint32(h.width), top: uint64(len(h.top)),
	}.put(w, append(h.sections(), section{topSection, bytesOf(h.top)}, section{linksSection, bytesOf(h.links)}))
}

func openHNSW(o *opened) (*HNSW, error) {
	h := &HNSW{degree: int(o.degree), width: int(o.width)}
	err := o.check(topSection, linksSection)
	if err == nil {
		err = h.open(o)
	}
	if err == nil {
		h.top, err = numbers4[int32](o, topSection, o.top)
	}
	if err == nil {
		h.links, err = numbers4[int32](o, linksSection, o.rows*uint64(o.degree))
	}
	if err != nil {
		return nil, err
	}
	if h.width == 0 || h.degree == 0 {
		return nil, badFile("a graph with %d links a row and width %d", h.degree, h.width)
	}
	if slices.ContainsFunc(h.top, func(row int32) bool { return row < 0 || int(row) >= h.n }) {
		return nil, badFile("the top layer has a row that there is not")
	}
	for _, to := range h.links {
		if to < noLink || int(to) >= h.n {
			return nil, badFile("a link leads to row %d of %d", to, h.n)
		}
	}
	if h.runs == nil && h.n > scanAlways { // an earlier program's: it does not say how rows lie
		if err := o.check(vecsSection); err != nil {
			return nil, err
		}
		h.runs = newRuns(h.vecs, h.q8, inGivenOrder(h.n), 1)
		h.bound()
	}
	h.copyTop()
	h.pool.New = func() any { return new(walk) }
	return h, nil
}
