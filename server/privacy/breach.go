package privacy

import (
	"context"
	"errors"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/server/api"
)

// ListAccesses implements the RPC.
func (s *Service) ListAccesses(ctx context.Context, r *attunev1.ListAccessesRequest) (*attunev1.ListAccessesResponse, error) {
	shop, key, err := s.locate(ctx, r.GetShop(), r.GetId())
	if err != nil {
		return nil, api.Status(err)
	}
	q := store.AuditQuery{Actor: r.GetActor(), From: api.TimeOf(r.GetFrom()), To: api.TimeOf(r.GetTo())}
	if !key.IsZero() {
		q.Subject = key.String()
	}
	page, err := s.Tokens.Page(r, "accesses/"+string(shop)+"/"+q.Subject+"/"+q.Actor, 100, &q.Before)
	if err != nil {
		return nil, api.Status(err)
	}
	q.Limit = page.Size + 1
	entries, err := s.Store.ListAudit(ctx, shop, q)
	if err != nil {
		return nil, api.Status(err)
	}
	out := &attunev1.ListAccessesResponse{}
	if entries, out.NextPageToken, err = api.Cut(page, entries, func(last *store.Audited) any { return last.ID }); err != nil {
		return nil, api.Status(err)
	}
	for i := range entries {
		a := &entries[i]
		detail := a.Detail
		if q.Subject != "" && strings.HasPrefix(detail, readPrefix) {
			detail = readPrefix + q.Subject // the others are not asked for
		}
		out.Accesses = append(out.Accesses, &attunev1.Access{
			Number: a.ID, Time: timestamppb.New(a.Time), Actor: a.Actor, Method: a.Method, Subject: a.Subject, Detail: detail,
		})
	}
	return out, nil
}

// ListAffected implements the RPC. Whom an entry of a change is about was
// affected too. A person whose answers were given stands in the log once in
// askedOnce, so that entries of as long before count.
func (s *Service) ListAffected(ctx context.Context, r *attunev1.ListAffectedRequest) (*attunev1.ListAffectedResponse, error) {
	shop, _, err := s.locate(ctx, r.GetShop(), "")
	if err != nil {
		return nil, api.Status(err)
	}
	after := ""
	page, err := s.Tokens.Page(r, "affected/"+string(shop)+"/"+r.GetActor(), 1000, &after)
	if err != nil {
		return nil, api.Status(err)
	}
	who := map[string]bool{}
	q := store.AuditQuery{Actor: r.GetActor(), From: api.TimeOf(r.GetFrom()), To: api.TimeOf(r.GetTo()), Limit: 1000}
	from := q.From
	if !from.IsZero() {
		q.From = from.Add(-askedOnce)
	}
	for {
		entries, err := s.Store.ListAudit(ctx, shop, q)
		if err != nil {
			return nil, api.Status(err)
		}
		for i := range entries {
			q.Before = entries[i].ID
			if entries[i].Time.Before(from) && !noted(entries[i].Method) {
				continue
			}
			for _, text := range append(strings.Fields(strings.TrimPrefix(entries[i].Detail, readPrefix)), entries[i].Subject) {
				if _, err := features.ParseUserKey(text); err == nil && text > after {
					who[text] = true
				}
			}
		}
		if len(entries) < q.Limit {
			break
		}
	}
	all := make([]string, 0, len(who))
	for w := range who {
		all = append(all, w)
	}
	slices.Sort(all)
	out := &attunev1.ListAffectedResponse{}
	if all, out.NextPageToken, err = api.Cut(page, all, func(last *string) any { return *last }); err != nil {
		return nil, api.Status(err)
	}
	for _, text := range all {
		key, err := features.ParseUserKey(text)
		if err != nil {
			return nil, api.Status(err)
		}
		u, err := s.Store.GetUser(ctx, shop, key)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, api.Status(err)
		}
		out.Persons = append(out.Persons, &attunev1.Affected{Subject: text, Id: u.ID})
	}
	return out, nil
}
