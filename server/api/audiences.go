package api

import (
	"context"
	"strings"
	"time"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/types/known/emptypb"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
)

// Audiences is AudienceService.
type Audiences struct {
	attunev1.UnimplementedAudienceServiceServer
	Store interface {
		store.Audiences
		Pseudonyms(ctx context.Context, shop features.ShopID) (*features.Pseudonyms, error)
	}
	Validate protovalidate.Validator
	Tokens   *Tokens
	Changed  func(features.ShopID) // told after a durable change; nil: nobody
}

func (a *Audiences) changed(shop features.ShopID) {
	if a.Changed != nil {
		a.Changed(shop)
	}
}

// ImportAudience implements the RPC.
func (a *Audiences) ImportAudience(ctx context.Context, r *attunev1.ImportAudienceRequest) (*attunev1.ImportAudienceResponse, error) {
	shop, err := shopOf(r.GetShop())
	if err != nil {
		return nil, Status(err)
	}
	if err := store.CheckAudience(r.GetName()); err != nil {
		return nil, Status(fieldErrorf("name", "%v", err))
	}
	names, err := a.Store.Pseudonyms(ctx, shop)
	if err != nil {
		return nil, Status(err)
	}
	out := &attunev1.ImportAudienceResponse{}
	people := make([]store.Listed, 0, len(r.GetMembers()))
	for i, m := range r.GetMembers() {
		if err := a.Validate.Validate(m); err != nil {
			out.Errors = append(out.Errors, &attunev1.IndexedError{Index: int64(i), Error: itemError(err)})
			continue
		}
		until := m.GetExpireTime()
		if until == nil {
			until = r.GetExpireTime()
		}
		one := store.Listed{Key: listedAs(m, names)}
		if until != nil {
			one.Expires = until.AsTime().Truncate(time.Millisecond)
		}
		people = append(people, one)
	}
	out.Rejected = int64(len(out.GetErrors()))
	if len(people) == 0 {
		return out, nil
	}
	done, err := a.Store.Enlist(ctx, shop, r.GetName(), r.GetSource(), people)
	if err != nil {
		return nil, Status(err)
	}
	if done.Stored > 0 {
		a.changed(shop)
	}
	out.Stored, out.Same, out.Withheld = done.Stored, done.Same, done.Withheld
	return out, nil
}

// listedAs is the key of somebody on a list, the same as an event or a link of
// that name has.
func listedAs(m *attunev1.AudienceMember, names *features.Pseudonyms) features.UserKey {
	switch name := m.GetName().(type) {
	case *attunev1.AudienceMember_User:
		return names.User(name.User)
	case *attunev1.AudienceMember_Device:
		return names.User(features.DeviceUser(name.Device))
	case *attunev1.AudienceMember_EmailSha256:
		return names.User(features.EmailUser(strings.ToLower(name.EmailSha256)))
	}
	return features.UserKey{}
}

// GetAudience implements the RPC.
func (a *Audiences) GetAudience(ctx context.Context, r *attunev1.GetAudienceRequest) (*attunev1.Audience, error) {
	shop, err := shopOf(r.GetShop())
	if err != nil {
		return nil, Status(err)
	}
	one, err := a.Store.GetAudience(ctx, shop, r.GetName())
	if err != nil {
		return nil, Status(err)
	}
	return audienceToProto(&one), nil
}

// ListAudiences implements the RPC.
func (a *Audiences) ListAudiences(ctx context.Context, r *attunev1.ListAudiencesRequest) (*attunev1.ListAudiencesResponse, error) {
	shop, err := shopOf(r.GetShop())
	if err != nil {
		return nil, Status(err)
	}
	var after string
	page, err := a.Tokens.Page(r, "audiences/"+string(shop), 100, &after)
	if err != nil {
		return nil, Status(err)
	}
	list, err := a.Store.ListAudiences(ctx, shop, after, page.Size+1)
	if err != nil {
		return nil, Status(err)
	}
	out := &attunev1.ListAudiencesResponse{}
	if list, out.NextPageToken, err = Cut(page, list, func(last *store.Audience) any { return last.Name }); err != nil {
		return nil, Status(err)
	}
	for i := range list {
		out.Audiences = append(out.Audiences, audienceToProto(&list[i]))
	}
	return out, nil
}

// DeleteAudience implements the RPC.
func (a *Audiences) DeleteAudience(ctx context.Context, r *attunev1.DeleteAudienceRequest) (*emptypb.Empty, error) {
	shop, err := shopOf(r.GetShop())
	if err != nil {
		return nil, Status(err)
	}
	if err := a.Store.DeleteAudience(ctx, shop, r.GetName()); err != nil {
		return nil, Status(err)
	}
	a.changed(shop)
	return &emptypb.Empty{}, nil
}

func audienceToProto(a *store.Audience) *attunev1.Audience {
	return &attunev1.Audience{
		Name: a.Name, Source: a.Source, CreateTime: timeToProto(a.Created), UpdateTime: timeToProto(a.Updated),
		Size: a.Size, Matched: a.Matched, Unmatched: a.Unmatched, Expired: a.Expired,
	}
}
