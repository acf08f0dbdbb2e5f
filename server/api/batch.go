package api

import (
	"context"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/server/recommend"
)

// BatchRecommend implements the RPC.
func (s *Recommendation) BatchRecommend(ctx context.Context, r *attunev1.BatchRecommendRequest) (*attunev1.BatchRecommendResponse, error) {
	shop, err := shopOf(r.GetShop())
	if err != nil {
		return nil, Status(err)
	}
	n := len(r.GetRequests())
	out := &attunev1.BatchRecommendResponse{Results: make([]*attunev1.BatchRecommendResult, n)}
	purposes := make([]string, n)
	s.Recommender.Batch(ctx, n, func(i int) (q *recommend.Query, err error) {
		q, purposes[i], err = s.query(ctx, shop, r.GetRequests()[i])
		return q, err
	}, func(i int, ans *recommend.Answer, err error) {
		result := &attunev1.BatchRecommendResult{}
		if err != nil {
			result.Result = &attunev1.BatchRecommendResult_Error{Error: itemError(err)}
		} else {
			s.note(ctx, shop, attunev1.RecommendationService_BatchRecommend_FullMethodName, ans)
			result.Result = &attunev1.BatchRecommendResult_Response{Response: s.response(ans, purposes[i], nil)}
		}
		out.Results[i] = result
	})
	if err := ctx.Err(); err != nil {
		return nil, Status(err)
	}
	return out, nil
}
