package shopper

import (
	"context"
	"testing"

	"github.com/attune-rec/attune/features"
)

// counted counts what is read of persons, by what it is.
type counted struct {
	*log
	histories, aliases, opinions, consents int
}

func (c *counted) History(ctx context.Context, shop features.ShopID, k features.UserKey, limit int) ([]features.Event, error) {
	c.histories++
	return c.log.History(ctx, shop, k, limit)
}

func (c *counted) Aliases(ctx context.Context, shop features.ShopID, k features.UserKey) ([]features.UserKey, error) {
	c.aliases++
	return c.log.Aliases(ctx, shop, k)
}

func (c *counted) Opinions(ctx context.Context, shop features.ShopID, k features.UserKey, limit int) ([]features.Event, error) {
	c.opinions++
	return c.log.Opinions(ctx, shop, k, limit)
}

func (c *counted) ConsentIn(ctx context.Context, shop features.ShopID, k features.UserKey, market string) (features.Purposes, error) {
	c.consents++
	return c.log.ConsentIn(ctx, shop, k, market)
}

// Of who did not agree to personalisation nothing is read but that they did
// not, and nothing that they do is kept: neither before nor after events, by
// user, by session, or by both.
func TestWithoutConsentNothingIsRead(t *testing.T) {
	for _, consent := range []features.Purposes{0, features.Marketing, features.Analytics, features.Marketing | features.Analytics, features.AllPurposes} {
		l := &counted{log: &log{consent: consent}}
		l.put(1, 2, "a")
		c, err := New(Options{History: l, Consents: l})
		if err != nil {
			t.Fatal(err)
		}
		known := ""
		for range 3 {
			for _, who := range [][2]byte{{1, 0}, {0, 2}, {1, 2}, {1, 3}} {
				known += letters(t, c, who[0], who[1], abc)
			}
			c.Stored("default", []features.Event{l.put(1, 2, "b")})
		}
		reads := l.histories + l.aliases + l.opinions
		if consent.Has(features.Personalisation) {
			if reads == 0 || known == "" {
				t.Errorf("with consent: %d reads, history %q: the test is blind", reads, known)
			}
			continue
		}
		if reads != 0 || known != "" || l.consents == 0 {
			t.Errorf("consent %b: %d histories, %d links and %d opinions read, history %q, want none; %d reads of consent, want some",
				consent, l.histories, l.aliases, l.opinions, known, l.consents)
		}
	}
}
