package api

import (
	"strings"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/profile"
	live "github.com/attune-rec/attune/server/profile"
)

func profileToProto(f *live.Found, id string) *attunev1.Profile {
	p := f.Profile
	out := &attunev1.Profile{
		Key: f.Key.String(), User: id, Market: p.Market, First: timeToProto(p.First), Last: timeToProto(p.Last),
		RecencyDays: p.RecencyDays, Orders: int32(p.Orders), // #nosec G115 -- nobody orders so often
		Spent: p.Spent, Pieces: int64(p.Pieces), ReturnShare: p.ReturnShare, GapDays: p.GapDays, PriceLevel: p.PriceLevel,
		Lifecycle: p.Lifecycle, Categories: interestsToProto(p.Categories), Brands: interestsToProto(p.Brands),
		Words: interestsToProto(p.Words), Segments: p.Segments, Sequence: f.Seq,
	}
	for i := range p.Tags {
		t := &p.Tags[i]
		tag := &attunev1.ProfileTag{Name: t.Name, Confidence: t.Confidence, Evidence: t.Evidence, Since: timeToProto(t.Since)}
		if profile.IsMotive(t.Name) {
			out.Motives = append(out.Motives, tag)
		} else {
			out.Scenes = append(out.Scenes, tag)
		}
	}
	return out
}

func interestsToProto(list []features.Weighted) []*attunev1.Interest {
	out, room := make([]*attunev1.Interest, len(list)), make([]attunev1.Interest, len(list))
	for i, w := range list {
		out[i] = &room[i]
		out[i].Name, out[i].Weight = w.Name, w.Weight
	}
	return out
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
