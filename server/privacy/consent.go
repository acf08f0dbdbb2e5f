package privacy

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/server/api"
)

func consentOf(p features.Purposes) *attunev1.Consent {
	return &attunev1.Consent{
		Personalisation: p.Has(features.Personalisation), Marketing: p.Has(features.Marketing), Analytics: p.Has(features.Analytics),
	}
}

// GetConsent implements the RPC.
func (s *Service) GetConsent(ctx context.Context, r *attunev1.GetConsentRequest) (*attunev1.GetConsentResponse, error) {
	shop, key, err := s.locate(ctx, r.GetShop(), r.GetId())
	if err != nil {
		return nil, api.Status(err)
	}
	p, err := s.Store.ConsentIn(ctx, shop, key, r.GetMarket())
	if err != nil {
		return nil, api.Status(err)
	}
	u, err := s.Store.GetUser(ctx, shop, key)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, api.Status(err)
	}
	return &attunev1.GetConsentResponse{Consent: consentOf(p), Said: u.Consent != nil}, nil
}

// SetConsent implements the RPC. Everything that is kept of the person in memory
// is dropped before it returns, so that the next call finds the new state.
func (s *Service) SetConsent(ctx context.Context, r *attunev1.SetConsentRequest) (*attunev1.SetConsentResponse, error) {
	shop := cmp.Or(features.ShopID(r.GetShop()), features.DefaultShop)
	names, err := s.Names.Pseudonyms(ctx, shop)
	if err != nil {
		return nil, api.Status(err)
	}
	key := names.User(r.GetId())
	var to *features.Purposes
	if !r.GetUnsay() {
		p, err := s.Store.Consent(ctx, shop, key)
		if err != nil {
			return nil, api.Status(err)
		}
		for _, c := range []struct {
			said *bool
			of   features.Purposes
		}{{r.Personalisation, features.Personalisation}, {r.Marketing, features.Marketing}, {r.Analytics, features.Analytics}} {
			switch {
			case c.said == nil:
			case *c.said:
				p |= c.of
			default:
				p &^= c.of
			}
		}
		to = &p
	}
	if err := s.Store.SetConsent(ctx, shop, r.GetId(), key, to); err != nil {
		return nil, api.Status(err)
	}
	aliases, err := s.Store.Aliases(ctx, shop, key)
	if err != nil {
		return nil, api.Status(fmt.Errorf("the consent is stored; sessions linked to it may be answered as before for a while: %w", err))
	}
	if s.Changed != nil {
		for _, k := range append(aliases, key) {
			s.Changed(shop, k)
		}
	}
	now, err := s.Store.Consent(ctx, shop, key)
	if err != nil {
		return nil, api.Status(err)
	}
	return &attunev1.SetConsentResponse{Consent: consentOf(now)}, nil
}
