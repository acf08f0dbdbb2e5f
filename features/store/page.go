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

// A page is events that were committed together:
//
//	1 byte     version
//	varint     number of strings, then each as length and bytes: what repeats
//	           (surface, channel, device, market, locale, currency)
//	varint     number of events, then each as
//	           varint steps of the sequence number since the event before
//	           varint mask of the fields that are there, in the order below
//	           1 byte type, zigzag milliseconds since the event before, zigzag
//	           milliseconds from time to received, and the fields of the mask
//	4 bytes    CRC-32C of all before
//
// Text and attributes stand in it as they were encrypted.
const (
	pageV1     = 1
	pageEvents = 64 // events in a page at most: what reading one of them costs
)

const (
	hasID = 1 << iota
	hasUser
	hasSession
	hasItem
	hasSurface
	hasChannel
	hasDevice
	hasMarket
	hasLocale
	hasQuantity
	hasPrice
	hasCurrency
	hasValue
	hasOrder
	hasText
	hasTarget
	hasRecommendation
	hasPosition
	hasAttributes
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// stored is an event as it lies on disk: its Text and Attributes are empty and
// stand encrypted beside it.
type stored struct {
	features.Event
	text, attributes []byte
}

// pageWriter packs events. It is reused; the zero value is ready.
type pageWriter struct {
	names  map[string]uint64
	last   [6]lastName
	dict   []byte
	body   []byte
	out    []byte
	count  uint64
	seq    int64
	timeMS int64
}

type lastName struct {
	name string
	at   uint64
	ok   bool
}

func (w *pageWriter) reset(first int64) {
	if w.names == nil {
		w.names = map[string]uint64{}
	}
	clear(w.names)
	w.last = [6]lastName{}
	w.dict, w.body = w.dict[:0], w.body[:0]
	w.count, w.seq, w.timeMS = 0, first-1, 0
}

func (w *pageWriter) add(e *stored) {
	b := w.body
	b = binary.AppendUvarint(b, uint64(e.Seq-w.seq))
	mask := maskOf(e)
	b = binary.AppendUvarint(b, mask)
	b = append(b, byte(e.Type))
	ms := e.Time.UnixMilli()
	b = binary.AppendVarint(b, ms-w.timeMS)
	b = binary.AppendVarint(b, e.Received.UnixMilli()-ms)
	w.seq, w.timeMS, w.count = e.Seq, ms, w.count+1
	if mask&hasID != 0 {
		b = appendString(b, e.ID)
	}
	if mask&hasUser != 0 {
		b = append(b, e.User[:]...)
	}
	if mask&hasSession != 0 {
		b = append(b, e.Session[:]...)
	}
	if mask&hasItem != 0 {
		b = appendString(b, e.Item)
	}
	for i, s := range [...]string{e.Surface, e.Channel, e.Device, e.Market, e.Locale} {
		if s != "" {
			b = binary.AppendUvarint(b, w.name(i, s))
		}
	}
	if mask&hasQuantity != 0 {
		b = binary.AppendVarint(b, int64(e.Quantity))
	}
	if mask&hasPrice != 0 {
		b = binary.AppendVarint(b, e.Price.Micros)
	}
	if mask&hasCurrency != 0 {
		b = binary.AppendUvarint(b, w.name(5, e.Price.Currency))
	}
	if mask&hasValue != 0 {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(e.Value))
	}
	if mask&hasOrder != 0 {
		b = appendString(b, e.Order)
	}
	if mask&hasText != 0 {
		b = appendString(b, e.text)
	}
	if mask&hasTarget != 0 {
		b = appendString(b, e.Target)
	}
	if mask&hasRecommendation != 0 {
		b = appendString(b, e.Recommendation)
	}
	if mask&hasPosition != 0 {
		b = binary.AppendVarint(b, int64(e.Position))
	}
	if mask&hasAttributes != 0 {
		b = appendString(b, e.attributes)
	}
	w.body = b
}

func maskOf(e *stored) (m uint64) {
	set := func(bit uint64, is bool) {
		if is {
			m |= bit
		}
	}
	set(hasID, e.ID != "")
	set(hasUser, !e.User.IsZero())
	set(hasSession, !e.Session.IsZero())
	set(hasItem, e.Item != "")
	set(hasSurface, e.Surface != "")
	set(hasChannel, e.Channel != "")
	set(hasDevice, e.Device != "")
	set(hasMarket, e.Market != "")
	set(hasLocale, e.Locale != "")
	set(hasQuantity, e.Quantity != 0)
	set(hasPrice, e.Price.Micros != 0)
	set(hasCurrency, e.Price.Currency != "")
	set(hasValue, e.Value != 0 || math.Signbit(e.Value))
	set(hasOrder, e.Order != "")
	set(hasText, len(e.text) > 0)
	set(hasTarget, e.Target != "")
	set(hasRecommendation, e.Recommendation != "")
	set(hasPosition, e.Position != 0)
	set(hasAttributes, len(e.attributes) > 0)
	return m
}

func appendString[S string | []byte](b []byte, s S) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// name is the number of a string that repeats; slot is the field it is of.
func (w *pageWriter) name(slot int, s string) uint64 {
	l := &w.last[slot]
	if l.ok && l.name == s {
		return l.at
	}
	at, ok := w.names[s]
	if !ok {
		at = uint64(len(w.names))
		w.names[s] = at
		w.dict = appendString(w.dict, s)
	}
	*l = lastName{s, at, true}
	return at
}

// begin begins another body with the strings that were used so far.
func (w *pageWriter) begin() {
	w.body = w.body[:0]
	w.count, w.seq, w.timeMS = 0, 0, 0
}

// bytes is the finished page, valid until the next call.
func (w *pageWriter) bytes() []byte {
	b := append(w.out[:0], pageV1)
	b = binary.AppendUvarint(b, uint64(len(w.names)))
	b = append(b, w.dict...)
	b = binary.AppendUvarint(b, w.count)
	b = append(b, w.body...)
	w.out = withChecksum(b)
	return w.out
}

func withChecksum(b []byte) []byte {
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

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
