package dataset

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"unsafe"
)

// ErrFormat is wrapped by every error about a file's content.
var ErrFormat = errors.New("wrong format")

// FormatError says where a file is not as its format asks, what was found, what
// was expected, and so how to mend it. It wraps ErrFormat.
type FormatError struct {
	File string
	Line int    // from 1
	Got  string // what is there
	Want string // what was expected
}

// Error implements error: "train.txt:3: got rating "x": expected a number".
func (e *FormatError) Error() string {
	return fmt.Sprintf("%s:%d: got %s: expected %s", e.File, e.Line, e.Got, e.Want)
}

// Unwrap makes it an ErrFormat.
func (e *FormatError) Unwrap() error { return ErrFormat }

// maxLine is the longest line that is read, in bytes.
const maxLine = 64 << 20

// lines reads a file line by line, reusing its memory.
type lines struct {
	name string
	r    *bufio.Reader
	long []byte
	n    int // number of the line read last, from 1
}

func newLines(name string, r io.Reader) *lines {
	return &lines{name: name, r: bufio.NewReaderSize(r, 1<<18)}
}

// next returns the next line without its end, valid until the next call, or
// io.EOF. A byte order mark at the start is passed over.
func (l *lines) next() ([]byte, error) {
	b, err := l.r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		l.long = append(l.long[:0], b...)
		for errors.Is(err, bufio.ErrBufferFull) {
			b, err = l.r.ReadSlice('\n')
			l.long = append(l.long, b...)
			if len(l.long) > maxLine {
				return nil, &FormatError{l.name, l.n + 1, "a line longer than 64 MiB", "text with one record a line"}
			}
		}
		b = l.long
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read %s after line %d: %w", l.name, l.n, err)
	}
	if len(b) == 0 && err != nil {
		return nil, io.EOF
	}
	l.n++
	if l.n == 1 {
		b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	}
	b = bytes.TrimSuffix(b, []byte("\n"))
	return bytes.TrimSuffix(b, []byte("\r")), nil
}

// errorf is a FormatError at the line read last.
func (l *lines) errorf(want, got string, args ...any) *FormatError {
	return &FormatError{File: l.name, Line: l.n, Got: fmt.Sprintf(got, args...), Want: want}
}

// word cuts the first word of b, between blanks, tabs or commas.
func word(b []byte) (w, rest []byte) {
	i := 0
	for i < len(b) && isBlank(b[i]) {
		i++
	}
	j := i
	for j < len(b) && !isBlank(b[j]) {
		j++
	}
	return b[i:j], b[j:]
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == ',' }

// view is b as a string that shares its memory: for look-ups only, never kept.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// clip shortens what an error quotes.
func clip(b []byte) string {
	if len(b) > 60 {
		return string(b[:57]) + "..."
	}
	return string(b)
}
