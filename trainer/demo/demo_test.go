package demo

import (
	"bytes"
	"errors"
	"io"
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
)

// line is one row as a reader of the file sees it.
type line struct {
	InvoiceNo   *string   `parquet:"InvoiceNo,optional"`
	StockCode   *string   `parquet:"StockCode,optional"`
	Description *string   `parquet:"Description,optional"`
	Quantity    int32     `parquet:"Quantity"`
	InvoiceDate time.Time `parquet:"InvoiceDate,timestamp(millisecond)"`
	UnitPrice   float64   `parquet:"UnitPrice"`
	CustomerID  *string   `parquet:"CustomerID,optional"`
	Country     string    `parquet:"Country"`
}

func readAll(t *testing.T) []line {
	t.Helper()
	at, size := Open()
	r := parquet.NewGenericReader[line](io.NewSectionReader(at, 0, size))
	defer r.Close()
	rows := make([]line, r.NumRows())
	for n := 0; n < len(rows); {
		k, err := r.Read(rows[n:])
		n += k
		if err != nil && (!errors.Is(err, io.EOF) || n != len(rows)) {
			t.Fatalf("after row %d: %v", n, err)
		}
	}
	return rows
}

func TestOpenGivesTheFile(t *testing.T) {
	want, err := os.ReadFile(FileName)
	if err != nil {
		t.Fatal(err)
	}
	at, size := Open()
	got := make([]byte, size)
	if _, err := at.ReadAt(got, 0); err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %d bytes, %v, want the %d of %s", size, err, len(want), FileName)
	}
	if size >= 5_000_000 {
		t.Errorf("got %d bytes, want less than 5 MB", size)
	}
}

func TestSchema(t *testing.T) {
	at, size := Open()
	f, err := parquet.OpenFile(at, size)
	if err != nil {
		t.Fatal(err)
	}
	const want = `message record {
	optional binary InvoiceNo (STRING);
	optional binary StockCode (STRING);
	optional binary Description (STRING);
	required int32 Quantity (INT(32,true));
	required int64 InvoiceDate (TIMESTAMP(isAdjustedToUTC=true,unit=MILLIS));
	required double UnitPrice;
	optional binary CustomerID (STRING);
	required binary Country (STRING);
}`
	if got := f.Schema().String(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, group := range f.Metadata().RowGroups {
		for _, c := range group.Columns {
			if c.MetaData.Codec.String() != "ZSTD" || c.MetaData.DictionaryPageOffset == 0 {
				t.Errorf("column %v: got codec %v, dictionary at %d, want ZSTD and a dictionary",
					c.MetaData.PathInSchema, c.MetaData.Codec, c.MetaData.DictionaryPageOffset)
			}
		}
	}
}

func TestRows(t *testing.T) {
	rows := readAll(t)
	t.Run("counts", func(t *testing.T) { checkCounts(t, rows) })
	t.Run("cells", func(t *testing.T) { checkCells(t, rows) })
}

func checkCounts(t *testing.T, rows []line) {
	codes, customers, countries, invoices := set{}, set{}, set{}, set{}
	got := map[string]int{}
	var first, last time.Time
	for i, r := range rows {
		got["rows"]++
		count := func(name string, is bool) {
			if is {
				got[name]++
			}
		}
		count("sales", r.Quantity > 0)
		count("negative quantity", r.Quantity < 0)
		count("zero quantity", r.Quantity == 0)
		count("returns with a customer", r.Quantity < 0 && r.CustomerID != nil)
		count("returns with a customer and a code", r.Quantity < 0 && r.CustomerID != nil && r.StockCode != nil)
		count("zero price", r.UnitPrice == 0)
		count("negative price", r.UnitPrice < 0)
		count("no invoice", r.InvoiceNo == nil)
		count("no code", r.StockCode == nil)
		count("no description", r.Description == nil)
		count("no customer", r.CustomerID == nil)
		codes.add(r.StockCode)
		customers.add(r.CustomerID)
		invoices.add(r.InvoiceNo)
		countries.add(&r.Country)
		if i == 0 {
			first = r.InvoiceDate
		}
		if r.InvoiceDate.Before(last) {
			t.Fatalf("row %d: %s is earlier than the row before", i, r.InvoiceDate)
		}
		last = r.InvoiceDate
	}
	got["codes"], got["customers"], got["countries"], got["invoices"] = len(codes), len(customers), len(countries), len(invoices)

	want := map[string]int{
		"rows": 541_909, "sales": 531_285, "negative quantity": 10_624, "zero quantity": 0,
		"returns with a customer": 8_905, "returns with a customer and a code": 8_794,
		"zero price": 2_515, "negative price": 2,
		"no invoice": 1_722, "no code": 1_450, "no description": 1_454, "no customer": 135_080,
		"codes": 3_940, "customers": 4_372, "countries": 38, "invoices": 20_725 + 3_650,
	}
	for name, n := range want {
		if got[name] != n {
			t.Errorf("%s: got %d, want %d", name, got[name], n)
		}
	}
	const layout = time.DateTime
	if from, to := first.UTC().Format(layout), last.UTC().Format(layout); from != "2010-12-01 08:26:00" || to != "2011-12-09 12:50:00" {
		t.Errorf("got %s to %s, want 2010-12-01 08:26:00 to 2011-12-09 12:50:00", from, to)
	}
}

// checkCells checks the form of the identifiers in every row.
func checkCells(t *testing.T, rows []line) {
	var (
		sold     = regexp.MustCompile(`^\d{6}$`)
		credited = regexp.MustCompile(`^C(\d{5})-\d{8}T\d{4}$`)
		customer = regexp.MustCompile(`^\d{5}$`)
	)
	for i, r := range rows {
		for _, cell := range []*string{r.InvoiceNo, r.StockCode, r.Description, r.CustomerID} {
			if cell != nil && (*cell == "" || *cell == "0.0" || *cell == "Missing_Description") {
				t.Fatalf("row %d: got %q, want null", i, *cell)
			}
		}
		if r.CustomerID != nil && !customer.MatchString(*r.CustomerID) {
			t.Fatalf("row %d: got customer %q, want five digits", i, *r.CustomerID)
		}
		switch {
		case r.InvoiceNo == nil:
			if r.Quantity < 0 && r.CustomerID != nil {
				t.Fatalf("row %d: return of a customer without an invoice", i)
			}
		case r.Quantity > 0:
			if !sold.MatchString(*r.InvoiceNo) {
				t.Fatalf("row %d: got invoice %q for a sale, want six digits", i, *r.InvoiceNo)
			}
		default:
			want := r.InvoiceDate.UTC().Format("20060102T1504")
			if !credited.MatchString(*r.InvoiceNo) || *r.InvoiceNo != "C"+*r.CustomerID+"-"+want {
				t.Fatalf("row %d: got invoice %q for a return, want C, customer and time", i, *r.InvoiceNo)
			}
		}
	}
}

type set map[string]bool

func (s set) add(v *string) {
	if v != nil {
		s[*v] = true
	}
}
