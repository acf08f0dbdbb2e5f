package main

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// root is the repository root, seen from this package.
const root = "../../.."

// sources gives the two input files. They are no part of the repository;
// without them, or with -short, the test is skipped.
func sources(t *testing.T) (sales, all string) {
	t.Helper()
	if testing.Short() {
		t.Skip("reads a million rows: left out with -short")
	}
	data := os.Getenv("ATTUNE_PUBLIC_DATA")
	if data == "" {
		data = filepath.Join(root, "..", "shared", "data")
	}
	sales = filepath.Join(data, "online-retail", "online_retail_sales.csv.xz")
	all = filepath.Join(data, "online-retail", "online_retail_all_noids.csv.xz")
	for _, name := range []string{sales, all} {
		if _, err := os.Stat(name); err != nil {
			t.Skipf("no source data: %v; set ATTUNE_PUBLIC_DATA to the folder that has online-retail/", err)
		}
	}
	return sales, all
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func TestRebuildGivesTheCommittedFile(t *testing.T) {
	sales, all := sources(t)
	want, err := os.ReadFile("../online_retail.parquet")
	if err != nil {
		t.Fatal(err)
	}
	rows, c, err := rebuild(sales, all, quiet())
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := writeRows(&got, rows); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("got %d bytes that differ from the %d of online_retail.parquet: run the build command of the README and look at its table", got.Len(), len(want))
	}

	for _, f := range []struct {
		what      string
		got, want int
	}{
		{"sales rows", c.sales, 531_282},
		{"all rows", c.all, 541_909},
		{"descriptions", c.texts, 4_065},
		{"descriptions with several codes", c.manyCodes, 151},
		{"negative quantities", c.negative, 10_624},
		{"negative quantities with a customer", c.returns, 8_905},
		{"of these, description with one code", c.returnsOne, 8_371},
		{"of these, description with several codes", c.returnsMany, 425},
		{"of these, description unknown", c.returnsNone, 109},
		{"credits", c.credits, 9_288},
		{"surrogate invoices", c.surrogates, 8_905},
		{"empty invoice", c.emptyInvoice, 1_722},
		{"empty code", c.emptyCode, 1_450},
		{"empty description", c.emptyDescription, 1_454},
		{"empty customer", c.emptyCustomer, 135_080},
		{"ambiguous", c.byDecision[ambiguous], 2},
	} {
		if f.got != f.want {
			t.Errorf("%s: got %d, want %d", f.what, f.got, f.want)
		}
	}
	joined := 0
	for _, n := range c.byDecision {
		joined += n
	}
	if joined != c.all-c.sales {
		t.Errorf("got %d decisions for %d rows outside the sales file", joined, c.all-c.sales)
	}
}

// TestRulesFindHiddenCodes measures the rules where the truth is known: the
// codes of every second invoice are hidden and looked up in a book of the
// other half.
func TestRulesFindHiddenCodes(t *testing.T) {
	path, _ := sources(t)
	sales, err := readFile(path, salesHeader, quiet())
	if err != nil {
		t.Fatal(err)
	}
	var shown, hidden []Row
	for _, r := range sales {
		if last := r.InvoiceNo[len(r.InvoiceNo)-1]; last%2 == 0 {
			shown = append(shown, r)
		} else if r.UnitPrice > 0 && r.CustomerID != "" {
			hidden = append(hidden, r)
		}
	}
	book := newCodeBook(shown)
	var asked, right [decisionCount]int
	for i := range hidden {
		code, how := book.lookup(&hidden[i])
		asked[how]++
		// Letter case is not decided: one of two spellings stands for both.
		if strings.EqualFold(code, hidden[i].StockCode) {
			right[how]++
		}
	}
	for d := range decisionCount {
		t.Logf("%-36s rows %6d right %6d", d, asked[d], right[d])
	}
	one, several := [2]int{}, [2]int{}
	for _, d := range []decision{onlyCode, letterCase} {
		one[0], one[1] = one[0]+asked[d], one[1]+right[d]
	}
	for _, d := range []decision{spelling, sellingPrice, ownPurchase} {
		several[0], several[1] = several[0]+asked[d], several[1]+right[d]
	}
	if one[0] < 100_000 || one[1]*1000 < one[0]*999 {
		t.Errorf("one code: got %d of %d right, want 99.9 %% of at least 100,000", one[1], one[0])
	}
	if several[0] < 500 || several[1]*100 < several[0]*99 {
		t.Errorf("one of several codes: got %d of %d right, want 99 %% of at least 500", several[1], several[0])
	}
}
