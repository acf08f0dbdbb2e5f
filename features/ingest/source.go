// Package ingest brings files into the store: it reads CSV, JSON lines and
// Parquet, maps columns to the fields of events, cleans row by row, and says in
// a report what every rule did. No row is lost silently: what is refused goes,
// with rule and reason, to the dead letters or to a file beside the import.
//
// It may import features, features/store and the readers' libraries. Start
// reading at Import.
package ingest

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
	"golang.org/x/text/encoding/charmap"
)

// Source is rows that can be read more than once.
type Source interface {
	Name() string // in messages and in the ids of events
	Open() (Reader, error)
}

// Reader gives rows one after the other. It is not safe for concurrent use.
type Reader interface {
	// Bind says which columns a row's Values shall hold, in that order. It
	// fails when the source does not have one of them.
	Bind(columns []string) error
	// Next fills the row, which is valid until the next call; io.EOF at the
	// end. A *RowError refuses this row alone, the next one can be read.
	Next(*Row) error
	// Progress is how much of the source was read, in bytes or rows.
	Progress() (done, total int64)
	Close() error
}

// Row is one row of a source.
type Row struct {
	Line    int64    // of the file, from 1; of Parquet: the row, from 1
	Values  []string // by bound column; "" where there is none
	Content []byte   // the whole row in a form that is the same for the same row
}

// RowError says why a row cannot be read, and what would mend it.
type RowError struct {
	Line   int64
	Column string // "" when it is not about one
	Reason string
}

// Error is without the name of the file, which its reader adds.
func (e *RowError) Error() string {
	if e.Column == "" {
		return fmt.Sprintf("line %d: %s", e.Line, e.Reason)
	}
	return fmt.Sprintf("line %d, %s", e.Line, e.text())
}

// text is the error for where the line is named already.
func (e *RowError) text() string {
	if e.Column == "" {
		return e.Reason
	}
	return fmt.Sprintf("column %s: %s", e.Column, e.Reason)
}

// Format is how a file is written down.
type Format struct {
	Comma    rune   // of CSV; 0: ',', or '\t' in a .tsv
	Encoding string // of CSV and JSON lines: "utf-8" (the default), "windows-1252", "latin-1"
}

// File is a source from a file: .csv, .tsv, .jsonl (or .ndjson) or .parquet;
// the first three may be compressed (.gz, .xz, .zst).
func File(path string, f Format) (Source, error) {
	name := filepath.Base(path)
	kind, packing := kindOf(name)
	if kind == "" {
		return nil, fmt.Errorf("%s: cannot tell the format by its name: expected .csv, .tsv, .jsonl or .parquet, with .gz, .xz or .zst if compressed", path)
	}
	if kind == "parquet" && packing != "" {
		return nil, fmt.Errorf("%s: Parquet is compressed inside: unpack it first", path)
	}
	if _, err := charset(f.Encoding); err != nil {
		return nil, err
	}
	if f.Comma == 0 && kind == "tsv" {
		f.Comma = '\t'
	}
	return &file{path: path, name: name, kind: kind, packing: packing, format: f}, nil
}

type file struct {
	path, name, kind, packing string
	format                    Format
}

func kindOf(name string) (kind, packing string) {
	name = strings.ToLower(name)
	for _, p := range []string{".gz", ".xz", ".zst"} {
		if strings.HasSuffix(name, p) {
			name, packing = strings.TrimSuffix(name, p), p
		}
	}
	switch ext := filepath.Ext(name); ext {
	case ".csv", ".tsv", ".parquet", ".jsonl":
		return ext[1:], packing
	case ".ndjson":
		return "jsonl", packing
	}
	return "", packing
}

// Name is the file's name without its folder.
func (f *file) Name() string { return f.name }

// Open begins to read the file.
func (f *file) Open() (Reader, error) {
	in, err := os.Open(f.path)
	if err != nil {
		return nil, err
	}
	r, err := f.reader(in)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", f.path, err), in.Close())
	}
	return r, nil
}

func (f *file) reader(in *os.File) (Reader, error) {
	info, err := in.Stat()
	if err != nil {
		return nil, err
	}
	if f.kind == "parquet" {
		return newParquet(in, info.Size(), in)
	}
	s := &stream{size: info.Size(), under: in}
	var plain io.Reader = s
	switch f.packing {
	case ".gz":
		z, err := gzip.NewReader(s)
		if err != nil {
			return nil, err
		}
		plain = z
	case ".xz":
		if plain, err = xz.NewReader(bufio.NewReaderSize(s, 1<<16)); err != nil {
			return nil, err
		}
	case ".zst":
		z, err := zstd.NewReader(s, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		s.release = z.Close
		plain = z
	}
	return textReader(f.kind, f.format, plain, s)
}

// textReader reads CSV or JSON lines from plain.
func textReader(kind string, f Format, plain io.Reader, s *stream) (Reader, error) {
	decode, err := charset(f.Encoding)
	if err != nil {
		return nil, err
	}
	if decode != nil {
		plain = decode.NewDecoder().Reader(plain)
	}
	text := bufio.NewReaderSize(plain, 1<<16)
	if mark, err := text.Peek(3); err == nil && bytes.Equal(mark, []byte("\xef\xbb\xbf")) {
		if _, err := text.Discard(3); err != nil {
			return nil, err
		}
	}
	if kind == "jsonl" {
		return &jsonl{in: text, stream: s}, nil
	}
	return newCSV(text, f.Comma, s)
}

func charset(name string) (*charmap.Charmap, error) {
	switch strings.ToLower(name) {
	case "", "utf-8", "utf8":
		return nil, nil
	case "windows-1252", "cp1252":
		return charmap.Windows1252, nil
	case "latin-1", "latin1", "iso-8859-1":
		return charmap.ISO8859_1, nil
	}
	return nil, fmt.Errorf("unknown encoding %q: expected utf-8, windows-1252 or latin-1", name)
}

// notUTF8 is the reason for a row of another encoding.
const notUTF8 = "is not UTF-8: give its encoding, windows-1252 or latin-1"

// stream counts what was read of a file.
type stream struct {
	under   io.ReadCloser
	size    int64
	read    atomic.Int64
	release func()
}

func (s *stream) Read(b []byte) (int, error) {
	n, err := s.under.Read(b)
	s.read.Add(int64(n))
	return n, err
}

func (s *stream) progress() (done, total int64) { return s.read.Load(), s.size }

func (s *stream) Close() error {
	if s.release != nil {
		s.release()
	}
	return s.under.Close()
}

// columnsAt finds the wanted columns among those there are.
func columnsAt(have, want []string) ([]int, error) {
	at := make([]int, len(want))
	for i, w := range want {
		at[i] = -1
		for k, h := range have {
			if h == w {
				at[i] = k
			}
		}
		if at[i] < 0 {
			return nil, fmt.Errorf("no column %q: there are %s", w, strings.Join(have, ", "))
		}
	}
	return at, nil
}
