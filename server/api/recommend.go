package api

import (
	"context"
	"sync"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/server/recommend"
)

// Names turns a shop's ids into keys.
type Names interface {
	// Pseudonyms makes the shop when it is new.
	Pseudonyms(ctx context.Context, shop features.ShopID) (*features.Pseudonyms, error)
	// Known is nil for a shop of which nothing is stored.
	Known(ctx context.Context, shop features.ShopID) (*features.Pseudonyms, error)
}

// Asked is told whose history an answer to ctx's caller could rest on.
type Asked interface {
	Note(ctx context.Context, shop features.ShopID, method string, who features.UserKey)
}

// Recommendation is RecommendationService.
type Recommendation struct {
	attunev1.UnimplementedRecommendationServiceServer
	Recommender *recommend.Recommender
	Names       Names
	Tokens      *Tokens
	Asked       Asked     // nil: nobody is told
	answers     sync.Pool // of *recommend.Answer
}

const defaultLimit = 10

// Recommend implements the RPC.
func (s *Recommendation) Recommend(ctx context.Context, r *attunev1.RecommendRequest) (*attunev1.RecommendResponse, error) {
	shop, err := shopOf(r.GetShop())
	if err != nil {
		return nil, Status(err)
	}
	q, purpose, err := s.query(ctx, shop, r)
	if err != nil {
		return nil, Status(err)
	}
	ans := s.answer()
	defer s.answers.Put(ans)
	if err := s.Recommender.Recommend(ctx, q, ans); err != nil {
		return nil, Status(err)
	}
	s.note(ctx, shop, attunev1.RecommendationService_Recommend_FullMethodName, ans)
	return s.response(ans, purpose, roomOf(ctx)), nil
}

func (s *Recommendation) note(ctx context.Context, shop features.ShopID, method string, ans *recommend.Answer) {
	if s.Asked != nil && !ans.Of.IsZero() {
		s.Asked.Note(ctx, shop, method, ans.Of)
	}
}

func (s *Recommendation) answer() *recommend.Answer {
	if a, ok := s.answers.Get().(*recommend.Answer); ok {
		return a
	}
	return new(recommend.Answer)
}

// query is what a request asks, and what its page tokens are bound to.
func (s *Recommendation) query(ctx context.Context, shop features.ShopID, r *attunev1.RecommendRequest) (*recommend.Query, string, error) {
	names, err := s.Names.Known(ctx, shop)
	if err != nil {
		return nil, "", err
	}
	c := r.GetContext()
	q := &recommend.Query{
		Shop: shop, Surface: r.GetSurface(),
		Market: c.GetMarket(), Locale: c.GetLocale(), Currency: c.GetCurrency(), Channel: c.GetChannel(), Device: c.GetDevice(),
		Text: r.GetQuery(), Item: r.GetItem(), Cart: r.GetCart(), Exclude: r.GetExclude(), Limit: limitOf(r.GetLimit(), defaultLimit),
		PriceFrom: r.GetPriceFrom(), PriceTo: r.GetPriceTo(), Categories: r.GetCategories(),
	}
	if names != nil {
		q.User, q.Session = names.User(r.GetUser()), names.Session(r.GetSession())
	}
	purpose := "recommend/" + string(shop) + "/" + r.GetSurface() + "/" + q.User.String() + "/" + q.Session.String() + "/" + r.GetItem()
	if r.GetPageToken() != "" {
		if q.Seen, err = s.Tokens.OpenBytes(purpose, r.GetPageToken()); err != nil {
			return nil, "", err
		}
	}
	return q, purpose, nil
}

func (s *Recommendation) response(ans *recommend.Answer, purpose string, room *Room) *attunev1.RecommendResponse {
	out := &attunev1.RecommendResponse{
		RecommendationId: ans.ID, Release: ans.Release, Items: itemsToProto(ans.Items, room), Degraded: len(ans.Degraded) > 0,
	}
	for _, d := range ans.Degraded {
		out.Degradations = append(out.Degradations, &attunev1.Degradation{Component: d.Component, Why: d.Why})
	}
	if ans.Seen != nil {
		out.NextPageToken = s.Tokens.SealBytes(purpose, ans.Seen)
	}
	return out
}
