package footer

import (
	"bufio"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// MaxParts is the most row groups, columns and the like that a footer may
// describe, all together.
const MaxParts = 1 << 19

type reader = thrift.Reader // has a method of that name

// limited reads what a file says of itself, and refuses lists and texts that are
// longer than what is left of it: a decoder makes room for all of a list before
// it reads the first of it.
type limited struct {
	reader
	from  *io.SectionReader
	ahead *bufio.Reader // reads from
	parts int
}

func newLimited(section *io.SectionReader, buffered *bufio.Reader) *limited {
	buffered.Reset(section)
	var protocol thrift.CompactProtocol
	return &limited{reader: protocol.NewReader(buffered), from: section, ahead: buffered}
}

// read is how many bytes were taken so far.
func (l *limited) read() (int64, error) {
	at, err := l.from.Seek(0, io.SeekCurrent)
	return at - int64(l.ahead.Buffered()), err
}

// has reports whether n things, of a byte each at least, may still come.
func (l *limited) has(what string, n int) error {
	at, err := l.read()
	if err != nil {
		return err
	}
	if left := l.from.Size() - at; int64(n) > left {
		return fmt.Errorf("claims %s of %d and has %d bytes left", what, n, left)
	}
	return nil
}

func (l *limited) ReadLength() (int, error) {
	n, err := l.reader.ReadLength()
	if err == nil {
		err = l.has("a text", n)
	}
	return n, err
}

func (l *limited) ReadBytes() ([]byte, error) {
	n, err := l.ReadLength()
	if err != nil {
		return nil, err
	}
	b := make([]byte, n)
	_, err = io.ReadFull(l.ahead, b)
	return b, err
}

func (l *limited) ReadString() (string, error) {
	b, err := l.ReadBytes()
	return string(b), err
}

func (l *limited) ReadList() (thrift.List, error) {
	list, err := l.reader.ReadList()
	if err == nil {
		err = l.has("a list", int(list.Size))
	}
	if err == nil && list.Type == thrift.STRUCT {
		if l.parts += int(list.Size); l.parts > MaxParts {
			err = fmt.Errorf("describes more than %d row groups and columns: write larger row groups", MaxParts)
		}
	}
	return list, err
}

func (l *limited) ReadSet() (thrift.Set, error) {
	set, err := l.reader.ReadSet()
	if err == nil {
		err = l.has("a set", int(set.Size))
	}
	return set, err
}

func (l *limited) ReadMap() (thrift.Map, error) {
	m, err := l.reader.ReadMap()
	if err == nil {
		err = l.has("a map", int(m.Size))
	}
	return m, err
}

// parts decodes a footer of n bytes at an offset, within the limits.
func parts(in io.ReaderAt, at, n int64) error {
	l := newLimited(io.NewSectionReader(in, at, n), bufio.NewReaderSize(nil, window))
	var m format.FileMetaData
	err := thrift.NewDecoder(l).Decode(&m)
	if err == nil {
		err = columns(&m)
	}
	if err != nil {
		return fmt.Errorf("footer: %w", err)
	}
	return nil
}
