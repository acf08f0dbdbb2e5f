// Package demo holds the bundled data set: UCI Online Retail, a year of a
// British gift shop, as one Parquet file inside the binary. README.md names
// the source, the licence and every change made to the data; build/ rebuilds
// the file. The package imports the standard library only.
package demo

import (
	_ "embed" // for the data set
	"io"
	"strings"
)

// Attribution is what the licence asks to show wherever the data is shown.
const Attribution = "Chen, D. (2015). Online Retail [Dataset]. UCI Machine Learning Repository. " +
	"https://doi.org/10.24432/C5BW33. CC BY 4.0. Changed: see trainer/demo/README.md."

// FileName is the base name of the data set.
const FileName = "online_retail.parquet"

//go:embed online_retail.parquet
var file string

// Open gives the Parquet file and its size in bytes. The reader needs no
// closing, is safe for concurrent use, and shares the one read-only copy.
//
// The rows are raw, in order of time, with the columns of the original:
// InvoiceNo, StockCode, Description and CustomerID (optional strings, null
// when not known), Quantity (int32), InvoiceDate (timestamp in milliseconds;
// the shop's local clock, read as UTC), UnitPrice (double, pound sterling)
// and Country (string).
func Open() (io.ReaderAt, int64) {
	return strings.NewReader(file), int64(len(file))
}
