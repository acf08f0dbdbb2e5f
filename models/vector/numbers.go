package vector

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"unsafe"
)

// OpenAt is Open for a mapped file b that file reads too, at the same offsets. The
// numbers that a large Exact ranks its candidates by are then read from file rather than
// from b: where the system maps large stretches at the first touch, a few rows a
// search make all of the file resident after some hundred searches. A search
// reports an error of file. SearchMany, which reads all numbers, and queries that
// codes say nothing about go by b; so does all of an index with fewer than 32 MB of
// numbers, which is not worth a system call for each few rows.
//
// It takes file over: Close closes it, or OpenAt where nothing is read from it.
func OpenAt(b []byte, file File) (Saved, error) { return openAt(b, file, fileNumbers) }

// fileNumbers is how many numbers are left in the file.
const fileNumbers = 8 << 20

func openAt(b []byte, file File, from int) (Saved, error) {
	x, err := Open(b)
	if e, ok := x.(*Exact); ok && e.runs != nil && len(e.vecs) >= from {
		at := uintptr(unsafe.Pointer(&e.vecs[0])) - uintptr(unsafe.Pointer(&b[0]))
		if at < uintptr(len(b)) { // they had not to be copied
			e.numbers = &numbers{file: file, at: int64(at)}
			return e, nil
		}
	}
	return x, errors.Join(err, file.Close())
}

// File is what OpenAt reads from; an *os.File is one.
type File interface {
	io.ReaderAt
	io.Closer
}

// numbers is where the float rows of arranged rows lie in a file.
type numbers struct {
	file File
	at   int64
}

// readGap is how many rows are read for nothing rather than by another call.
const readGap = 8

// read puts the rows at s.picked, which it sorts, one after another into s.packed.
// It reads rows that lie close together at once.
func (f *numbers) read(dim int, s *scan) error {
	slices.Sort(s.picked)
	s.packed = resize(s.packed, len(s.picked)*dim)
	for i := 0; i < len(s.picked); {
		j, from := i+1, s.picked[i]
		for j < len(s.picked) && s.picked[j]-s.picked[j-1] <= readGap && s.picked[j]-from < runRows {
			j++
		}
		s.span = resize(s.span, int(s.picked[j-1]-from+1)*dim)
		b := bytesOf(s.span)
		if n, err := f.file.ReadAt(b, f.at+4*int64(from)*int64(dim)); n < len(b) {
			return fmt.Errorf("read rows %d to %d of a vector index: %w", from, s.picked[j-1], err)
		}
		for ; i < j; i++ {
			copy(s.packed[i*dim:][:dim], s.span[int(s.picked[i]-from)*dim:][:dim])
		}
	}
	return nil
}
