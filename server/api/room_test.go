package api

import (
	"context"
	"testing"

	"google.golang.org/protobuf/proto"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models/pipeline"
	"github.com/attune-rec/attune/server/recommend"
)

// An answer made in a room that others were made in before is the one made in
// memory of its own.
func TestARoomKeepsNothing(t *testing.T) {
	full := recommend.Item{
		ID: "a", Score: 1, Source: "s", Title: "t", Sponsored: true, Text: "because", Because: "b",
		Price:  features.MoneyOf(3, "EUR"),
		Reason: pipeline.Reason{Kind: pipeline.BecauseOf, Type: features.Purchase, Name: "n", Contribution: 2},
	}
	plain := recommend.Item{ID: "z", Score: 2}
	var rooms Rooms
	for _, items := range [][]recommend.Item{{full, full, full}, {plain}, {plain, full}, make([]recommend.Item, mostKept+1), {plain, plain, plain, plain}, nil} {
		ctx, room := rooms.Borrow(context.Background())
		got := &attunev1.SimilarItemsResponse{Items: itemsToProto(items, roomOf(ctx))}
		want := &attunev1.SimilarItemsResponse{Items: itemsToProto(items, nil)}
		if !proto.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		room.Return()
	}
	if roomOf(context.Background()) != nil {
		t.Error("got a room that nobody borrowed")
	}
}
