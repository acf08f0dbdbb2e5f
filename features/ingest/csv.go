package ingest

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// csvReader reads CSV with a header line.
type csvReader struct {
	in     *csv.Reader
	stream *stream
	header []string
	at     []int
}

func newCSV(text *bufio.Reader, comma rune, s *stream) (*csvReader, error) {
	in := csv.NewReader(text)
	if comma != 0 {
		in.Comma = comma
	}
	in.FieldsPerRecord = -1
	in.ReuseRecord = true
	header, err := in.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("is empty: expected a header line with the columns' names")
	}
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	r := &csvReader{in: in, stream: s}
	for _, name := range header {
		r.header = append(r.header, strings.TrimSpace(name))
	}
	return r, nil
}

func (r *csvReader) Bind(columns []string) (err error) {
	r.at, err = columnsAt(r.header, columns)
	return err
}

func (r *csvReader) Next(row *Row) error {
	row.Values, row.Content = row.Values[:0], row.Content[:0]
	record, err := r.in.Read()
	for i, v := range record {
		if i > 0 {
			row.Content = append(row.Content, 0x1f)
		}
		row.Content = append(row.Content, v...)
	}
	var bad *csv.ParseError
	if errors.As(err, &bad) {
		return &RowError{Line: int64(bad.StartLine), Reason: bad.Err.Error() + ": put fields that hold quotes, line ends or the separator in double quotes, and double the quotes inside"}
	}
	if err != nil {
		return err
	}
	line, _ := r.in.FieldPos(0)
	row.Line = int64(line)
	if len(record) != len(r.header) {
		return &RowError{Line: row.Line, Reason: fmt.Sprintf("has %d fields where the header has %d: quote fields that hold the separator", len(record), len(r.header))}
	}
	for i, v := range record {
		if !utf8.ValidString(v) {
			return &RowError{Line: row.Line, Column: r.header[i], Reason: notUTF8}
		}
	}
	for _, at := range r.at {
		row.Values = append(row.Values, record[at])
	}
	return nil
}

func (r *csvReader) Progress() (done, total int64) { return r.stream.progress() }

func (r *csvReader) Close() error { return r.stream.Close() }
