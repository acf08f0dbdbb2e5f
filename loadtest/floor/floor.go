// Package floor is the least that a server of the API can cost: grpc-go as it
// comes, with nothing around the methods, answering one message that was made
// before and has the size of a real answer. What a server takes beyond it is
// its own.
//
// It imports proto. Start reading at New.
package floor

import (
	"context"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"
)

// New returns a server that answers Recommend, SimilarItems and ListItems; the
// first two with limit items, and counted.
func New(limit int, calls *prometheus.CounterVec) *grpc.Server {
	s := &service{
		recommended: calls.WithLabelValues(attunev1.RecommendationService_Recommend_FullMethodName, "OK"),
		similar:     calls.WithLabelValues(attunev1.RecommendationService_SimilarItems_FullMethodName, "OK"),
	}
	for i := range limit {
		title := fmt.Sprintf("cedar glass candle number %d", i)
		s.items = append(s.items, &attunev1.RecommendedItem{
			Item: fmt.Sprintf("item-%06d", i), Score: 1 / float64(1+i), Source: "factors", Title: title,
			Price: &attunev1.Money{Currency: "EUR", Micros: 22_130_000},
			Reason: &attunev1.Reason{
				Kind: "because_of", Text: "because you bought " + title,
				Evidence: []*attunev1.Evidence{{Item: fmt.Sprintf("item-%06d", 1000+i), EventType: "purchase", Contribution: .0170289}},
			},
		})
	}
	g := grpc.NewServer()
	attunev1.RegisterRecommendationServiceServer(g, s)
	attunev1.RegisterCatalogServiceServer(g, &catalog{items: 1000})
	return g
}

type service struct {
	attunev1.UnimplementedRecommendationServiceServer
	items                []*attunev1.RecommendedItem
	recommended, similar prometheus.Counter
}

const (
	id      = "06h0cewchmpp438j74fwac2yxw"
	release = "20261123T022202.227Z-44d95a9e"
)

// Recommend implements the RPC.
func (s *service) Recommend(context.Context, *attunev1.RecommendRequest) (*attunev1.RecommendResponse, error) {
	s.recommended.Inc()
	return &attunev1.RecommendResponse{RecommendationId: id, Release: release, Items: s.items}, nil
}

// SimilarItems implements the RPC.
func (s *service) SimilarItems(context.Context, *attunev1.SimilarItemsRequest) (*attunev1.SimilarItemsResponse, error) {
	s.similar.Inc()
	return &attunev1.SimilarItemsResponse{Release: release, Items: s.items}, nil
}

// catalog lists ids to ask about.
type catalog struct {
	attunev1.UnimplementedCatalogServiceServer
	items int
}

// ListItems implements the RPC.
func (c *catalog) ListItems(context.Context, *attunev1.ListItemsRequest) (*attunev1.ListItemsResponse, error) {
	out := &attunev1.ListItemsResponse{}
	for i := range c.items {
		out.Items = append(out.Items, &attunev1.Item{Id: fmt.Sprintf("item-%06d", i)})
	}
	return out, nil
}
