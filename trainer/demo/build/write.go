package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"
)

// pageBytes bounds a page before compression. Large pages compress better,
// and a reader still holds only one of each column.
const pageBytes = 1 << 20

// batchRows is how many rows go to the writer at a time.
const batchRows = 4096

// writeFile writes rows to a temporary file beside path, renames it to path
// and gives its size. On an error the old file stays.
func writeFile(path string, rows []Row) (size int64, err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".tmp-*")
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			tmp.Close()
			os.Remove(tmp.Name())
			err = fmt.Errorf("write %s: %w", path, err)
		}
	}()
	buf := bufio.NewWriterSize(tmp, 1<<20)
	if err = writeRows(buf, rows); err != nil {
		return 0, err
	}
	if err = buf.Flush(); err != nil {
		return 0, err
	}
	if err = tmp.Chmod(0o644); err != nil {
		return 0, err
	}
	info, err := tmp.Stat()
	if err != nil {
		return 0, err
	}
	if err = tmp.Sync(); err != nil {
		return 0, err
	}
	if err = tmp.Close(); err != nil {
		return 0, err
	}
	return info.Size(), os.Rename(tmp.Name(), path)
}

// record is the Parquet form of a Row. What is not known is null. The
// optional columns are pointers because the library has no null for an empty
// string: it may store one as a value.
type record struct {
	InvoiceNo   *string   `parquet:"InvoiceNo,optional,dict"`
	StockCode   *string   `parquet:"StockCode,optional,dict"`
	Description *string   `parquet:"Description,optional,dict"`
	Quantity    int32     `parquet:"Quantity,dict"`
	InvoiceDate time.Time `parquet:"InvoiceDate,timestamp(millisecond),dict"`
	UnitPrice   float64   `parquet:"UnitPrice,dict"`
	CustomerID  *string   `parquet:"CustomerID,optional,dict"`
	Country     string    `parquet:"Country,dict"`
}

// recordOf gives the Parquet form of r, which it shares strings with.
func recordOf(r *Row) record {
	return record{
		InvoiceNo: known(&r.InvoiceNo), StockCode: known(&r.StockCode), Description: known(&r.Description),
		Quantity: r.Quantity, InvoiceDate: r.InvoiceDate, UnitPrice: r.UnitPrice,
		CustomerID: known(&r.CustomerID), Country: r.Country,
	}
}

// known gives s, or nil if it is empty.
func known(s *string) *string {
	if *s == "" {
		return nil
	}
	return s
}

// writeRows encodes rows as one Parquet row group. Equal rows give equal
// bytes: nothing of the clock, the build or the machine goes in.
func writeRows(out io.Writer, rows []Row) error {
	w := parquet.NewGenericWriter[record](out,
		parquet.Compression(&zstd.Codec{Level: zstd.SpeedBestCompression}),
		parquet.PageBufferSize(pageBytes),
		parquet.CreatedBy("attune trainer/demo/build", "1", "online-retail"),
		parquet.SortingWriterConfig(parquet.SortingColumns(parquet.Ascending("InvoiceDate"))),
	)
	batch := make([]record, 0, batchRows)
	for chunk := range slices.Chunk(rows, batchRows) {
		batch = batch[:0]
		for i := range chunk {
			batch = append(batch, recordOf(&chunk[i]))
		}
		if _, err := w.Write(batch); err != nil {
			return err
		}
	}
	return w.Close()
}
