package signal

import (
	"bufio"
	"bytes"
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

const magic = "attsig1\n"

// Save writes the memory so that Load gives it back: equal memories give equal
// bytes. Folding waits meanwhile, reading does not.
//
// The format: magic; Seq; the number of cells; each with its feature, subject,
// key, width and numbers, ordered; a CRC-32C of all before. Integers are
// uvarints, texts have their length before them, numbers are 8 bytes, little
// endian.
func (m *Memory) Save(w io.Writer) error {
	m.folding.Lock()
	defer m.folding.Unlock()
	var keys []key
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.RLock()
		s.each(func(k key, _ []float64) { keys = append(keys, k) }) // only the writer changes them
		s.mu.RUnlock()
	}
	slices.SortFunc(keys, compare)
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	b := bufio.NewWriter(w)
	out := io.MultiWriter(b, sum)
	line := binary.AppendUvarint([]byte(magic), uint64(m.seq))
	line = binary.AppendUvarint(line, uint64(len(keys)))
	for _, k := range keys {
		cells := m.Read(k.feature, k.of, k.key)
		line = appendText(line, k.feature)
		line = append(line, byte(k.of))
		line = appendText(line, k.key)
		line = binary.AppendUvarint(line, uint64(len(cells)))
		for _, c := range cells {
			line = binary.LittleEndian.AppendUint64(line, math.Float64bits(c))
		}
		if _, err := out.Write(line); err != nil {
			return fmt.Errorf("save signals: %w", err)
		}
		line = line[:0]
	}
	if _, err := out.Write(line); err != nil {
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

// Load is the memory of the set's signals that Save wrote. It reports
// ErrSnapshot for anything else.
func Load(set *Set, r io.Reader) (*Memory, error) {
	all, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("load signals: %w", err)
	}
	if len(all) < len(magic)+4 || string(all[:len(magic)]) != magic {
		return nil, fmt.Errorf("%w: it does not begin as one", ErrSnapshot)
	}
	body, sum := all[:len(all)-4], binary.LittleEndian.Uint32(all[len(all)-4:])
	if crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)) != sum {
		return nil, fmt.Errorf("%w: its checksum is wrong", ErrSnapshot)
	}
	m := NewMemory(set)
	in := &reader{bytes.NewReader(body[len(magic):]), nil}
	m.seq = int64(in.uvarint())
	for range in.uvarint() {
		k := key{feature: in.text(), of: features.Subject(in.byte()), key: in.text()}
		width := in.uvarint()
		if width > uint64(in.b.Len())/8 {
			return nil, fmt.Errorf("%w: %d cells where %d bytes are left", ErrSnapshot, width, in.b.Len())
		}
		cells := make([]float64, width)
		for i := range cells {
			cells[i] = in.number()
		}
		if in.err != nil {
			break
		}
		m.shards[m.shard(k)].made(k).numbers.Store(&cells)
	}
	if in.err != nil || in.b.Len() > 0 || m.seq < 0 {
		return nil, fmt.Errorf("%w: it ends too early or too late", ErrSnapshot)
	}
	return m, nil
}

// reader keeps the first fault.
type reader struct {
	b   *bytes.Reader
	err error
}

func (r *reader) uvarint() uint64 {
	v, err := binary.ReadUvarint(r.b)
	if err != nil {
		r.err = err
		return 0
	}
	return v
}

func (r *reader) byte() byte {
	v, err := r.b.ReadByte()
	if err != nil {
		r.err = err
	}
	return v
}

func (r *reader) text() string {
	n := r.uvarint()
	if n > uint64(r.b.Len()) {
		r.err = io.ErrUnexpectedEOF
		return ""
	}
	s := make([]byte, n)
	if _, err := io.ReadFull(r.b, s); err != nil {
		r.err = err
	}
	return string(s)
}

func (r *reader) number() float64 {
	var b [8]byte
	if _, err := io.ReadFull(r.b, b[:]); err != nil {
		r.err = err
	}
	return math.Float64frombits(binary.LittleEndian.Uint64(b[:]))
}
