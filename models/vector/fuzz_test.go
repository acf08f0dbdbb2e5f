package vector_test

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"slices"
	"testing"

	"github.com/attune-rec/attune/models/vector"
	"github.com/attune-rec/attune/models/vectortest"
)

// What a file's header and the lines of its table look like.
const (
	headSize, lineSize = 64, 24
	mostLines          = 16
)

// lines is the number of sections of b; 0 when b has no whole table.
func lines(b []byte) int {
	if len(b) < headSize+4 {
		return 0
	}
	n := binary.LittleEndian.Uint32(b[28:])
	if n >= mostLines || len(b) < headSize+int(n)*lineSize+4 {
		return 0
	}
	return int(n)
}

// section is the bytes of the i-th section; nil when they lie outside of b.
func section(b []byte, i int) []byte {
	at := b[headSize+i*lineSize:]
	from, length := binary.LittleEndian.Uint64(at[8:]), binary.LittleEndian.Uint64(at[16:])
	if from > uint64(len(b)) || length > uint64(len(b))-from {
		return nil
	}
	return b[from:][:length]
}

// vouch makes the checksums of b those of what it holds, so that what they would
// have found is left to the other checks.
func vouch(b []byte) []byte {
	sum := func(p []byte) uint32 { return crc32.Checksum(p, crc32.MakeTable(crc32.Castagnoli)) }
	b = slices.Clone(b)
	n := lines(b)
	for i := range n {
		binary.LittleEndian.PutUint32(b[headSize+i*lineSize+4:], sum(section(b, i)))
	}
	if end := headSize + n*lineSize; n > 0 {
		binary.LittleEndian.PutUint32(b[end:], sum(b[:end]))
	}
	return b
}

// wrong is b with one thing after the other made wrong.
func wrong(b []byte) [][]byte {
	var all [][]byte
	change := func(f func(b []byte) []byte) { all = append(all, f(slices.Clone(b))) }
	for word := 8; word < 48; word += 4 {
		for _, v := range []uint32{0, 1, math.MaxUint32} {
			change(func(b []byte) []byte { binary.LittleEndian.PutUint32(b[word:], v); return b })
		}
	}
	for i := range lines(b) {
		change(func(b []byte) []byte { b[headSize+i*lineSize] = 0; return b })
		change(func(b []byte) []byte { b[headSize+i*lineSize+16] ^= 4; return b }) // a length within the padding
		change(func(b []byte) []byte { b[headSize+i*lineSize+16] ^= 64; return b })
		for _, v := range []uint32{0, 5, math.MaxInt32, math.MaxUint32, math.Float32bits(float32(math.NaN()))} {
			change(func(b []byte) []byte {
				if s := section(b, i); len(s) >= 4 {
					binary.LittleEndian.PutUint32(s, v)
					binary.LittleEndian.PutUint32(s[(len(s)-4)&^3:], v)
				}
				return b
			})
		}
	}
	change(func(b []byte) []byte { return append(b, make([]byte, 64)...) })
	change(func(b []byte) []byte { return b[:len(b)-64] })
	return all
}

// FuzzOpen opens what is no index, or a damaged one; with vouched, one whose
// checksums hold.
func FuzzOpen(f *testing.F) {
	graph := file(f, hnsw(f, vectortest.Vectors(70, 3, 1), 3, vector.HNSWOptions{M: 2}))
	whole := small(f)
	for _, b := range append(wrong(graph), wrong(whole["exact"])...) {
		f.Add(b, true)
	}
	f.Add(graph, false)
	for _, b := range whole {
		f.Add(b[:min(len(b), 20000)], false)
	}
	for _, name := range []string{"arranged", "hnsw"} {
		f.Add(whole[name], true)
	}
	f.Fuzz(func(t *testing.T, b []byte, vouched bool) {
		if vouched {
			b = vouch(b)
		}
		err := harmless(t, b)
		odd := append(make([]byte, 1, len(b)+1), b...)[1:] // numbers that do not lie straight
		if other := harmless(t, odd); (err == nil) != (other == nil) {
			t.Fatalf("at an odd address: got %v, want %v", other, err)
		}
	})
}

// A file whose checksums hold and whose numbers cannot be right is refused or
// harmless, whatever the number.
func TestVouchedFiles(t *testing.T) {
	for name, b := range small(t) {
		if err := harmless(t, vouch(b)); err != nil {
			t.Fatalf("%s: got %v for the file as it was written", name, err)
		}
		refused := 0
		for _, bad := range wrong(b) {
			if harmless(t, vouch(bad)) != nil {
				refused++
			}
		}
		if refused == 0 {
			t.Errorf("%s: none was refused", name)
		}
	}
}
