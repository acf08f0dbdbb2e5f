package job

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// openInput opens a file for reading and unpacks it when its name ends in .gz,
// .zst or .xz. The caller closes it.
func openInput(path string) (io.ReadCloser, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	in := &input{Reader: bufio.NewReaderSize(f, 1<<16), file: f}
	switch strings.ToLower(filepath.Ext(path)) {
	case ".gz":
		var r *gzip.Reader
		if r, err = gzip.NewReader(in.Reader); err == nil {
			in.Reader = r
		}
	case ".zst":
		var r *zstd.Decoder
		if r, err = zstd.NewReader(in.Reader); err == nil {
			in.Reader, in.done = r, r.Close
		}
	case ".xz":
		var r *xz.Reader
		if r, err = xz.NewReader(in.Reader); err == nil {
			in.Reader = bufio.NewReaderSize(r, 1<<16)
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open %s: %w: does its ending name how it is packed?", path, err)
	}
	return in, nil
}

// input is a file being read, unpacked where needed.
type input struct {
	io.Reader
	file *os.File
	done func() // ends the unpacking; nil where it holds nothing
}

func (in *input) Close() error {
	if in.done != nil {
		in.done()
	}
	return in.file.Close()
}
