package footer

import (
	"bufio"
	"bytes"
	"io"
	"math/rand/v2"
	"testing"

	klauspost "github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/compress"
	"github.com/parquet-go/parquet-go/compress/gzip"
	"github.com/parquet-go/parquet-go/compress/lz4"
	"github.com/parquet-go/parquet-go/compress/snappy"
	"github.com/parquet-go/parquet-go/compress/zstd"
	"github.com/parquet-go/parquet-go/format"
)

func packs(codec format.CompressionCodec, packed []byte, claimed int) error {
	return unpacks(codec, io.NewSectionReader(bytes.NewReader(packed), 0, int64(len(packed))), bufio.NewReaderSize(nil, packedWindow), int64(claimed))
}

// What the reader's own codecs packed is let in at its length and above, and not
// below; and no damage to it makes more of it than was claimed.
func TestUnpacks(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	refused := 0
	codecs := map[format.CompressionCodec]compress.Codec{
		format.Snappy: &snappy.Codec{}, format.Lz4Raw: &lz4.Codec{}, format.Zstd: &zstd.Codec{}, format.Gzip: &gzip.Codec{},
	}
	for name, codec := range codecs {
		for _, size := range []int{1, 2, 20, 300, 5_000, 400_000} {
			for _, letters := range []int{1, 4, 256} { // that repeat much, some, and not
				plain := make([]byte, size)
				for i := range plain {
					plain[i] = byte(random.IntN(letters))
				}
				packed, err := codec.Encode(nil, plain)
				if err != nil {
					t.Fatal(err)
				}
				if err := packs(name, packed, size); err != nil {
					t.Errorf("%s, %d bytes of %d letters: %v", name, size, letters, err)
				}
				if err := packs(name, packed, size-1); err == nil {
					t.Errorf("%s, %d bytes of %d letters are let in as %d", name, size, letters, size-1)
				}
				if err := packs(name, packed, 2*size+slack+1); err == nil {
					t.Errorf("%s, %d bytes of %d letters are let in as twice as much and more", name, size, letters)
				}
				if name != format.Lz4Raw {
					continue
				}
				for range 50 { // what is let in must open: the reader tries the rest for ever
					damaged := bytes.Clone(packed[:1+random.IntN(len(packed))])
					damaged[random.IntN(len(damaged))] ^= byte(random.IntN(256))
					if packs(name, damaged, size) != nil {
						refused++
						continue
					}
					if _, err := codec.Decode(nil, damaged); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
	if refused == 0 {
		t.Error("no damage was refused: the test is blind")
	}
	if err := packs(format.Brotli, []byte{1}, 10); err == nil {
		t.Error("what cannot be told of is let in")
	}
}

// A frame that does not say what it comes to is unpacked to see.
func TestUnpacksUnsaid(t *testing.T) {
	var out bytes.Buffer
	w, err := klauspost.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	for range 4 {
		if _, err := w.Write(make([]byte, 300_000)); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := packs(format.Zstd, out.Bytes(), 1_200_000); err != nil {
		t.Error(err)
	}
	if err := packs(format.Zstd, out.Bytes(), 1_199_999); err == nil {
		t.Error("1,200,000 bytes are let in as one less")
	}
}
