package api

import (
	"context"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"
)

// CollectBatch implements the RPC.
func (s *Events) CollectBatch(ctx context.Context, r *attunev1.CollectBatchRequest) (*attunev1.CollectBatchResponse, error) {
	shop, err := shopOf(r.GetShop())
	if err != nil {
		return nil, Status(err)
	}
	t, err := s.take(ctx, shop, "CollectBatch")
	if err != nil {
		return nil, Status(err)
	}
	t.expect(len(r.GetEvents()))
	for i, e := range r.GetEvents() {
		t.add(int64(i), e)
	}
	if err := t.store(ctx); err != nil {
		return nil, Status(err)
	}
	return &t.out, nil
}
