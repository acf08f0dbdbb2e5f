package signal

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/attune-rec/attune/features"
)

// ErrSnapshot is returned for bytes that are no snapshot of a memory.
var ErrSnapshot = errors.New("bad snapshot of signals")

const magic = "attsig2\n"

// Save writes the memory so that Load gives it back: equal memories give equal
// bytes. Folding waits meanwhile, reading does not.
//
// The format: magic; Seq; the number of cells that are no pair's; each with its
// feature, subject, key, width and numbers, ordered; the number of users with
// pairs, by feature; each with the feature, the user, the length of what
// follows, and item, width and numbers of each pair, ordered; a CRC-32C of all
// before. Integers are uvarints, texts have their length before them, numbers
// are 8 bytes, little endian.
func (m *Memory) Save(w io.Writer) error {
	m.folding.Lock()
	defer m.folding.Unlock()
	var keys []key
	var owners []owner
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.RLock()
		for k, c := range s.cells { // only the writer changes them
			if c.read() != nil {
				keys = append(keys, k)
			}
		}
		for o := range s.pairs {
			owners = append(owners, o)
		}
		s.mu.RUnlock()
	}
	slices.SortFunc(keys, compare)
	slices.SortFunc(owners, owner.compare)
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	b := bufio.NewWriterSize(w, 1<<20)
	out := bufio.NewWriterSize(io.MultiWriter(b, sum), 1<<16) // says at Flush what a write met
	line := binary.AppendUvarint([]byte(magic), uint64(m.seq))
	_, _ = out.Write(binary.AppendUvarint(line, uint64(len(keys))))
	for _, k := range keys {
		line = append(appendText(line[:0], k.feature), byte(k.of))
		line = appendText(line, k.key)
		_, _ = out.Write(appendCells(line, m.Read(k.feature, k.of, k.key)))
	}
	_, _ = out.Write(binary.AppendUvarint(line[:0], uint64(len(owners))))
	var body []byte
	for _, o := range owners {
		s := &m.shards[m.shard(key{o.feature, features.OfPair, o.user})]
		s.mu.RLock()
		body = s.pairs[o].appendTo(body[:0])
		s.mu.RUnlock()
		line = appendText(appendText(line[:0], o.feature), o.user)
		_, _ = out.Write(binary.AppendUvarint(line, uint64(len(body))))
		_, _ = out.Write(body)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("save signals: %w", err)
	}
	if _, err := b.Write(binary.LittleEndian.AppendUint32(nil, sum.Sum32())); err != nil {
		return fmt.Errorf("save signals: %w", err)
	}
	return b.Flush()
}

func compare(a, b key) int {
	if c := strings.Compare(a.feature, b.feature); c != 0 {
		return c
	}
	if a.of != b.of {
		return int(a.of) - int(b.of)
	}
	return strings.Compare(a.key, b.key)
}

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// Decode is the memory of the set's signals that Save wrote. It reports
// ErrSnapshot for anything else, and keeps all: what a user has had to do with
// items is taken out of it when it is first asked for.
func Decode(set *Set, all []byte) (*Memory, error) {
	if len(all) < len(magic)+4 || string(all[:len(magic)]) != magic {
		return nil, fmt.Errorf("%w: it does not begin as one", ErrSnapshot)
	}
	body, sum := all[:len(all)-4], binary.LittleEndian.Uint32(all[len(all)-4:])
	if crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)) != sum {
		return nil, fmt.Errorf("%w: its checksum is wrong", ErrSnapshot)
	}
	m := NewMemory(set)
	in := &reader{left: body[len(magic):]}
	m.seq = int64(in.uvarint()) // #nosec G115 -- checked below
	for n := in.uvarint(); n > 0 && in.err == nil; n-- {
		k := key{feature: in.name(), of: features.Subject(in.byte()), key: in.text()}
		cells := in.cells()
		if in.err == nil {
			m.shards[m.shard(k)].made(k).numbers.Store(&cells)
		}
	}
	for n := in.uvarint(); n > 0 && in.err == nil; n-- {
		o := owner{in.name(), in.text()}
		packed := in.bytes()
		if in.err == nil && len(packed) > 0 {
			m.shards[m.shard(key{o.feature, features.OfPair, o.user})].pairs[o] = &belongings{packed: packed}
		}
	}
	if in.err != nil || len(in.left) > 0 || m.seq < 0 {
		return nil, fmt.Errorf("%w: it ends too early or too late", ErrSnapshot)
	}
	return m, nil
}

// reader takes values off left and keeps the first fault.
type reader struct {
	left  []byte
	err   error
	names map[string]string
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.left)
	if n <= 0 {
		r.left, r.err = nil, io.ErrUnexpectedEOF
		return 0
	}
	r.left = r.left[n:]
	return v
}

func (r *reader) byte() byte {
	if len(r.left) == 0 {
		r.err = io.ErrUnexpectedEOF
		return 0
	}
	b := r.left[0]
	r.left = r.left[1:]
	return b
}

func (r *reader) bytes() []byte {
	n := r.uvarint()
	if n > uint64(len(r.left)) {
		r.left, r.err = nil, io.ErrUnexpectedEOF
		return nil
	}
	b := r.left[:n:n]
	r.left = r.left[n:]
	return b
}

func (r *reader) text() string { return string(r.bytes()) }

// name is a text of which there are few.
func (r *reader) name() string {
	b := r.bytes()
	if s, ok := r.names[string(b)]; ok {
		return s
	}
	if r.names == nil {
		r.names = map[string]string{}
	}
	s := string(b)
	r.names[s] = s
	return s
}

func (r *reader) cells() []float64 {
	n := r.uvarint()
	if n > uint64(len(r.left))/8 {
		r.left, r.err = nil, io.ErrUnexpectedEOF
		return nil
	}
	cells := make([]float64, n)
	for i := range cells {
		cells[i] = math.Float64frombits(binary.LittleEndian.Uint64(r.left[8*i:]))
	}
	r.left = r.left[8*n:]
	return cells
}
