package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
)

// RecordOptions says how a source of users or items is imported. Columns is
// needed.
type RecordOptions struct {
	Shop         features.ShopID   // "": features.DefaultShop
	Columns      map[string]string // field -> column
	DecimalComma bool
	Currency     string         // of prices
	Progress     func(Progress) // called now and then, and at the end
}

// RecordReport is what an import of users or items did.
type RecordReport struct {
	Source   string    `json:"source"`
	Rows     int64     `json:"rows"`
	Stored   int64     `json:"stored"` // new or changed
	Same     int64     `json:"same"`   // were stored so already
	Refused  int64     `json:"refused"`
	Examples []Example `json:"examples,omitempty"` // of the refused, the first three
}

// Text is the report for people.
func (r *RecordReport) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d rows, %d stored, %d the same as stored, %d refused\n", r.Source, r.Rows, r.Stored, r.Same, r.Refused)
	for _, e := range r.Examples {
		fmt.Fprintf(&b, "    line %d: %s\n", e.Line, e.Reason)
	}
	return b.String()
}

// ParseFields reads "id=CustomerID,market=Country,..." for the fields there
// are; a field that ends in a point stands for all that begin so.
func ParseFields(s string, fields []string) (map[string]string, error) {
	columns := map[string]string{}
	for _, pair := range strings.Split(s, ",") {
		field, column, ok := strings.Cut(strings.TrimSpace(pair), "=")
		if !ok || column == "" {
			return nil, fmt.Errorf("columns: %q is not field=column", pair)
		}
		if columns[field] != "" {
			return nil, fmt.Errorf("columns: field %q is given twice", field)
		}
		if !slices.ContainsFunc(fields, func(f string) bool {
			return f == field || strings.HasSuffix(f, ".") && strings.HasPrefix(field, f) && len(field) > len(f)
		}) {
			return nil, fmt.Errorf("columns: no field %q: there are %s", field, strings.Join(fields, ", "))
		}
		columns[field] = column
	}
	if slices.Contains(fields, "id") && columns["id"] == "" {
		return nil, errors.New("columns: none is named for id: add id=COLUMN")
	}
	return columns, nil
}

// cell is the value of one field of a row.
type cell struct {
	field, column, value string
}

func (c *cell) wrong(err error) error { return &RowError{Column: c.column, Reason: err.Error()} }

// records is the work of importing a table of users or items.
type records struct {
	ctx  context.Context
	src  Source
	sink interface {
		PutDead(context.Context, features.ShopID, []store.DeadLetter) error
	}
	o       *RecordOptions
	kind    string                        // in dead letters: "users"
	key     func(string) features.UserKey // whom a refused row is about; nil: nobody
	who     func([]cell) features.UserKey // likewise, of rows that have no id; nil: nobody
	report  RecordReport
	fields  []string
	columns []string
	dead    []store.DeadLetter
}

// each gives f the cells of every row that is not empty; flush is called after
// batchRows rows and at the end. A *RowError of f refuses the row.
func (t *records) each(f func(line int64, cells []cell) error, flush func() error) error {
	t.report.Source = t.src.Name()
	for field := range t.o.Columns {
		t.fields = append(t.fields, field)
	}
	slices.Sort(t.fields)
	for _, field := range t.fields {
		t.columns = append(t.columns, t.o.Columns[field])
	}
	in, err := t.src.Open()
	if err != nil {
		return err
	}
	if l, ok := in.(interface{ takeLists() }); ok {
		l.takeLists()
	}
	err = t.read(in, f, flush)
	return errors.Join(err, in.Close())
}

func (t *records) read(in Reader, f func(int64, []cell) error, flush func() error) error {
	if err := in.Bind(t.columns); err != nil {
		return err
	}
	var row Row
	cells := make([]cell, 0, len(t.fields))
	for {
		err := in.Next(&row)
		end := errors.Is(err, io.EOF)
		if end || t.report.Rows%batchRows == 0 {
			if err := errors.Join(t.ctx.Err(), flush(), t.bury()); err != nil {
				return err
			}
			if t.o.Progress != nil {
				done, total := in.Progress()
				t.o.Progress(Progress{Pass: 1, Passes: 1, Rows: t.report.Rows, Done: done, Total: total})
			}
		}
		if end {
			return nil
		}
		t.report.Rows++
		cells = cells[:0]
		if err == nil {
			for i, v := range row.Values {
				if v = strings.TrimSpace(v); v != "" {
					cells = append(cells, cell{t.fields[i], t.columns[i], v})
				}
			}
			err = f(row.Line, cells)
		}
		var bad *RowError
		switch {
		case errors.As(err, &bad):
			if bad.Line == 0 {
				bad.Line = row.Line
			}
			t.refuse(bad, cells)
		case err != nil:
			return fmt.Errorf("line %d: %w", row.Line, err)
		}
	}
}

func (t *records) refuse(bad *RowError, cells []cell) {
	t.report.Refused++
	if len(t.report.Examples) < examples {
		t.report.Examples = append(t.report.Examples, Example{bad.Line, bad.text()})
	}
	object := map[string]string{}
	var id string
	for _, c := range cells {
		object[c.column] = strings.ToValidUTF8(c.value, "\uFFFD")
		if c.field == "id" {
			id = identifier(c.value)
		}
	}
	payload, err := json.Marshal(object)
	if err != nil {
		payload = nil
	}
	source := t.src.Name() + ":" + strconv.FormatInt(bad.Line, 10)
	d := store.DeadLetter{Key: source + ":" + t.kind, Source: source, Rule: t.kind, Reason: bad.text(), Payload: payload}
	switch {
	case t.key != nil && id != "":
		d.User = t.key(id)
	case t.who != nil:
		d.User = t.who(cells)
	}
	t.dead = append(t.dead, d)
}

func (t *records) bury() error {
	if len(t.dead) == 0 {
		return nil
	}
	err := t.sink.PutDead(t.ctx, t.o.Shop, t.dead)
	t.dead = t.dead[:0]
	return err
}

// listOf reads a list: JSON, or parts between semicolons, bars or commas.
func listOf(v string) (list []string) {
	if strings.HasPrefix(v, "[") && json.Unmarshal([]byte(v), &list) == nil {
		return list
	}
	for _, by := range []string{";", "|", ","} {
		if strings.Contains(v, by) {
			return trimmed(strings.Split(v, by))
		}
	}
	return []string{v}
}

func trimmed(parts []string) []string {
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return slices.DeleteFunc(parts, func(s string) bool { return s == "" })
}

func yesNo(v string) (bool, error) {
	switch strings.ToLower(v) {
	case "true", "yes", "y", "1", "1.0", "t":
		return true, nil
	case "false", "no", "n", "0", "0.0", "f":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither yes nor no", short(v))
}
