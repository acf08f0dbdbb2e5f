// Package footer checks what a Parquet file claims of itself before a reader
// believes it: a reader makes room for a footer, for a list in it, and for a
// page, of the length that the file claims, some gigabytes for a file of a few
// bytes. It imports the
// standard library and the reader's own decoder of headers.
package footer

import (
	"encoding/binary"
	"fmt"
	"io"
)

const (
	magic = "PAR1"
	tail  = 8 // the footer's length and the magic
)

// Check reports a file of size bytes that does not end as a Parquet file, or
// whose footer would begin before the file does, or does not decode, or claims
// more than it has, or columns that are not those of its schema.
func Check(in io.ReaderAt, size int64) error {
	var b [tail]byte
	if size < tail+int64(len(magic)) {
		return fmt.Errorf("%d bytes are too few", size)
	}
	if _, err := in.ReadAt(b[:], size-tail); err != nil {
		return fmt.Errorf("read the last %d bytes: %w", tail, err)
	}
	if string(b[4:]) != magic {
		return fmt.Errorf("does not end with %s: it is another kind of file, or cut short", magic)
	}
	n := int64(binary.LittleEndian.Uint32(b[:]))
	if n > size-tail-int64(len(magic)) {
		return fmt.Errorf("claims a footer of %d bytes and has %d", n, size)
	}
	return parts(in, size-tail-n, n)
}
