package ingest

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/attune-rec/attune/features/ingest/footer"
)

// parquetReader reads the flat columns of a Parquet file.
type parquetReader struct {
	file    *parquet.File
	rows    *parquet.Reader //nolint:staticcheck // the reader that needs no Go type
	closer  io.Closer
	names   []string
	render  []func(parquet.Value) string
	at      []int
	buffer  []parquet.Row
	next, n int
	row     int64
	values  []string
}

// Parquet is a source from an open Parquet file, such as one in memory.
func Parquet(name string, in io.ReaderAt, size int64) Source { return parquetSource{name, in, size} }

type parquetSource struct {
	name string
	in   io.ReaderAt
	size int64
}

func (s parquetSource) Name() string          { return s.name }
func (s parquetSource) Open() (Reader, error) { return newParquet(s.in, s.size, nil) }

func newParquet(in io.ReaderAt, size int64, closer io.Closer) (r *parquetReader, err error) {
	defer guard(&err)
	if err := footer.Check(in, size); err != nil {
		return nil, fmt.Errorf("not a Parquet file: %w", err)
	}
	f, err := parquet.OpenFile(in, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true)) // what is not needed makes no room for what it claims
	if err != nil {
		return nil, fmt.Errorf("not a Parquet file: %w", err)
	}
	if err := footer.Pages(in, size, f.Metadata()); err != nil {
		return nil, fmt.Errorf("damaged Parquet file: %w", err)
	}
	// The library asks every column anew for each row that a file has no more, so
	// the buffer of a small file is small.
	r = &parquetReader{file: f, closer: closer, buffer: make([]parquet.Row, min(max(f.NumRows(), 1), 256))}
	for _, c := range f.Root().Columns() {
		if !c.Leaf() || c.Repeated() {
			return nil, fmt.Errorf("column %s is nested: expected a table of plain columns", c.Name())
		}
		r.names = append(r.names, c.Name())
		r.render = append(r.render, renderer(c))
	}
	r.values = make([]string, len(r.names))
	r.rows = parquet.NewReader(f)
	return r, nil
}

// guard turns a panic of the decoder over a damaged file into an error.
func guard(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("damaged Parquet file: %v", p)
	}
}

// renderer is how values of a column are written as text.
func renderer(c *parquet.Column) func(parquet.Value) string {
	t := c.Type()
	if l := t.LogicalType(); l != nil {
		switch l := l.Value.(type) {
		case *format.TimestampType:
			unit := l.Unit.Value
			return func(v parquet.Value) string { return instant(v.Int64(), unit).Format(time.RFC3339Nano) }
		case *format.DateType:
			return func(v parquet.Value) string {
				return time.Unix(int64(v.Int32())*86400, 0).UTC().Format(time.DateOnly)
			}
		case *format.DecimalType:
			scale := int(l.Scale)
			switch t.Kind() {
			case parquet.Int32:
				return func(v parquet.Value) string { return decimal(int64(v.Int32()), scale) }
			case parquet.Int64:
				return func(v parquet.Value) string { return decimal(v.Int64(), scale) }
			}
		}
	}
	switch t.Kind() {
	case parquet.Boolean:
		return func(v parquet.Value) string { return strconv.FormatBool(v.Boolean()) }
	case parquet.Int32:
		return func(v parquet.Value) string { return strconv.FormatInt(int64(v.Int32()), 10) }
	case parquet.Int64:
		return func(v parquet.Value) string { return strconv.FormatInt(v.Int64(), 10) }
	case parquet.Float:
		return func(v parquet.Value) string { return strconv.FormatFloat(float64(v.Float()), 'f', -1, 32) }
	case parquet.Double:
		return func(v parquet.Value) string { return strconv.FormatFloat(v.Double(), 'f', -1, 64) }
	case parquet.Int96:
		return func(v parquet.Value) string { return julian(v).Format(time.RFC3339Nano) }
	}
	return func(v parquet.Value) string {
		if b := v.ByteArray(); !utf8.Valid(b) {
			return hex.EncodeToString(b)
		}
		return string(v.ByteArray())
	}
}

func instant(n int64, unit format.TimeUnitValue) time.Time {
	switch unit.(type) {
	case *format.MilliSeconds:
		return time.UnixMilli(n).UTC()
	case *format.MicroSeconds:
		return time.UnixMicro(n).UTC()
	}
	return time.Unix(0, n).UTC()
}

// julian reads the old form of times: nanoseconds of the day, then the day.
func julian(v parquet.Value) time.Time {
	i := v.Int96()
	nanos := int64(i[1])<<32 | int64(i[0])
	return time.Unix((int64(i[2])-2440588)*86400, nanos).UTC()
}

func decimal(n int64, scale int) string {
	s := strconv.FormatInt(n, 10)
	if scale <= 0 {
		return s
	}
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	for len(s) <= scale {
		s = "0" + s
	}
	return sign + s[:len(s)-scale] + "." + s[len(s)-scale:]
}

func (r *parquetReader) Bind(columns []string) (err error) {
	r.at, err = columnsAt(r.names, columns)
	return err
}

func (r *parquetReader) Next(row *Row) (err error) {
	defer guard(&err)
	for r.next == r.n {
		n, err := r.rows.ReadRows(r.buffer)
		r.next, r.n = 0, n
		if n == 0 && errors.Is(err, io.EOF) {
			return io.EOF
		}
		if n == 0 && err != nil {
			return fmt.Errorf("row %d: %w", r.row+1, err)
		}
	}
	r.row++
	row.Line, row.Values, row.Content = r.row, row.Values[:0], row.Content[:0]
	clear(r.values)
	for _, v := range r.buffer[r.next] {
		if c := v.Column(); !v.IsNull() && c >= 0 && c < len(r.values) {
			r.values[c] = r.render[c](v)
		}
	}
	r.next++
	for _, v := range r.values {
		row.Content = append(append(row.Content, v...), 0x1f)
	}
	for _, at := range r.at {
		row.Values = append(row.Values, r.values[at])
	}
	return nil
}

func (r *parquetReader) Progress() (done, total int64) { return r.row, r.file.NumRows() }

func (r *parquetReader) Close() error {
	err := r.rows.Close()
	if r.closer != nil {
		err = errors.Join(err, r.closer.Close())
	}
	return err
}
