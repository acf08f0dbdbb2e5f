package main

import (
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2011, 3, 1, 12, 0, 0, 0, time.UTC)

// sale is a plain sales row of customer 12345, sold at noon for 2.50.
func sale(invoice, code, text string) Row {
	return Row{
		InvoiceNo: invoice, StockCode: code, Description: text, Quantity: 1,
		InvoiceDate: noon, UnitPrice: 2.5, CustomerID: "12345", Country: "France",
	}
}

// bare is r as the all-rows file has it.
func bare(r Row) Row {
	r.InvoiceNo, r.StockCode = "", ""
	return r
}

func TestAlignHonoursOrderAndMultiplicity(t *testing.T) {
	sales := []Row{sale("1", "A", "CUP"), sale("1", "B", "CUP"), sale("2", "C", "LAMP")}
	back := bare(sale("", "", "CUP"))
	back.Quantity = -1
	all := []Row{bare(sales[0]), back, bare(sales[1]), bare(sales[2]), bare(sales[2])}

	matched, err := align(sales, all)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"A", "", "B", "C", ""}
	for i, code := range want {
		if all[i].StockCode != code || matched[i] != (code != "") {
			t.Errorf("row %d: got code %q, matched %v, want %q", i, all[i].StockCode, matched[i], code)
		}
	}
}

func TestAlignRefusesFilesThatDoNotBelongTogether(t *testing.T) {
	sales := []Row{sale("1", "A", "CUP"), sale("2", "B", "LAMP")}
	all := []Row{bare(sales[1]), bare(sales[0])}
	_, err := align(sales, all)
	if err == nil || !strings.Contains(err.Error(), "sales row 2 (invoice 2, code B") {
		t.Errorf("got %v, want an error that names sales row 2", err)
	}
}

func TestCreditInvoiceIsOnePerCustomerAndMinute(t *testing.T) {
	got := creditInvoice("12345", noon)
	if want := "C12345-20110301T1200"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if other := creditInvoice("12345", noon.Add(time.Minute)); other == got {
		t.Errorf("got %s for two minutes", got)
	}
}
