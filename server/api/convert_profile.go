package api

import (
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/profile"
	live "github.com/attune-rec/attune/server/profile"
)

func profileToProto(f *live.Found, id string) *attunev1.Profile {
	return new(profileRoom).profile(f, id)
}

// profileRoom is where the messages of many profiles are, side by side: one by
// one each of them would be some fifty pieces of memory. It is of one answer.
type profileRoom struct {
	each int // profiles that are to come, about

	profiles  []attunev1.Profile
	times     []timestamppb.Timestamp
	interests []attunev1.Interest
	lists     []*attunev1.Interest
}

// take is the next n of a room, which gets place for more where it has too little.
func take[T any](room *[]T, n, more int) []T {
	if len(*room) < n {
		*room = make([]T, max(n, more))
	}
	taken := (*room)[:n:n]
	*room = (*room)[n:]
	return taken
}

func (r *profileRoom) profile(f *live.Found, id string) *attunev1.Profile {
	p := f.Profile
	out := &take(&r.profiles, 1, r.each)[0]
	out.Key, out.User, out.Market, out.First, out.Last = f.Key.String(), id, p.Market, r.time(p.First), r.time(p.Last)
	out.RecencyDays, out.Orders = p.RecencyDays, int32(p.Orders) // #nosec G115 -- nobody orders so often
	out.Spent, out.Pieces, out.ReturnShare, out.GapDays, out.PriceLevel = p.Spent, int64(p.Pieces), p.ReturnShare, p.GapDays, p.PriceLevel
	out.Lifecycle, out.Categories, out.Brands, out.Words = p.Lifecycle, r.list(p.Categories), r.list(p.Brands), r.list(p.Words)
	out.Segments, out.Sequence, out.Channel, out.PriceSensitivity = p.Segments, f.Seq, p.Channel, p.Sensitivity
	if s := p.Social; s != (features.Social{}) {
		out.Social = &attunev1.Social{Shares: int64(s.Shares), Voices: int64(s.Voices), Follows: int64(s.Follows)}
	}
	for i := range p.Tags {
		t := &p.Tags[i]
		tag := &attunev1.ProfileTag{Name: t.Name, Confidence: t.Confidence, Evidence: t.Evidence, Since: timeToProto(t.Since)}
		switch {
		case profile.IsMotive(t.Name):
			out.Motives = append(out.Motives, tag)
		case profile.IsStyle(t.Name):
			out.Styles = append(out.Styles, tag)
		default:
			out.Scenes = append(out.Scenes, tag)
		}
	}
	for _, a := range p.Audiences {
		out.Audiences = append(out.Audiences, &attunev1.AudienceMembership{
			Audience: a.Audience, Source: a.Source, Since: timeToProto(a.Since), ExpireTime: timeToProto(a.Expires),
		})
	}
	return out
}

func (r *profileRoom) time(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	out := &take(&r.times, 1, 2*r.each)[0]
	out.Seconds, out.Nanos = t.Unix(), int32(t.Nanosecond()) // #nosec G115 -- below a billion
	return out
}

func (r *profileRoom) list(list []features.Weighted) []*attunev1.Interest {
	const most = 20 // of a profile, but for words
	if len(list) == 0 {
		return nil
	}
	out, interests := take(&r.lists, len(list), most*min(r.each, 50)), take(&r.interests, len(list), most*min(r.each, 50))
	for i, w := range list {
		out[i] = &interests[i]
		out[i].Name, out[i].Weight = w.Name, w.Weight
	}
	return out
}

func interestsToProto(list []features.Weighted) []*attunev1.Interest {
	return new(profileRoom).list(list)
}

func censusToProto(c *profile.Census) *attunev1.Census {
	const overlapsNamed = 1000
	out := &attunev1.Census{Time: timeToProto(c.At), Shoppers: int64(c.Shoppers), Sizes: map[string]int64{}}
	for name, n := range c.Sizes {
		out.Sizes[name] = int64(n)
	}
	for _, o := range c.Overlaps {
		if strings.HasPrefix(o.A, "rfm:") || strings.HasPrefix(o.B, "rfm:") {
			continue // cells are many and say little beside each other
		}
		if len(out.GetOverlaps()) == overlapsNamed {
			break
		}
		out.Overlaps = append(out.Overlaps, &attunev1.Overlap{A: o.A, B: o.B, Both: int64(o.Both), Jaccard: o.Jaccard})
	}
	return out
}

func clusterToProto(c *live.Cluster) *attunev1.Cluster {
	out := &attunev1.Cluster{
		Number: int32(c.Number), Size: int64(c.Size), Rule: c.Rule, Precision: c.Precision, Recall: c.Recall, // #nosec G115 -- at most 32
	}
	for _, t := range c.Traits {
		out.Traits = append(out.Traits, &attunev1.Trait{Field: t.Field, Words: t.Words, Share: t.Share, Lift: t.Lift})
	}
	return out
}
