package ingest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// maxLine is how long a line of JSON may be.
const maxLine = 4 << 20

// jsonl reads a JSON object a line. A column is a field's name; "a.b" is field
// b of the object in field a.
type jsonl struct {
	in      *bufio.Reader
	stream  *stream
	columns [][]string
	line    int64
	buf     []byte
	lists   bool // arrays are taken
}

// takeLists makes arrays values of fields, as JSON.
func (r *jsonl) takeLists() { r.lists = true }

func (r *jsonl) Bind(columns []string) error {
	r.columns = r.columns[:0]
	for _, c := range columns {
		r.columns = append(r.columns, strings.Split(c, "."))
	}
	return nil
}

func (r *jsonl) Next(row *Row) error {
	for {
		line, err := r.readLine()
		if err != nil {
			return err
		}
		if line = bytes.TrimSpace(line); len(line) > 0 {
			return r.parse(line, row)
		}
	}
}

func (r *jsonl) readLine() ([]byte, error) {
	r.buf = r.buf[:0]
	r.line++
	tooLong := false
	for {
		part, err := r.in.ReadSlice('\n')
		if len(r.buf)+len(part) > maxLine {
			tooLong = true
			r.buf = r.buf[:0]
		} else if !tooLong {
			r.buf = append(r.buf, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil && !errors.Is(err, io.EOF):
			return nil, err
		case err != nil && len(r.buf) == 0 && !tooLong:
			return nil, io.EOF
		case tooLong:
			return nil, &RowError{Line: r.line, Reason: fmt.Sprintf("is longer than %d bytes: write one object a line", maxLine)}
		}
		return r.buf, nil
	}
}

func (r *jsonl) parse(line []byte, row *Row) error {
	row.Line, row.Values, row.Content = r.line, row.Values[:0], append(row.Content[:0], line...)
	if !utf8.Valid(line) {
		return &RowError{Line: r.line, Reason: notUTF8}
	}
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	var object map[string]any
	if err := d.Decode(&object); err != nil {
		return &RowError{Line: r.line, Reason: fmt.Sprintf("is not a JSON object: %v", err)}
	}
	if d.More() {
		return &RowError{Line: r.line, Reason: "has more than one JSON object: write one a line"}
	}
	content, err := json.Marshal(object) // keys in order, blanks gone
	if err != nil {
		return &RowError{Line: r.line, Reason: err.Error()}
	}
	row.Content = append(row.Content[:0], content...)
	for _, path := range r.columns {
		v, err := text(object, path, r.lists)
		if err != nil {
			row.Values = row.Values[:0]
			return &RowError{Line: r.line, Column: strings.Join(path, "."), Reason: err.Error()}
		}
		row.Values = append(row.Values, v)
	}
	return nil
}

// text is the value at path; "" when it is not there or null. With lists, an
// array is its JSON.
func text(object map[string]any, path []string, lists bool) (string, error) {
	v, ok := object[path[0]]
	if !ok || v == nil {
		return "", nil
	}
	switch v := v.(type) {
	case map[string]any:
		if len(path) > 1 {
			return text(v, path[1:], lists)
		}
		return "", fmt.Errorf("is an object: name one of its fields, %s.field", path[0])
	case []any:
		if lists {
			b, err := json.Marshal(v)
			return string(b), err
		}
		return "", errors.New("is an array: expected one value")
	case string:
		if len(path) == 1 {
			return v, nil
		}
	case json.Number:
		if len(path) == 1 {
			return v.String(), nil
		}
	case bool:
		if len(path) == 1 {
			return fmt.Sprint(v), nil
		}
	}
	return "", fmt.Errorf("%s is not an object", path[0])
}

func (r *jsonl) Progress() (done, total int64) { return r.stream.progress() }

func (r *jsonl) Close() error { return r.stream.Close() }
