package store

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"hash/fnv"
	"math"
	"time"

	"github.com/attune-rec/attune/features"
)

// mostAnswers is how many records one batch has at most.
const mostAnswers = 2048

// answersV1 is the form of a batch's body:
//
//	1 byte     version
//	varint     number of strings, then each as length and bytes: what repeats
//	           (surface, market, release, sources)
//	varint     number of records, then each as
//	           its id; zigzag milliseconds since the record before; surface,
//	           market and release by number; the page's item; the number of
//	           items in the cart and each of them; the number of items, and of
//	           each its id, its source by number, score and propensity as
//	           little-endian float32
//	4 bytes    CRC-32C of all before
//
// Texts have their length before them; an item's place is its position.
const answersV1 = 1

// batch is records of answers as they are stored, in one row.
type batch struct {
	id          int64
	first, last int64 // Unix milliseconds of the oldest and the newest
	subject     []byte
	body        []byte
}

// packAnswers is a batch of at least one record.
func packAnswers(records []Served) batch {
	b := batch{first: math.MaxInt64, last: math.MinInt64, subject: make([]byte, 0, 2*len(features.UserKey{})*len(records))}
	names := map[string]uint64{}
	var dict []byte
	name := func(s string) uint64 {
		at, ok := names[s]
		if !ok {
			at = uint64(len(names))
			names[s] = at
			dict = appendString(dict, s)
		}
		return at
	}
	body, before := make([]byte, 0, 256*len(records)), int64(0)
	for i := range records {
		r := &records[i]
		ms := r.Time.UnixMilli()
		b.first, b.last = min(b.first, ms), max(b.last, ms)
		b.subject = append(append(b.subject, r.User[:]...), r.Session[:]...)
		body = appendString(body, r.Recommendation)
		body = binary.AppendVarint(body, ms-before)
		before = ms
		for _, s := range [...]string{r.Surface, r.Market, r.Release} {
			body = binary.AppendUvarint(body, name(s))
		}
		body = appendString(body, r.Page)
		body = binary.AppendUvarint(body, uint64(len(r.Cart)))
		for _, item := range r.Cart {
			body = appendString(body, item)
		}
		body = binary.AppendUvarint(body, uint64(len(r.Items)))
		for k := range r.Items {
			it := &r.Items[k]
			body = appendString(body, it.Item)
			body = binary.AppendUvarint(body, name(it.Source))
			body = binary.LittleEndian.AppendUint32(body, math.Float32bits(it.Score))
			body = binary.LittleEndian.AppendUint32(body, math.Float32bits(it.Propensity))
		}
	}
	out := make([]byte, 0, len(dict)+len(body)+32)
	out = binary.AppendUvarint(append(out, answersV1), uint64(len(names)))
	out = append(out, dict...)
	out = binary.AppendUvarint(out, uint64(len(records)))
	b.body = withChecksum(append(out, body...))
	return b
}

// nameOf is the same for the same records only, as good as surely.
func nameOf(records []Served) int64 {
	h := fnv.New64a()
	for i := range records {
		_, _ = h.Write([]byte(records[i].Recommendation))
		_, _ = h.Write([]byte{0})
	}
	return int64(h.Sum64()) // #nosec G115 -- its bits
}

// unpack appends the batch's records to dst.
func (b *batch) unpack(dst []Served) ([]Served, error) {
	bad := func(why string) ([]Served, error) {
		return dst, fmt.Errorf("%w: batch %d of answers %s", ErrCorrupt, b.id, why)
	}
	if len(b.body) < 5 || b.body[0] != answersV1 {
		return bad("has no known form")
	}
	raw := b.body[:len(b.body)-4]
	if crc32.Checksum(raw, castagnoli) != binary.LittleEndian.Uint32(b.body[len(raw):]) {
		return bad("has a wrong checksum")
	}
	r := pageReader{raw: raw, at: 1} // a text that outlives the others has memory of its own
	for n := r.uvarint(); n > 0 && !r.bad; n-- {
		r.names = append(r.names, r.string())
	}
	const key = len(features.UserKey{})
	n := r.uvarint()
	if r.bad || n > uint64(len(raw)) || n*2*uint64(key) != uint64(len(b.subject)) {
		return bad("has not as many records as it says")
	}
	ms := int64(0)
	for i := range int(n) { // #nosec G115 -- at most the length
		var s Served
		copy(s.User[:], b.subject[2*i*key:])
		copy(s.Session[:], b.subject[(2*i+1)*key:])
		s.Recommendation = r.string()
		ms += r.varint()
		s.Time = time.UnixMilli(ms).UTC()
		s.Surface, s.Market, s.Release = r.name(), r.name(), r.name()
		s.Page = r.string()
		for n := r.uvarint(); n > 0 && !r.bad; n-- {
			s.Cart = append(s.Cart, r.string())
		}
		for n := r.uvarint(); n > 0 && !r.bad; n-- {
			it := ServedItem{Item: r.string(), Source: r.name()}
			it.Score, it.Propensity = r.float32(), r.float32()
			s.Items = append(s.Items, it)
		}
		if r.bad {
			return bad("ends early")
		}
		dst = append(dst, s)
	}
	return dst, nil
}
