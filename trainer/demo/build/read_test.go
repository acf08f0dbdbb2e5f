package main

import (
	"strings"
	"testing"
)

func readString(s string, header []string) ([]Row, error) {
	return readRows(strings.NewReader(s), header, func(int) {})
}

func TestReadRows(t *testing.T) {
	rows, err := readString(strings.Join(salesHeader, ",")+`
536365,85123A,"HEART, WHITE ",6,2010-12-01 08:26:00,2.55,17850.0,United Kingdom
536366,22423,Missing_Description,-1,2010-12-01 08:27:00,0.0,0.0,France
`, salesHeader)
	if err != nil {
		t.Fatal(err)
	}
	first := Row{
		InvoiceNo: "536365", StockCode: "85123A", Description: "HEART, WHITE ", Quantity: 6,
		InvoiceDate: rows[0].InvoiceDate, UnitPrice: 2.55, CustomerID: "17850", Country: "United Kingdom",
	}
	if rows[0] != first || rows[0].InvoiceDate.UnixMilli() != 1291191960000 {
		t.Errorf("got %+v, want %+v at 2010-12-01 08:26 UTC", rows[0], first)
	}
	if r := rows[1]; r.Description != "" || r.CustomerID != "" || r.Quantity != -1 {
		t.Errorf("got %+v, want no description and no customer", r)
	}
}

func TestReadRowsNamesTheLine(t *testing.T) {
	head := strings.Join(allHeader, ",") + "\n"
	good := "CUP,1,2010-12-01 08:26:00,2.5,17850.0,France\n"
	for _, c := range []struct{ name, in, want string }{
		{"header", "Description\n", "want"},
		{"fields", head + good + "CUP,1\n", "line 3"},
		{"quantity", head + good + "CUP,1.5,2010-12-01 08:26:00,2.5,1.0,France\n", "line 3: quantity"},
		{"quantity too large", head + "CUP,3000000000,2010-12-01 08:26:00,2.5,1.0,France\n", "line 2: quantity"},
		{"time", head + "CUP,1,1/12/2010,2.5,1.0,France\n", "line 2: time"},
		{"price", head + "CUP,1,2010-12-01 08:26:00,free,1.0,France\n", "line 2: price"},
		{"infinite price", head + "CUP,1,2010-12-01 08:26:00,Inf,1.0,France\n", "line 2: price"},
		{"customer", head + "CUP,1,2010-12-01 08:26:00,2.5,17850.5,France\n", "line 2: customer"},
		{"order", head + good + "CUP,1,2010-11-30 08:26:00,2.5,1.0,France\n", "line 3: 2010-11-30 08:26:00 is earlier"},
	} {
		if _, err := readString(c.in, allHeader); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", c.name, err, c.want)
		}
	}
}

func TestParseCustomer(t *testing.T) {
	for in, want := range map[string]string{"": "", "0.0": "", "0": "", "17850.0": "17850", "17850": "17850"} {
		if got, err := parseCustomer(in); err != nil || got != want {
			t.Errorf("%q: got %q, %v, want %q", in, got, err, want)
		}
	}
}
