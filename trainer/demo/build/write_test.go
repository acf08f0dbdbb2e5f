package main

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
)

// randomRows has runs of known and unknown values of all lengths around the
// word size, across several batches of the writer.
func randomRows(n int) []Row {
	rng := rand.New(rand.NewPCG(1, 2))
	rows := make([]Row, n)
	run, empty := 0, false
	for i := range rows {
		if run--; run < 0 {
			run, empty = rng.IntN(70), !empty
		}
		rows[i] = sale("536365", "85123A", "HEART")
		rows[i].Quantity = int32(rng.IntN(100) - 50)
		rows[i].InvoiceDate = noon.Add(time.Duration(i) * time.Minute)
		if empty {
			rows[i].CustomerID, rows[i].InvoiceNo = "", ""
		}
		if rng.IntN(2) == 0 {
			rows[i].StockCode = ""
		}
		if rng.IntN(9) == 0 {
			rows[i].Description = ""
		}
	}
	return rows
}

// wordRows has one word of 64 rows for each n up to 32: n rows without a
// customer, n with one, the rest without.
func wordRows() []Row {
	rows := make([]Row, 0, 32*64)
	for n := 1; n <= 32; n++ {
		for i := range 64 {
			r := sale("536365", "85123A", "HEART")
			if i < n || i >= 2*n {
				r.CustomerID = ""
			}
			rows = append(rows, r)
		}
	}
	return rows
}

func TestWriteRowsKeepsEveryCell(t *testing.T) {
	want := append(wordRows(), randomRows(3*batchRows+17)...)
	var file bytes.Buffer
	if err := writeRows(&file, want); err != nil {
		t.Fatal(err)
	}
	r := parquet.NewGenericReader[record](bytes.NewReader(file.Bytes()))
	defer r.Close()
	got := make([]record, len(want)+1)
	n, err := r.Read(got)
	if n != len(want) || (err != nil && !errors.Is(err, io.EOF)) {
		t.Fatalf("got %d rows, %v, want %d", n, err, len(want))
	}
	same := func(got *string, want string) bool {
		return (got == nil) == (want == "") && (got == nil || *got == want)
	}
	for i := range want {
		g, w := &got[i], &want[i]
		if !same(g.InvoiceNo, w.InvoiceNo) || !same(g.StockCode, w.StockCode) || !same(g.Description, w.Description) ||
			!same(g.CustomerID, w.CustomerID) || g.Quantity != w.Quantity || g.UnitPrice != w.UnitPrice ||
			!g.InvoiceDate.Equal(w.InvoiceDate) || g.Country != w.Country {
			t.Fatalf("row %d: got %+v, want %+v", i, g, w)
		}
	}

	var again bytes.Buffer
	if err := writeRows(&again, want); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(file.Bytes(), again.Bytes()) {
		t.Error("the second run gave other bytes")
	}
}

func TestWriteFileReplacesAtOnce(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out.parquet")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	size, err := writeFile(path, randomRows(10))
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Size() != size {
		t.Errorf("got %v, %v, want a file of %d bytes", info, err, size)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("got %v, %v, want the file alone", left, err)
	}
}

func TestRunNamesTheMissingFlag(t *testing.T) {
	err := run([]string{"--sales", "a", "--all", "b"}, io.Discard, io.Discard)
	if err == nil || err.Error() != "flag --out is missing: name a file" {
		t.Errorf("got %v, want an error that names --out", err)
	}
}
