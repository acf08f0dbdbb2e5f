package footer

import (
	"bufio"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// The most that one page may hold. Writers make pages of about a megabyte.
const (
	MaxPageBytes  = 256 << 20 // unpacked
	MaxPageValues = 16 << 20
)

// How much of a page's header, and of what is packed in it, is read at once.
const (
	window       = 4096
	packedWindow = 32 << 10
)

// Pages reports pages that claim more than they can have: more packed bytes than
// their column has left, unpacked more than is let in, or less than they come
// to. A reader makes room for what a page claims before it looks at it, and for
// whatever it comes to, so that some hundred bytes could take gigabytes. A column
// whose pages do not have the values that it claims is reported too. It reads
// the headers of the pages and of what is packed in them, not what they hold.
func Pages(in io.ReaderAt, size int64, m *format.FileMetaData) error {
	for g := range m.RowGroups {
		for c := range m.RowGroups[g].Columns {
			column := &m.RowGroups[g].Columns[c].MetaData
			if err := pages(in, size, column); err != nil {
				return fmt.Errorf("column %v, row group %d: %w", column.PathInSchema, g, err)
			}
		}
	}
	return nil
}

func pages(in io.ReaderAt, size int64, c *format.ColumnMetaData) error {
	at := c.DataPageOffset
	if d := c.DictionaryPageOffset; d != 0 {
		at = d
	}
	if at < 0 || c.TotalCompressedSize < 0 || at > size || c.TotalCompressedSize > size-at {
		return fmt.Errorf("claims bytes %d to %d of a file of %d", at, at+c.TotalCompressedSize, size)
	}
	end := at + c.TotalCompressedSize
	buffered, packedIn := bufio.NewReaderSize(nil, window), bufio.NewReaderSize(nil, packedWindow)
	var held int64
	for at < end {
		l := newLimited(io.NewSectionReader(in, at, end-at), buffered)
		header := new(format.PageHeader)
		if err := thrift.NewDecoder(l).Decode(header); err != nil {
			return fmt.Errorf("page at byte %d: %w", at, err)
		}
		read, err := l.read()
		if err != nil {
			return err
		}
		at += read
		values := max(header.DataPageHeader.V.NumValues, header.DataPageHeaderV2.V.NumValues, header.DataPageHeaderV2.V.NumRows, header.DictionaryPageHeader.V.NumValues)
		levels := int64(header.DataPageHeaderV2.V.RepetitionLevelsByteLength) + int64(header.DataPageHeaderV2.V.DefinitionLevelsByteLength)
		packed := int64(header.CompressedPageSize)
		switch {
		case packed < 0 || packed > end-at || levels < 0 || levels > packed:
			return fmt.Errorf("page at byte %d claims %d bytes and has %d at most", at, max(packed, levels), end-at)
		case header.UncompressedPageSize > MaxPageBytes || values > MaxPageValues:
			return fmt.Errorf("page at byte %d has %d bytes and %d values: write pages of %d bytes and %d values at most", at, header.UncompressedPageSize, values, MaxPageBytes, MaxPageValues)
		}
		if v2 := header.DataPageHeaderV2; !v2.Valid || !v2.V.IsCompressed.Valid || v2.V.IsCompressed.V {
			// What tells levels stands before, unpacked.
			if err := unpacks(c.Codec, io.NewSectionReader(in, at+levels, packed-levels), packedIn, int64(header.UncompressedPageSize)); err != nil {
				return fmt.Errorf("page at byte %d %w", at, err)
			}
		}
		at += packed
		held += int64(header.DataPageHeader.V.NumValues) + int64(header.DataPageHeaderV2.V.NumValues)
	}
	if held != c.NumValues {
		return fmt.Errorf("claims %d values, its pages %d", c.NumValues, held)
	}
	return nil
}
