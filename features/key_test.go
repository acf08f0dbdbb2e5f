package features_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/attune-rec/attune/features"
)

func TestShopIDs(t *testing.T) {
	for _, good := range []string{"default", "a", "0", "shop-1", strings.Repeat("x", 63)} {
		if err := features.ShopID(good).Validate(); err != nil {
			t.Errorf("%q: got %v, want no error", good, err)
		}
	}
	for _, bad := range []string{"", "-a", "Shop", "a b", "a/b", "..", "ü", strings.Repeat("x", 64)} {
		if err := features.ShopID(bad).Validate(); !errors.Is(err, features.ErrShopID) {
			t.Errorf("%q: got %v, want ErrShopID", bad, err)
		}
	}
}

func TestPseudonyms(t *testing.T) {
	if _, err := features.NewPseudonyms(make([]byte, 15)); err == nil {
		t.Fatal("a short secret was taken")
	}
	one, err := features.NewPseudonyms([]byte("a secret of the first shop"))
	if err != nil {
		t.Fatal(err)
	}
	two, err := features.NewPseudonyms([]byte("a secret of the other shop"))
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case !one.User("").IsZero():
		t.Error("nobody has a key")
	case one.User("12583") == two.User("12583"):
		t.Error("a user has the same key in two shops")
	case one.User("12583") == one.Session("12583"):
		t.Error("a user and a session share a key")
	}
	k := one.User("12583")
	back, err := features.ParseUserKey(k.String())
	if err != nil || back != k {
		t.Errorf("got %v, %v, want the key back", back, err)
	}
	for _, bad := range []string{"", "zz", strings.Repeat("g", 32)} {
		if _, err := features.ParseUserKey(bad); err == nil {
			t.Errorf("%q was taken for a key", bad)
		}
	}
}

func TestEventTypesHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for _, e := range features.EventTypes() {
		if seen[e.String()] {
			t.Errorf("%q names two types", e)
		}
		seen[e.String()] = true
		if back, err := features.ParseEventType(e.String()); err != nil || back != e {
			t.Errorf("%q: got %v, %v, want the type back", e, back, err)
		}
	}
	if _, err := features.ParseEventType("unknown"); err == nil {
		t.Error("the unknown type has a name that can be read")
	}
}

func TestMoney(t *testing.T) {
	for _, c := range []struct {
		units float64
		want  string
	}{{12.5, "12.50 EUR"}, {-0.01, "-0.01 EUR"}, {0, "0.00 EUR"}} {
		if got := features.MoneyOf(c.units, "EUR").String(); got != c.want {
			t.Errorf("%v: got %q, want %q", c.units, got, c.want)
		}
	}
	if (features.Money{}).String() != "" {
		t.Error("no amount has a string")
	}
}
