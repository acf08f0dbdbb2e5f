package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"time"

	"github.com/attune-rec/attune/features"
)

// pageReader unpacks a page event by event. The strings of the events share a
// copy of the page when it is opened whole, and have memory of their own when
// only some are read of it.
type pageReader struct {
	shop   features.ShopID
	in     string
	raw    []byte
	at     int
	names  []string
	left   uint64
	seq    int64
	timeMS int64
	bad    bool
}

// open begins to read the page whose first event may be numbered first.
func (r *pageReader) open(shop features.ShopID, first int64, page []byte) error {
	return r.begin(shop, first, page, true)
}

// openSome is open for few of the page's events: page may be reused after the
// last was read.
func (r *pageReader) openSome(shop features.ShopID, first int64, page []byte) error {
	return r.begin(shop, first, page, false)
}

func (r *pageReader) begin(shop features.ShopID, first int64, page []byte, whole bool) error {
	if len(page) < 5 || page[0] != pageV1 {
		return fmt.Errorf("%w: page %d of shop %s has no known form", ErrCorrupt, first, shop)
	}
	body := page[:len(page)-4]
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(page[len(body):]) {
		return fmt.Errorf("%w: page %d of shop %s has a wrong checksum", ErrCorrupt, first, shop)
	}
	*r = pageReader{shop: shop, raw: body, at: 1, names: r.names[:0], seq: first - 1}
	if whole {
		r.in = string(body)
	}
	n := r.uvarint()
	for ; n > 0 && !r.bad; n-- {
		r.names = append(r.names, r.string())
	}
	r.left = r.uvarint()
	return r.err()
}

// openBody begins to read a body of n events that was begun with the strings
// names. What the events hold is taken from body, which must not change.
func (r *pageReader) openBody(shop features.ShopID, names []string, n int, body []byte) {
	*r = pageReader{shop: shop, raw: body, names: names, left: uint64(n)}
}

// skip goes past the next event; false at the end and when the page is corrupt.
func (r *pageReader) skip() bool {
	if r.left == 0 || r.bad {
		return false
	}
	r.left--
	r.seq += int64(r.uvarint())
	mask := r.uvarint()
	r.take(1)
	r.timeMS += r.varint()
	r.uvarint()
	for bit := uint64(hasID); bit <= hasAttributes; bit <<= 1 {
		switch {
		case mask&bit == 0:
		case bit == hasUser, bit == hasSession:
			r.take(uint64(len(features.UserKey{})))
		case bit == hasValue:
			r.take(8)
		case bit&(hasID|hasItem|hasOrder|hasText|hasTarget|hasRecommendation|hasAttributes) != 0:
			r.take(r.uvarint())
		default:
			r.uvarint()
		}
	}
	return !r.bad
}

// peek is the number of the next event, which there must be.
func (r *pageReader) peek() int64 {
	at, bad := r.at, r.bad
	seq := r.seq + int64(r.uvarint())
	r.at, r.bad = at, bad
	return seq
}

// next reads the next event into e; false at the end and when the page is
// corrupt, which err tells apart.
func (r *pageReader) next(e *stored) bool {
	if r.left == 0 || r.bad {
		return false
	}
	r.left--
	r.seq += int64(r.uvarint())
	mask := r.uvarint()
	*e = stored{Event: features.Event{Shop: r.shop, Seq: r.seq, Type: features.EventType(r.byte())}}
	r.timeMS += r.varint()
	e.Time = time.UnixMilli(r.timeMS).UTC()
	e.Received = time.UnixMilli(r.timeMS + r.varint()).UTC()
	if mask&hasID != 0 {
		e.ID = r.string()
	}
	if mask&hasUser != 0 {
		r.key(&e.User)
	}
	if mask&hasSession != 0 {
		r.key(&e.Session)
	}
	if mask&hasItem != 0 {
		e.Item = r.string()
	}
	if mask&(hasSurface|hasChannel|hasDevice|hasMarket|hasLocale) != 0 {
		for i, s := range [...]*string{&e.Surface, &e.Channel, &e.Device, &e.Market, &e.Locale} {
			if mask&(hasSurface<<i) != 0 {
				*s = r.name()
			}
		}
	}
	if mask&hasQuantity != 0 {
		e.Quantity = int32(r.varint())
	}
	if mask&hasPrice != 0 {
		e.Price.Micros = r.varint()
	}
	if mask&hasCurrency != 0 {
		e.Price.Currency = r.name()
	}
	if mask&hasValue != 0 {
		e.Value = r.float()
	}
	if mask&hasOrder != 0 {
		e.Order = r.string()
	}
	if mask&hasText != 0 {
		e.text = r.bytes()
	}
	if mask&hasTarget != 0 {
		e.Target = r.string()
	}
	if mask&hasRecommendation != 0 {
		e.Recommendation = r.string()
	}
	if mask&hasPosition != 0 {
		e.Position = int32(r.varint())
	}
	if mask&hasAttributes != 0 {
		e.attributes = r.bytes()
	}
	return !r.bad
}

func (r *pageReader) err() error {
	if r.bad {
		return fmt.Errorf("%w: a page of shop %s ends within event %d", ErrCorrupt, r.shop, r.seq)
	}
	return nil
}

func (r *pageReader) uvarint() uint64 {
	v, n := binary.Uvarint(r.raw[r.at:])
	if n <= 0 {
		r.bad, r.at = true, len(r.raw)
		return 0
	}
	r.at += n
	return v
}

func (r *pageReader) varint() int64 {
	u := r.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

func (r *pageReader) take(n uint64) (from int, ok bool) {
	if n > uint64(len(r.raw)-r.at) {
		r.bad, r.at = true, len(r.raw)
		return 0, false
	}
	from = r.at
	r.at += int(n)
	return from, true
}

func (r *pageReader) byte() byte {
	if at, ok := r.take(1); ok {
		return r.raw[at]
	}
	return 0
}

func (r *pageReader) string() string {
	n := r.uvarint()
	if at, ok := r.take(n); ok {
		if r.in == "" {
			return string(r.raw[at:r.at])
		}
		return r.in[at:r.at]
	}
	return ""
}

func (r *pageReader) bytes() []byte {
	n := r.uvarint()
	if at, ok := r.take(n); ok {
		if r.in == "" {
			return bytes.Clone(r.raw[at:r.at])
		}
		return r.raw[at:r.at:r.at]
	}
	return nil
}

func (r *pageReader) key(k *features.UserKey) {
	if at, ok := r.take(uint64(len(k))); ok {
		copy(k[:], r.raw[at:])
	}
}

func (r *pageReader) float() float64 {
	if at, ok := r.take(8); ok {
		return math.Float64frombits(binary.LittleEndian.Uint64(r.raw[at:]))
	}
	return 0
}

func (r *pageReader) name() string {
	n := r.uvarint()
	if n >= uint64(len(r.names)) {
		r.bad = true
		return ""
	}
	return r.names[n]
}
