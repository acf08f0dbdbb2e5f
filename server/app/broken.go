package app

import (
	"context"
	"errors"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/server/breaker"
)

// broken is the store as requests for answers read it, through a circuit
// breaker and in half of the time that they have: an answer for nobody, degraded,
// is better than none.
type broken struct {
	store interface {
		History(ctx context.Context, shop features.ShopID, key features.UserKey, limit int) ([]features.Event, error)
		Aliases(ctx context.Context, shop features.ShopID, user features.UserKey) ([]features.UserKey, error)
		Opinions(ctx context.Context, shop features.ShopID, key features.UserKey, limit int) ([]features.Event, error)
		ConsentIn(ctx context.Context, shop features.ShopID, key features.UserKey, market string) (features.Purposes, error)
	}
	breaker *breaker.Breaker
}

const storeShare = .5

func through[T any](ctx context.Context, b *breaker.Breaker, read func(context.Context) (T, error)) (out T, err error) {
	err = b.Do(func() error {
		limited := ctx
		if until, ok := ctx.Deadline(); ok {
			var cancel context.CancelFunc
			limited, cancel = context.WithTimeout(ctx, time.Duration(float64(time.Until(until))*storeShare))
			defer cancel()
		}
		var err error
		out, err = read(limited)
		switch {
		case err == nil:
			return nil
		case errors.Is(ctx.Err(), context.Canceled):
			return ctx.Err() // the caller left
		case limited.Err() != nil:
			return errors.Join(limited.Err(), err)
		}
		return err
	})
	return out, err
}

// History implements shopper.History.
func (s *broken) History(ctx context.Context, shop features.ShopID, key features.UserKey, limit int) ([]features.Event, error) {
	return through(ctx, s.breaker, func(ctx context.Context) ([]features.Event, error) { return s.store.History(ctx, shop, key, limit) })
}

// Aliases implements shopper.History.
func (s *broken) Aliases(ctx context.Context, shop features.ShopID, user features.UserKey) ([]features.UserKey, error) {
	return through(ctx, s.breaker, func(ctx context.Context) ([]features.UserKey, error) { return s.store.Aliases(ctx, shop, user) })
}

// Opinions implements shopper.History.
func (s *broken) Opinions(ctx context.Context, shop features.ShopID, key features.UserKey, limit int) ([]features.Event, error) {
	return through(ctx, s.breaker, func(ctx context.Context) ([]features.Event, error) { return s.store.Opinions(ctx, shop, key, limit) })
}

// ConsentIn implements shopper.Consents.
func (s *broken) ConsentIn(ctx context.Context, shop features.ShopID, key features.UserKey, market string) (features.Purposes, error) {
	return through(ctx, s.breaker, func(ctx context.Context) (features.Purposes, error) {
		return s.store.ConsentIn(ctx, shop, key, market)
	})
}
