package main

import (
	"fmt"
	"log/slog"
	"time"
)

// rebuild reads both files and gives all rows in order of time, with the
// invoice and the code wherever the two files decide them.
func rebuild(salesPath, allPath string, log *slog.Logger) ([]Row, *counts, error) {
	sales, err := readFile(salesPath, salesHeader, log)
	if err != nil {
		return nil, nil, err
	}
	rows, err := readFile(allPath, allHeader, log)
	if err != nil {
		return nil, nil, err
	}

	matched, err := align(sales, rows)
	if err != nil {
		return nil, nil, err
	}
	log.Info("aligned", "sales", len(sales), "of", len(rows))

	c := newCounts(sales, len(rows))
	book := newCodeBook(sales)
	for i := range rows {
		r := &rows[i]
		if !matched[i] {
			var how decision
			r.StockCode, how = book.lookup(r)
			c.joined(r, how)
			if r.isCredit() && r.CustomerID != "" {
				r.InvoiceNo = creditInvoice(r.CustomerID, r.InvoiceDate)
			}
		}
		c.wrote(r)
	}
	log.Info("joined by description", "rows", len(rows)-len(sales))
	return rows, c, nil
}

// align copies invoice and code of each sales row to its twin in all, and
// reports for each row of all whether it got one. Both files keep the order
// of the original, so the sales must be a subsequence of all rows; pairing in
// order honours how often equal rows occur. A sales row without a twin is an
// error: the two files are then not of the same data set.
func align(sales, all []Row) ([]bool, error) {
	matched := make([]bool, len(all))
	next := 0
	for i := range all {
		if next < len(sales) && all[i].sameLine(&sales[next]) {
			all[i].InvoiceNo, all[i].StockCode = sales[next].InvoiceNo, sales[next].StockCode
			matched[i] = true
			next++
		}
	}
	if next < len(sales) {
		s := &sales[next]
		return nil, fmt.Errorf("sales row %d (invoice %s, code %s, %s) is not in the file of all rows",
			next+1, s.InvoiceNo, s.StockCode, s.InvoiceDate.Format(time.DateTime))
	}
	return matched, nil
}

// creditInvoice is the surrogate for the invoice number of a return, which
// neither file has: all that one customer gave back within one minute counts
// as one document. "C" marks a cancellation as in the original, and the dash
// tells the surrogate from a real number.
func creditInvoice(customer string, at time.Time) string {
	return "C" + customer + "-" + at.Format("20060102T1504")
}
