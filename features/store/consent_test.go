package store

import (
	"context"
	"testing"

	"github.com/attune-rec/attune/features"
)

// Of an alias that said something else than the user it is linked to, only what
// both agreed to holds.
func TestConsentOfAnAliasIsWhatBothAgreedTo(t *testing.T) {
	ctx := context.Background()
	s := open(t, Options{})
	alias, user := key(1), key(2)
	one, other := features.Personalisation|features.Analytics, features.Marketing|features.Analytics
	for who, said := range map[features.UserKey]*features.Purposes{alias: &one, user: &other} {
		if err := s.PutUsers(ctx, shop, []User{{Key: who, Consent: said}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Link(ctx, shop, alias, user); err != nil {
		t.Fatal(err)
	}
	for who, want := range map[features.UserKey]features.Purposes{alias: features.Analytics, user: other} {
		if got, err := s.Consent(ctx, shop, who); err != nil || got != want {
			t.Errorf("%s: got %v, %v, want %v", who, got, err, want)
		}
	}
}
