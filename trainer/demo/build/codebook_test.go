package main

import (
	"testing"
	"time"
)

func TestLookup(t *testing.T) {
	priced := func(r Row, price float64, customer string) Row {
		r.UnitPrice, r.CustomerID = price, customer
		return r
	}
	later := sale("9", "TRAY-B", "TRAY")
	later.InvoiceDate, later.CustomerID = noon.Add(time.Hour), "3"
	book := newCodeBook([]Row{
		sale("1", "CUP", "CUP"),
		sale("1", "10A", "LAMP"), sale("2", "10A", "LAMP"), sale("3", "10a", "LAMP"),
		sale("1", "S1", "SIGN"), sale("1", "S2", "SIGN "),
		priced(sale("1", "P1", "POT"), 1, "1"), priced(sale("1", "P2", "POT"), 2, "1"),
		priced(sale("1", "TRAY-A", "TRAY"), 2.5, "1"), priced(sale("2", "TRAY-B", "TRAY"), 2.5, "2"), later,
		priced(sale("1", "N", "damaged"), 0, ""),
		priced(sale("1", "M", "CUP"), 0, ""), // a stock note on another product
	})

	for _, c := range []struct {
		name, text string
		price      float64
		customer   string
		code       string
		how        decision
	}{
		{"one code, although noted under another", "CUP", 9, "", "CUP", onlyCode},
		{"outer blanks do not count", " CUP ", 9, "", "CUP", onlyCode},
		{"most frequent letter case", "LAMP", 2.5, "", "10A", letterCase},
		{"blanks decide", "SIGN ", 2.5, "", "S2", spelling},
		{"blanks of neither", " SIGN", 2.5, "", "", ambiguous},
		{"price decides", "POT", 2, "", "P2", sellingPrice},
		{"price of neither, bought both", "POT", 3, "1", "", ambiguous},
		{"earlier purchase decides", "TRAY", 2.5, "2", "TRAY-B", ownPurchase},
		{"earlier purchase at another price", "TRAY", 2.4, "1", "TRAY-A", ownPurchase},
		{"a later purchase does not count", "TRAY", 2.5, "3", "", ambiguous},
		{"no customer", "TRAY", 2.5, "", "", ambiguous},
		{"stock note", "damaged", 0, "", "", neverPriced},
		{"unknown", "VASE", 1, "1", "", unknownText},
		{"empty", "  ", 1, "1", "", noText},
	} {
		r := sale("", "", c.text)
		r.UnitPrice, r.CustomerID, r.Quantity = c.price, c.customer, -1
		if code, how := book.lookup(&r); code != c.code || how != c.how {
			t.Errorf("%s: got %q (%v), want %q (%v)", c.name, code, how, c.code, c.how)
		}
	}
}
