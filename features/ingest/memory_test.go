package ingest

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/attune-rec/attune/features/allocated"
)

// mostOf is what a decoder may allocate for a file of some hundred bytes.
const mostOf = 32 << 20

// A file of some hundred bytes takes no more memory than it should, whatever
// length it claims anywhere in it.
func TestLengthsThatLie(t *testing.T) {
	type line struct {
		U string    `parquet:"u,dict"`
		T time.Time `parquet:"t,timestamp(millisecond)"`
		Q int32     `parquet:"q,optional"`
		P float64   `parquet:"p"`
	}
	var rows []line
	for n := range 20 {
		rows = append(rows, line{strings.Repeat("x", n), time.Unix(1e9, 0), int32(n), 4.5})
	}
	for name, codec := range map[string]parquet.WriterOption{"plain": parquet.Compression(&parquet.Uncompressed), "snappy": parquet.Compression(&parquet.Snappy), "zstd": parquet.Compression(&parquet.Zstd), "gzip": parquet.Compression(&parquet.Gzip)} {
		for version := 1; version <= 2; version++ {
			var b bytes.Buffer
			if err := parquet.Write(&b, rows, codec, parquet.DataPageVersion(version)); err != nil {
				t.Fatal(err)
			}
			good := b.Bytes()
			open := func(file []byte) {
				r, err := Parquet("x.parquet", bytes.NewReader(file), int64(len(file))).Open()
				if err != nil {
					return
				}
				drain(t, r, []string{"p", "q", "t", "u"}, 0)
				r.Close()
			}
			step := 1
			if testing.Short() {
				step = 3
			}
			for at := 0; at+5 < len(good); at += step {
				file := bytes.Clone(good)
				copy(file[at:], binary.AppendVarint(nil, 1<<31-1)) // lengths are zigzag varints
				if n := allocated.Bytes(func() { open(file) }); n > mostOf {
					t.Errorf("%s, pages of version %d, a length of 2 GiB at byte %d of %d: %d bytes are allocated, want %d at most", name, version, at, len(file), n, mostOf)
				}
			}
		}
	}
	for kind, text := range map[string]string{
		"csv": "u,t,q,p\n" + strings.Repeat("\"", 4001), "jsonl": strings.Repeat(`{"u":`, 2000), // deep
	} {
		n := allocated.Bytes(func() {
			s := &stream{under: io.NopCloser(strings.NewReader(text)), size: int64(len(text))}
			if r, err := textReader(kind, Format{}, s, s); err == nil {
				drain(t, r, []string{"p", "q", "t", "u"}, len(text)+1)
				r.Close()
			}
		})
		if n > mostOf {
			t.Errorf("%s: %d bytes are allocated, want %d at most", kind, n, mostOf)
		}
	}
}
