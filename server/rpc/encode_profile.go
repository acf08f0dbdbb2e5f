package rpc

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"
)

func (e *encoder) profiles(m *attunev1.BatchGetProfilesResponse) {
	for _, p := range m.GetProfiles() {
		e.open(1, sizeOfProfile(p))
		e.profile(p)
	}
}

func (e *encoder) profile(p *attunev1.Profile) {
	e.text(1, p.GetKey())
	e.text(2, p.GetUser())
	e.text(3, p.GetMarket())
	e.time(4, p.GetFirst())
	e.time(5, p.GetLast())
	e.number(6, p.GetRecencyDays())
	e.varint(7, uint64(p.GetOrders())) // #nosec G115 -- as the wire has it
	e.number(8, p.GetSpent())
	e.varint(9, uint64(p.GetPieces())) // #nosec G115 -- likewise
	e.number(10, p.GetReturnShare())
	e.number(11, p.GetGapDays())
	e.number(12, p.GetPriceLevel())
	e.text(13, p.GetLifecycle())
	e.interests(14, p.GetCategories())
	e.interests(15, p.GetBrands())
	e.interests(16, p.GetWords())
	e.tags(17, p.GetMotives())
	e.tags(18, p.GetScenes())
	for _, s := range p.GetSegments() {
		e.part(19, s)
	}
	e.varint(20, uint64(p.GetSequence())) // #nosec G115 -- likewise
	e.text(21, p.GetChannel())
	e.number(22, p.GetPriceSensitivity())
	if s := p.GetSocial(); s != nil {
		e.open(23, sizeOfSocial(s))
		e.varint(1, uint64(s.GetShares()))  // #nosec G115 -- likewise
		e.varint(2, uint64(s.GetVoices()))  // #nosec G115 -- likewise
		e.varint(3, uint64(s.GetFollows())) // #nosec G115 -- likewise
	}
	e.tags(24, p.GetStyles())
	for _, a := range p.GetAudiences() {
		e.open(25, sizeOfAudience(a))
		e.text(1, a.GetAudience())
		e.text(2, a.GetSource())
		e.time(3, a.GetSince())
		e.time(4, a.GetExpireTime())
	}
}

func (e *encoder) time(field byte, t *timestamppb.Timestamp) {
	if t == nil {
		return
	}
	e.open(field, sizeOfTime(t))
	e.varint(1, uint64(t.GetSeconds())) // #nosec G115 -- as the wire has it
	e.varint(2, uint64(t.GetNanos()))   // #nosec G115 -- likewise
}

func (e *encoder) interests(field byte, list []*attunev1.Interest) {
	for _, i := range list {
		e.open(field, sizeOfText(1, i.GetName())+sizeOfNumber(2, i.GetWeight()))
		e.text(1, i.GetName())
		e.number(2, i.GetWeight())
	}
}

func (e *encoder) tags(field byte, list []*attunev1.ProfileTag) {
	for _, t := range list {
		e.open(field, sizeOfTag(t))
		e.text(1, t.GetName())
		e.number(2, t.GetConfidence())
		e.text(3, t.GetEvidence())
		e.time(4, t.GetSince())
	}
}

func sizeOfProfiles(m *attunev1.BatchGetProfilesResponse) (n int) {
	for _, p := range m.GetProfiles() {
		n += sizeOfPart(1, sizeOfProfile(p))
	}
	return n
}

func sizeOfProfile(p *attunev1.Profile) int {
	n := sizeOfText(1, p.GetKey()) + sizeOfText(2, p.GetUser()) + sizeOfText(3, p.GetMarket()) +
		sizeOfMoment(4, p.GetFirst()) + sizeOfMoment(5, p.GetLast()) + sizeOfNumber(6, p.GetRecencyDays()) +
		sizeOfInt(7, int64(p.GetOrders())) + sizeOfNumber(8, p.GetSpent()) + sizeOfInt(9, p.GetPieces()) +
		sizeOfNumber(10, p.GetReturnShare()) + sizeOfNumber(11, p.GetGapDays()) + sizeOfNumber(12, p.GetPriceLevel()) +
		sizeOfText(13, p.GetLifecycle()) + sizeOfInterests(14, p.GetCategories()) + sizeOfInterests(15, p.GetBrands()) +
		sizeOfInterests(16, p.GetWords()) + sizeOfTags(17, p.GetMotives()) + sizeOfTags(18, p.GetScenes()) + sizeOfInt(20, p.GetSequence()) +
		sizeOfText(21, p.GetChannel()) + sizeOfNumber(22, p.GetPriceSensitivity()) + sizeOfTags(24, p.GetStyles())
	if s := p.GetSocial(); s != nil {
		n += sizeOfPart(23, sizeOfSocial(s))
	}
	for _, s := range p.GetSegments() {
		n += sizeOfPart(19, len(s))
	}
	for _, a := range p.GetAudiences() {
		n += sizeOfPart(25, sizeOfAudience(a))
	}
	return n
}

func sizeOfAudience(a *attunev1.AudienceMembership) int {
	return sizeOfText(1, a.GetAudience()) + sizeOfText(2, a.GetSource()) + sizeOfMoment(3, a.GetSince()) + sizeOfMoment(4, a.GetExpireTime())
}

func sizeOfSocial(s *attunev1.Social) int {
	return sizeOfInt(1, s.GetShares()) + sizeOfInt(2, s.GetVoices()) + sizeOfInt(3, s.GetFollows())
}

func sizeOfInterests(field byte, list []*attunev1.Interest) (n int) {
	for _, i := range list {
		n += sizeOfPart(field, sizeOfText(1, i.GetName())+sizeOfNumber(2, i.GetWeight()))
	}
	return n
}

func sizeOfTags(field byte, list []*attunev1.ProfileTag) (n int) {
	for _, t := range list {
		n += sizeOfPart(field, sizeOfTag(t))
	}
	return n
}

func sizeOfTag(t *attunev1.ProfileTag) int {
	return sizeOfText(1, t.GetName()) + sizeOfNumber(2, t.GetConfidence()) + sizeOfText(3, t.GetEvidence()) + sizeOfMoment(4, t.GetSince())
}

func sizeOfMoment(field byte, t *timestamppb.Timestamp) int {
	if t == nil {
		return 0
	}
	return sizeOfPart(field, sizeOfTime(t))
}

func sizeOfTime(t *timestamppb.Timestamp) int {
	return sizeOfInt(1, t.GetSeconds()) + sizeOfInt(2, int64(t.GetNanos()))
}
