package footer

import (
	"bufio"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/format"
	"github.com/pierrec/lz4/v4"
)

var errUnpacks = errors.New("unpacks to more than it claims, or is damaged")

const (
	slack   = 64 << 10 // what a page may claim too much, and be no harm
	lz4Most = 255      // bytes that a byte of LZ4 comes to at most
)

// unpacks reports packed bytes that come to more than they claim, or to far
// less: the reader unpacks whatever there is, and makes more and more room for
// what is damaged. Most say in their frames, or by the steps of their
// compression, what they come to; the rest is unpacked for it, into nothing.
func unpacks(codec format.CompressionCodec, packed *io.SectionReader, in *bufio.Reader, claimed int64) error {
	if codec == format.Uncompressed || packed.Size() == 0 {
		return nil
	}
	in.Reset(packed)
	var n int64
	var err error
	switch codec {
	case format.Snappy:
		var u uint64
		u, err = binary.ReadUvarint(in)
		n = int64(min(u, 1<<62))
	case format.Lz4Raw:
		n, err = lz4Length(in, claimed)
	case format.Zstd:
		if n, err = zstdLength(in, claimed); errors.Is(err, errUnsaid) {
			n, err = zstdUnpacked(packed, claimed)
		}
	case format.Gzip:
		var z *gzip.Reader
		if z, err = gzip.NewReader(in); err == nil {
			n, err = io.Copy(io.Discard, io.LimitReader(z, claimed+1))
		}
	default:
		return fmt.Errorf("is compressed by %s: write it by snappy, gzip, zstd or LZ4_RAW", codec)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errUnpacks, err)
	}
	if n > claimed {
		return errUnpacks
	}
	if claimed > 2*n+slack { // room for it would be made all the same
		return fmt.Errorf("claims %d bytes and unpacks to %d", claimed, n)
	}
	return nil
}

// lz4Length is what a block of LZ4 comes to in room for most. The reader doubles
// its room for whatever does not open, without end.
func lz4Length(in *bufio.Reader, most int64) (int64, error) {
	block, err := io.ReadAll(in)
	if err != nil {
		return 0, err
	}
	n, err := lz4.UncompressBlock(block, make([]byte, min(most, lz4Most*int64(len(block))+slack)))
	return int64(n), err
}

// A frame of Zstandard has blocks; each has a header of three bytes: whether it
// is the last, of which kind it is, and how long.
const (
	zstdHeader   = 18 // of a frame, at most
	zstdRepeated = 1  // a block of one byte, so many times
	zstdReserved = 3
)

// errUnsaid says that a frame does not say what it comes to.
var errUnsaid = errors.New("of unsaid length")

// zstdLength is what frames of Zstandard say that they come to, to which the
// reader holds them.
func zstdLength(in *bufio.Reader, most int64) (n int64, err error) {
	for n <= most {
		b, err := in.Peek(zstdHeader)
		if len(b) == 0 {
			return n, nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		var h zstd.Header
		if err := h.Decode(b); err != nil {
			return 0, err
		}
		if _, err := in.Discard(h.HeaderSize); err != nil {
			return 0, err
		}
		if h.Skippable {
			if _, err := in.Discard(int(h.SkippableSize)); err != nil {
				return 0, err
			}
			continue
		}
		if !h.HasFCS {
			return 0, errUnsaid
		}
		if err := zstdSkip(in, h.HasCheckSum); err != nil {
			return 0, err
		}
		n += int64(min(h.FrameContentSize, 1<<62-1))
	}
	return n, nil
}

// zstdSkip passes over a frame's blocks.
func zstdSkip(in *bufio.Reader, sum bool) error {
	for last := false; !last; {
		var b [3]byte
		if _, err := io.ReadFull(in, b[:]); err != nil {
			return err
		}
		h := int(b[0]) | int(b[1])<<8 | int(b[2])<<16
		kind, size := h>>1&3, h>>3
		last = h&1 == 1
		switch kind {
		case zstdReserved:
			return errors.New("a block of no kind")
		case zstdRepeated:
			size = 1
		}
		if _, err := in.Discard(size); err != nil {
			return err
		}
	}
	if !sum {
		return nil
	}
	_, err := in.Discard(4)
	return err
}

// zstdUnpacked is what frames come to; it ends past most.
func zstdUnpacked(packed *io.SectionReader, most int64) (int64, error) {
	if _, err := packed.Seek(0, io.SeekStart); err != nil {
		return 0, err
	}
	z, err := zstd.NewReader(packed, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(MaxPageBytes))
	if err != nil {
		return 0, err
	}
	defer z.Close()
	return io.Copy(io.Discard, io.LimitReader(z, most+1))
}
