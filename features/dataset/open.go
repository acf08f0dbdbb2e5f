package dataset

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// Open reads a file, unpacked when its name ends in .gz, .zst or .xz.
func Open(path string) (io.ReadCloser, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	r, err := Unpack(path, f)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open %s: %w; is it what its extension says?", path, err)
	}
	return &opened{Reader: r, file: f}, nil
}

// Unpack reads r as the extension of name says: .gz, .zst, .xz or plain.
func Unpack(name string, r io.Reader) (io.Reader, error) {
	switch {
	case strings.HasSuffix(name, ".gz"):
		return gzip.NewReader(bufio.NewReaderSize(r, 1<<16))
	case strings.HasSuffix(name, ".zst"):
		d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(1<<30))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	case strings.HasSuffix(name, ".xz"):
		return xz.NewReader(bufio.NewReaderSize(r, 1<<16))
	}
	return r, nil
}

type opened struct {
	io.Reader
	file *os.File
}

// Close closes the file below and what unpacks it.
func (o *opened) Close() error {
	if c, ok := o.Reader.(io.Closer); ok && o.Reader != io.Reader(o.file) {
		if err := c.Close(); err != nil {
			o.file.Close()
			return err
		}
	}
	return o.file.Close()
}
