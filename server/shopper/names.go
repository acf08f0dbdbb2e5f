package shopper

import (
	"context"
	"slices"
	"sync"

	"github.com/attune-rec/attune/features"
)

// Secrets is where the pseudonyms of shops come from.
type Secrets interface {
	// Pseudonyms makes the shop when it is new.
	Pseudonyms(ctx context.Context, shop features.ShopID) (*features.Pseudonyms, error)
	Shops(ctx context.Context) ([]features.ShopID, error)
}

// Names keeps the pseudonyms of shops, which never change. It is safe for
// concurrent use.
type Names struct {
	secrets Secrets
	known   sync.Map // features.ShopID -> *features.Pseudonyms
}

// NewNames returns an empty cache over secrets.
func NewNames(secrets Secrets) *Names { return &Names{secrets: secrets} }

// Pseudonyms is the pseudonyms of a shop, which is made when it is new: for
// those who write.
func (n *Names) Pseudonyms(ctx context.Context, shop features.ShopID) (*features.Pseudonyms, error) {
	if p, ok := n.known.Load(shop); ok {
		return p.(*features.Pseudonyms), nil
	}
	p, err := n.secrets.Pseudonyms(ctx, shop)
	if err != nil {
		return nil, err
	}
	n.known.Store(shop, p)
	return p, nil
}

// Known is the pseudonyms of a shop that exists, and nil of one that does not:
// a question about a shop must not make it.
func (n *Names) Known(ctx context.Context, shop features.ShopID) (*features.Pseudonyms, error) {
	if p, ok := n.known.Load(shop); ok {
		return p.(*features.Pseudonyms), nil
	}
	shops, err := n.secrets.Shops(ctx)
	if err != nil || !slices.Contains(shops, shop) {
		return nil, err
	}
	return n.Pseudonyms(ctx, shop)
}
