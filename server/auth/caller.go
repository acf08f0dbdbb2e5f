package auth

import (
	"context"
	"slices"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
)

// Caller is who makes a call. It is immutable.
type Caller struct {
	ID       string // "key:<id>", "oidc:<subject>", "cert:<name>", or "anonymous"
	Shops    []features.ShopID
	Roles    []attunev1.Role
	Rate     float64 // calls a second; 0: as the guard is told
	MaxBytes int64   // of a request; 0: unbounded here
}

// anonymousID is the id of everyone as long as nothing says who may call.
const anonymousID = "anonymous"

// in reports whether the caller belongs to a shop.
func (c *Caller) in(shop features.ShopID) bool {
	return slices.Contains(c.Shops, shop) || slices.Contains(c.Shops, store.AllShops)
}

// may reports whether the caller has one of the roles.
func (c *Caller) may(roles []attunev1.Role) bool {
	return slices.ContainsFunc(roles, func(r attunev1.Role) bool { return slices.Contains(c.Roles, r) })
}

type callerKey struct{}

// With returns ctx with who calls.
func With(ctx context.Context, c *Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// From is who calls; nobody's id is "".
func From(ctx context.Context) *Caller {
	if c, ok := ctx.Value(callerKey{}).(*Caller); ok {
		return c
	}
	return &Caller{}
}
