package main

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ulikunitz/xz"
)

// noDescription is what the sales file writes where the all-rows file has an
// empty description.
const noDescription = "Missing_Description"

// progressStep is the number of rows between two lines of progress.
const progressStep = 100_000

var (
	salesHeader = []string{"InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country"}
	allHeader   = []string{"Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country"}
)

// readFile reads the CSV file at path, decompressing it if its name ends in
// .xz. The header must be exactly header, of which the last six columns are
// those of allHeader. Rows come back in file order, which is by time.
func readFile(path string, header []string, log *slog.Logger) ([]Row, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var in io.Reader = bufio.NewReaderSize(f, 1<<20)
	if strings.HasSuffix(path, ".xz") {
		if in, err = xz.NewReader(in); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	rows, err := readRows(in, header, func(n int) { log.Info("reading", "file", path, "rows", n) })
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	log.Info("read", "file", path, "rows", len(rows))
	return rows, nil
}

// readRows decodes CSV from in; tick is called every progressStep rows.
func readRows(in io.Reader, header []string, tick func(rows int)) ([]Row, error) {
	r := csv.NewReader(in)
	r.ReuseRecord = true
	r.FieldsPerRecord = -1
	got, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("read header: %w", err)
	}
	if !slices.Equal(got, header) {
		return nil, fmt.Errorf("got header %q, want %q", got, header)
	}
	r.FieldsPerRecord = len(header)
	text := make(interner)
	var rows []Row
	for {
		rec, err := r.Read()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return nil, err
		}
		row, err := parseRow(rec, text)
		if err != nil {
			line, _ := r.FieldPos(0)
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		if n := len(rows); n > 0 && row.InvoiceDate.Before(rows[n-1].InvoiceDate) {
			line, _ := r.FieldPos(0)
			return nil, fmt.Errorf("line %d: %s is earlier than the line before: the file must be in order of time",
				line, row.InvoiceDate.Format(time.DateTime))
		}
		rows = append(rows, row)
		if len(rows)%progressStep == 0 {
			tick(len(rows))
		}
	}
}

// parseRow decodes one record whose last six fields are those of allHeader,
// after the invoice and the code if it has eight.
func parseRow(rec []string, text interner) (Row, error) {
	var row Row
	if len(rec) == len(salesHeader) {
		row.InvoiceNo, row.StockCode = text.get(rec[0]), text.get(rec[1])
		if row.InvoiceNo == "" || row.StockCode == "" {
			return row, errors.New("sales row without invoice or code")
		}
		rec = rec[2:]
	}
	if rec[0] != noDescription {
		row.Description = text.get(rec[0])
	}
	quantity, err := strconv.ParseInt(rec[1], 10, 32)
	if err != nil {
		return row, fmt.Errorf("quantity: %w", err)
	}
	row.Quantity = int32(quantity)
	if row.InvoiceDate, err = time.Parse(time.DateTime, rec[2]); err != nil {
		return row, fmt.Errorf("time: %w", err)
	}
	if row.UnitPrice, err = strconv.ParseFloat(rec[3], 64); err != nil {
		return row, fmt.Errorf("price: %w", err)
	}
	if math.IsNaN(row.UnitPrice) || math.IsInf(row.UnitPrice, 0) {
		return row, fmt.Errorf("price: got %s, want a finite number", rec[3])
	}
	customer, err := parseCustomer(rec[4])
	if err != nil {
		return row, err
	}
	row.CustomerID, row.Country = text.get(customer), text.get(rec[5])
	return row, nil
}

// parseCustomer turns the decimal form "17850.0" into "17850". No value, and
// zero, mean that the customer is not known: both give "".
func parseCustomer(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	id := strings.TrimSuffix(s, ".0")
	n, err := strconv.ParseUint(id, 10, 32)
	if err != nil {
		return "", fmt.Errorf("customer: got %q, want a whole number: %w", s, err)
	}
	if n == 0 {
		return "", nil
	}
	return id, nil
}

// interner keeps one copy of each distinct string, so that rows do not hold
// on to the buffers of the CSV reader.
type interner map[string]string

func (in interner) get(s string) string {
	if kept, ok := in[s]; ok {
		return kept
	}
	kept := strings.Clone(s)
	in[kept] = kept
	return kept
}
