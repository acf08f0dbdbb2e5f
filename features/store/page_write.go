package store

import (
	"encoding/binary"
	"hash/crc32"
	"math"
)

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
