package api

import (
	"context"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/server/recommend"
)

// SimilarItems implements the RPC.
func (s *Recommendation) SimilarItems(ctx context.Context, r *attunev1.SimilarItemsRequest) (*attunev1.SimilarItemsResponse, error) {
	shop, err := shopOf(r.GetShop())
	if err != nil {
		return nil, Status(err)
	}
	c := r.GetContext()
	q := &recommend.Query{
		Shop: shop, Item: r.GetItem(), Market: c.GetMarket(), Locale: c.GetLocale(), Currency: c.GetCurrency(), Channel: c.GetChannel(), Device: c.GetDevice(),
		Limit: limitOf(r.GetLimit(), defaultLimit),
	}
	ans := s.answer()
	defer s.answers.Put(ans)
	if err := s.Recommender.Similar(ctx, q, ans); err != nil {
		return nil, Status(err)
	}
	return &attunev1.SimilarItemsResponse{Release: ans.Release, Items: itemsToProto(ans.Items, roomOf(ctx))}, nil
}
