package rpc

import (
	"math"
	"math/bits"
	"unicode/utf8"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"
)

// The answers that go out by the thousand are encoded here field by field, in
// the order of their numbers, as the library encodes them by reflection. They
// are made by the services and have no unknown fields.

// encoded is an answer on the wire; false where it is none of those, or has a
// text that must not go out.
func encoded(v any) (mem.BufferSlice, bool) {
	e := encoder{}
	switch m := v.(type) {
	case *attunev1.RecommendResponse:
		size := sizeOfRecommend(m)
		e.begin(size)
		e.recommend(m)
	case *attunev1.SimilarItemsResponse:
		size := sizeOfText(1, m.GetRelease()) + sizeOfItems(2, m.GetItems())
		e.begin(size)
		e.text(1, m.GetRelease())
		e.items(2, m.GetItems())
	case *attunev1.BatchGetProfilesResponse:
		e.begin(sizeOfProfiles(m))
		e.profiles(m)
	default:
		return nil, false
	}
	if e.bad {
		e.free()
		return nil, false
	}
	if e.pooled == nil {
		return mem.BufferSlice{mem.SliceBuffer(e.b)}, true
	}
	*e.pooled = e.b
	return mem.BufferSlice{mem.NewBuffer(e.pooled, mem.DefaultBufferPool())}, true
}

// encoder appends fields that are not at their zero value.
type encoder struct {
	b      []byte
	pooled *[]byte
	bad    bool // a text is not UTF-8
}

func (e *encoder) begin(size int) {
	if mem.IsBelowBufferPoolingThreshold(size) {
		e.b = make([]byte, 0, size)
		return
	}
	e.pooled = mem.DefaultBufferPool().Get(size)
	e.b = (*e.pooled)[:0]
}

func (e *encoder) free() {
	if e.pooled != nil {
		mem.DefaultBufferPool().Put(e.pooled)
	}
}

// tag says which field follows and how.
func (e *encoder) tag(field byte, wire protowire.Type) {
	e.b = protowire.AppendVarint(e.b, uint64(field)<<3|uint64(wire)) // #nosec G115 -- not negative
}

func (e *encoder) text(field byte, s string) {
	if s != "" {
		e.part(field, s)
	}
}

// part is one text of a list, which may be empty.
func (e *encoder) part(field byte, s string) {
	e.bad = e.bad || !utf8.ValidString(s)
	e.open(field, len(s))
	e.b = append(e.b, s...)
}

func (e *encoder) open(field byte, size int) {
	e.tag(field, protowire.BytesType)
	e.b = protowire.AppendVarint(e.b, uint64(size)) // #nosec G115 -- not negative
}

func (e *encoder) number(field byte, v float64) {
	if u := math.Float64bits(v); u != 0 {
		e.tag(field, protowire.Fixed64Type)
		e.b = protowire.AppendFixed64(e.b, u)
	}
}

func (e *encoder) varint(field byte, v uint64) {
	if v != 0 {
		e.tag(field, protowire.VarintType)
		e.b = protowire.AppendVarint(e.b, v)
	}
}

func (e *encoder) flag(field byte, v bool) {
	if v {
		e.varint(field, 1)
	}
}

func (e *encoder) recommend(m *attunev1.RecommendResponse) {
	e.text(1, m.GetRecommendationId())
	e.text(2, m.GetRelease())
	e.items(3, m.GetItems())
	e.flag(4, m.GetDegraded())
	for _, d := range m.GetDegradations() {
		e.open(5, sizeOfDegradation(d))
		e.text(1, d.GetComponent())
		e.text(2, d.GetWhy())
	}
	e.text(6, m.GetNextPageToken())
}

func (e *encoder) items(field byte, items []*attunev1.RecommendedItem) {
	for _, it := range items {
		e.open(field, sizeOfItem(it))
		e.text(1, it.GetItem())
		e.number(2, it.GetScore())
		e.text(3, it.GetSource())
		if r := it.GetReason(); r != nil {
			e.open(4, sizeOfReason(r))
			e.reason(r)
		}
		e.text(5, it.GetTitle())
		if p := it.GetPrice(); p != nil {
			e.open(6, sizeOfMoney(p))
			e.text(1, p.GetCurrency())
			e.varint(2, uint64(p.GetMicros())) // #nosec G115 -- as the wire has it
		}
		e.flag(7, it.GetSponsored())
	}
}

func (e *encoder) reason(r *attunev1.Reason) {
	e.text(1, r.GetKind())
	e.text(2, r.GetText())
	for _, v := range r.GetEvidence() {
		e.open(3, sizeOfEvidence(v))
		e.text(1, v.GetItem())
		e.text(2, v.GetEventType())
		e.number(3, v.GetContribution())
		e.text(4, v.GetName())
	}
}

func sizeOfVarint(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }

func sizeOfText(field byte, s string) int {
	if s == "" {
		return 0
	}
	return sizeOfPart(field, len(s))
}

// sizeOfPart is what a message or text within another takes with what stands
// before it.
func sizeOfPart(field byte, size int) int {
	return sizeOfField(field) + sizeOfVarint(uint64(size)) + size // #nosec G115 -- not negative
}

// sizeOfField is what the tag of a field takes.
func sizeOfField(field byte) int { return sizeOfVarint(uint64(field) << 3) }

func sizeOfNumber(field byte, v float64) int {
	if math.Float64bits(v) == 0 {
		return 0
	}
	return sizeOfField(field) + 8
}

func sizeOfInt(field byte, v int64) int {
	if v == 0 {
		return 0
	}
	return sizeOfField(field) + sizeOfVarint(uint64(v)) // #nosec G115 -- as the wire has it
}

func sizeOfFlag(field byte, v bool) int {
	if !v {
		return 0
	}
	return sizeOfField(field) + 1
}

func sizeOfRecommend(m *attunev1.RecommendResponse) int {
	n := sizeOfText(1, m.GetRecommendationId()) + sizeOfText(2, m.GetRelease()) + sizeOfItems(3, m.GetItems()) + sizeOfFlag(4, m.GetDegraded())
	for _, d := range m.GetDegradations() {
		n += sizeOfPart(5, sizeOfDegradation(d))
	}
	return n + sizeOfText(6, m.GetNextPageToken())
}

func sizeOfDegradation(d *attunev1.Degradation) int {
	return sizeOfText(1, d.GetComponent()) + sizeOfText(2, d.GetWhy())
}

func sizeOfItems(field byte, items []*attunev1.RecommendedItem) (n int) {
	for _, it := range items {
		n += sizeOfPart(field, sizeOfItem(it))
	}
	return n
}

func sizeOfItem(it *attunev1.RecommendedItem) int {
	n := sizeOfText(1, it.GetItem()) + sizeOfNumber(2, it.GetScore()) + sizeOfText(3, it.GetSource()) + sizeOfText(5, it.GetTitle()) +
		sizeOfFlag(7, it.GetSponsored())
	if r := it.GetReason(); r != nil {
		n += sizeOfPart(4, sizeOfReason(r))
	}
	if p := it.GetPrice(); p != nil {
		n += sizeOfPart(6, sizeOfMoney(p))
	}
	return n
}

func sizeOfReason(r *attunev1.Reason) int {
	n := sizeOfText(1, r.GetKind()) + sizeOfText(2, r.GetText())
	for _, v := range r.GetEvidence() {
		n += sizeOfPart(3, sizeOfEvidence(v))
	}
	return n
}

func sizeOfEvidence(v *attunev1.Evidence) int {
	return sizeOfText(1, v.GetItem()) + sizeOfText(2, v.GetEventType()) + sizeOfNumber(3, v.GetContribution()) + sizeOfText(4, v.GetName())
}

func sizeOfMoney(p *attunev1.Money) int {
	return sizeOfText(1, p.GetCurrency()) + sizeOfInt(2, p.GetMicros())
}
