package api

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/types/known/emptypb"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/profile"
	"github.com/attune-rec/attune/features/store"
	live "github.com/attune-rec/attune/server/profile"
)

// Segments is SegmentService.
type Segments struct {
	attunev1.UnimplementedSegmentServiceServer
	Keeper *live.Keeper
	Users  store.Users
	Names  Names
	Tokens *Tokens
}

// UpsertSegment implements the RPC.
func (s *Segments) UpsertSegment(ctx context.Context, r *attunev1.UpsertSegmentRequest) (*attunev1.Segment, error) {
	shop, err := shopOf(r.GetShop())
	if err != nil {
		return nil, Status(err)
	}
	in := r.GetSegment()
	if in.GetRule() == "" {
		return nil, Status(fieldErrorf("segment.rule", "expected a CEL expression over profile fields: profile.orders > 3; a segment by examples is made by TrainSegment"))
	}
	if err := ownName(in.GetName()); err != nil {
		return nil, Status(err)
	}
	g := store.Group{Name: in.GetName(), Title: in.GetTitle(), Description: in.GetDescription(), Kind: store.GroupRule, Body: in.GetRule()}
	if err := s.Keeper.PutSegment(ctx, shop, g); err != nil {
		if errors.Is(err, profile.ErrSegment) {
			err = fieldErrorf("segment.rule", "%v", err)
		}
		return nil, Status(err)
	}
	return s.one(ctx, shop, g.Name)
}

// ownName refuses the names that the server gives.
func ownName(name string) error {
	for _, prefix := range []string{"cluster:", "rfm:", profile.StagePrefix} {
		if strings.HasPrefix(name, prefix) {
			return fieldErrorf("name", "names that begin with %s are given by the server: choose another", prefix)
		}
	}
	return nil
}

func (s *Segments) one(ctx context.Context, shop features.ShopID, name string) (*attunev1.Segment, error) {
	g, err := s.Keeper.Segment(ctx, shop, name)
	if err != nil {
		return nil, Status(err)
	}
	sizes, err := s.Keeper.Sizes(ctx, shop)
	if err != nil {
		return nil, Status(err)
	}
	out, err := segmentToProto(&g, sizes)
	return out, Status(err)
}

func segmentToProto(g *store.Group, sizes map[string]int) (*attunev1.Segment, error) {
	out := &attunev1.Segment{
		Name: g.Name, Title: g.Title, Description: g.Description, Size: -1, CreateTime: timeToProto(g.Created), UpdateTime: timeToProto(g.Updated),
	}
	if sizes != nil {
		out.Size = int64(sizes[g.Name])
	}
	switch g.Kind {
	case store.GroupRule:
		out.Rule = g.Body
	case store.GroupCluster:
		n, err := strconv.ParseInt(g.Body, 10, 32)
		if err != nil {
			return nil, err
		}
		out.Cluster = int32(n)
	case store.GroupClassifier:
		var c profile.Classifier
		if err := json.Unmarshal([]byte(g.Body), &c); err != nil {
			return nil, err
		}
		out.Classifier = &attunev1.Classifier{
			Examples: int32(c.Examples), Auc: c.AUC, Precision: c.Precision, Recall: c.Recall, Weights: interestsToProto(c.Weights()), // #nosec G115 -- at most 100,000
		}
	}
	return out, nil
}

// TrainSegment implements the RPC.
func (s *Segments) TrainSegment(ctx context.Context, r *attunev1.TrainSegmentRequest) (*attunev1.Segment, error) {
	shop, err := shopOf(r.GetShop())
	if err != nil {
		return nil, Status(err)
	}
	if err := ownName(r.GetName()); err != nil {
		return nil, Status(err)
	}
	examples := make([]features.UserKey, len(r.GetUsers()))
	for i, id := range r.GetUsers() {
		if examples[i], err = person(ctx, s.Names, shop, id); err != nil {
			return nil, Status(err)
		}
	}
	if _, err := s.Keeper.Train(ctx, shop, r.GetName(), r.GetTitle(), examples); err != nil {
		if errors.Is(err, profile.ErrSegment) {
			err = fieldErrorf("users", "%v", err)
		}
		return nil, Status(err)
	}
	return s.one(ctx, shop, r.GetName())
}

// DiscoverSegments implements the RPC.
func (s *Segments) DiscoverSegments(ctx context.Context, r *attunev1.DiscoverSegmentsRequest) (*attunev1.DiscoverSegmentsResponse, error) {
	shop, err := shopOf(r.GetShop())
	if err != nil {
		return nil, Status(err)
	}
	least := limitOf(r.GetLeast(), 4)
	most := limitOf(r.GetMost(), int32(max(8, least))) // #nosec G115 -- at most 32
	if least < 2 || most < least {
		return nil, Status(fieldErrorf("most", "expected at least 2 groups, and no fewer at most than at least: got %d to %d", least, most))
	}
	d, err := s.Keeper.Discover(ctx, shop, least, most, r.GetKeep())
	if err != nil {
		return nil, Status(err)
	}
	out := &attunev1.DiscoverSegmentsResponse{Silhouette: d.Silhouette, Shoppers: int64(d.Shoppers)}
	for i := range d.Clusters {
		out.Clusters = append(out.Clusters, clusterToProto(&d.Clusters[i]))
	}
	return out, nil
}

// GetSegment implements the RPC.
func (s *Segments) GetSegment(ctx context.Context, r *attunev1.GetSegmentRequest) (*attunev1.Segment, error) {
	shop, err := shopOf(r.GetShop())
	if err != nil {
		return nil, Status(err)
	}
	return s.one(ctx, shop, r.GetName())
}

// ListSegments implements the RPC.
func (s *Segments) ListSegments(ctx context.Context, r *attunev1.ListSegmentsRequest) (*attunev1.ListSegmentsResponse, error) {
	shop, err := shopOf(r.GetShop())
	if err != nil {
		return nil, Status(err)
	}
	groups, err := s.Keeper.Segments(ctx, shop)
	if err != nil {
		return nil, Status(err)
	}
	sizes, err := s.Keeper.Sizes(ctx, shop)
	if err != nil {
		return nil, Status(err)
	}
	var after string
	page, err := s.Tokens.Page(r, "segments/"+string(shop), 100, &after)
	if err != nil {
		return nil, Status(err)
	}
	out := &attunev1.ListSegmentsResponse{}
	begun := after == ""
	for i := range groups {
		if !begun {
			begun = groups[i].Name == after
			continue
		}
		if len(out.GetSegments()) == page.Size {
			if out.NextPageToken, err = page.Next(groups[i-1].Name); err != nil {
				return nil, Status(err)
			}
			break
		}
		one, err := segmentToProto(&groups[i], sizes)
		if err != nil {
			return nil, Status(err)
		}
		out.Segments = append(out.Segments, one)
	}
	return out, nil
}

// DeleteSegment implements the RPC.
func (s *Segments) DeleteSegment(ctx context.Context, r *attunev1.DeleteSegmentRequest) (*emptypb.Empty, error) {
	shop, err := shopOf(r.GetShop())
	if err != nil {
		return nil, Status(err)
	}
	if err := s.Keeper.DeleteSegment(ctx, shop, r.GetName()); err != nil {
		return nil, Status(err)
	}
	return &emptypb.Empty{}, nil
}

// GetGrid implements the RPC.
func (s *Segments) GetGrid(ctx context.Context, r *attunev1.GetGridRequest) (*attunev1.Grid, error) {
	shop, err := shopOf(r.GetShop())
	if err != nil {
		return nil, Status(err)
	}
	grid, cells, err := s.Keeper.Grid(ctx, shop)
	if err != nil {
		return nil, Status(err)
	}
	out := &attunev1.Grid{RecencyDays: grid.Recency[:], Orders: grid.Frequency[:], Spent: grid.Money[:]}
	for _, name := range live.CellNames(cells) {
		digit := func(i int) int32 { return int32(name[len("rfm:")+i] - '0') }
		out.Cells = append(out.Cells, &attunev1.GridCell{
			Name: name, Recency: digit(0), Frequency: digit(1), Money: digit(2), Size: int64(cells[name]),
		})
	}
	return out, nil
}

// CountSegments implements the RPC.
func (s *Segments) CountSegments(ctx context.Context, r *attunev1.CountSegmentsRequest) (*attunev1.CountSegmentsResponse, error) {
	shop, err := shopOf(r.GetShop())
	if err != nil {
		return nil, Status(err)
	}
	now, err := s.Keeper.Count(ctx, shop)
	if err != nil {
		return nil, Status(err)
	}
	out := &attunev1.CountSegmentsResponse{Now: censusToProto(&now)}
	if r.GetHistory() == 0 {
		return out, nil
	}
	past, err := s.Keeper.Past(ctx, shop, int(r.GetHistory()))
	if err != nil {
		return nil, Status(err)
	}
	for i := range past {
		out.History = append(out.History, censusToProto(&past[i]))
	}
	return out, nil
}

// StreamMembers implements the RPC.
func (s *Segments) StreamMembers(r *attunev1.StreamMembersRequest, stream attunev1.SegmentService_StreamMembersServer) error {
	ctx := stream.Context()
	shop, err := shopOf(r.GetShop())
	if err != nil {
		return Status(err)
	}
	stage, staged := strings.CutPrefix(r.GetName(), profile.StagePrefix)
	switch {
	case staged && !slices.Contains(profile.Stages(), stage):
		return Status(fieldErrorf("name", "%q is no stage of the lifecycle: expected one of %s", stage, strings.Join(profile.Stages(), ", ")))
	case !staged && !strings.HasPrefix(r.GetName(), "rfm:"):
		if _, err := s.Keeper.Segment(ctx, shop, r.GetName()); err != nil {
			return Status(err)
		}
	}
	return Status(s.Keeper.Members(ctx, shop, r.GetName(), features.Marketing, func(f live.Found) error {
		id, err := ownID(ctx, s.Users, shop, f.Key)
		if err != nil {
			return err
		}
		return stream.Send(&attunev1.Member{Key: f.Key.String(), User: id})
	}))
}
