package main

import "time"

// Row is one line of the data set. An empty string means that the value is
// not known.
type Row struct {
	InvoiceNo   string
	StockCode   string
	Description string
	Quantity    int32
	InvoiceDate time.Time
	UnitPrice   float64
	CustomerID  string
	Country     string
}

// isCredit says whether the row gives money back: a cancelled or returned
// position. A negative quantity without a price corrects the stock instead.
func (r *Row) isCredit() bool { return r.Quantity < 0 && r.UnitPrice > 0 }

// sameLine compares all that both input files know about a row.
func (r *Row) sameLine(o *Row) bool {
	return r.InvoiceDate.Equal(o.InvoiceDate) && r.Quantity == o.Quantity && r.UnitPrice == o.UnitPrice &&
		r.CustomerID == o.CustomerID && r.Description == o.Description && r.Country == o.Country
}
