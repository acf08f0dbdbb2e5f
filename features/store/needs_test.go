package store

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/attune-rec/attune/features"
)

// Fields that no purpose needs are found nowhere in the data directory, however
// they come: told of a person, with an event, in a refused row. What is needed
// is there, of those who agreed to it.
func TestUnneededFieldsAreNowhere(t *testing.T) {
	ctx := context.Background()
	s := open(t, Options{SegmentRows: 16, SealAt: -1})
	needs := Needs{
		"user.gender": 0, "user.income_band": 0, "user.attributes": 0, "user.attributes.size": features.Personalisation,
		"user.region": features.Marketing, "event.text": 0, "event.device": 0, "event.attributes": 0, "event.attributes.coupon": features.AllPurposes,
		"event.target": features.Analytics,
	}
	if err := s.SetNeeds(ctx, shop, needs); err != nil {
		t.Fatal(err)
	}
	if got := must(s.Needs(ctx, shop))(t); !reflect.DeepEqual(got, needs) {
		t.Fatalf("got %v, want %v", got, needs)
	}
	marketing, none := features.Marketing, features.Purposes(0)
	person := func(id string, consent *features.Purposes) User {
		return User{ID: id, Consent: consent, Market: "kept-market-of-" + id, Personal: Personal{
			Gender: "planted-gender-of-" + id, IncomeBand: "planted-income-of-" + id, Region: "region-of-" + id, Occupation: "kept-occupation-of-" + id,
			Attributes: map[string]string{"size": "size-of-" + id, "creed": "planted-creed-of-" + id},
		}}
	}
	if err := s.PutUsers(ctx, shop, []User{person("anna", nil), person("bert", &marketing), person("cleo", &none)}); err != nil {
		t.Fatal(err)
	}
	names := must(s.Pseudonyms(ctx, shop))(t)
	for n := range 40 {
		e := event(n)
		e.ID, e.User, e.Text, e.Device = fmt.Sprint("minimised ", n), names.User("anna"), "planted-text", "planted-device"
		e.Attributes = map[string]string{"coupon": "kept-coupon", "note": "planted-note"}
		e.Target = "kept-target"
		if n%2 == 0 {
			e.User, e.Target = names.User("cleo"), "planted-target"
		}
		must(s.Append(ctx, shop, []features.Event{e}))(t)
	}
	err := s.PutDead(ctx, shop, []DeadLetter{
		{Key: "a", Source: "test", Rule: "r", Reason: "too old", User: names.User("anna"),
			Payload: []byte(`{"id":"kept-letter","text":"planted-letter","context":{"device":"planted-letter","channel":"kept-channel"},"attributes":{"note":"planted-letter","coupon":"kept-letter-coupon"}}`)},
		{Key: "b", Source: "test", Rule: "r", Reason: "no JSON", Payload: []byte("kept-row")},
		{Key: "c", Source: "test", Rule: "r", Reason: "a person", User: names.User("anna"), Payload: []byte(`{"gender":"planted-letter","incomeBand":"planted-letter","occupation":"kept-letter-occupation"}`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	must(s.Seal(ctx, shop, 20))(t)
	expect := func(wanted map[string]bool) {
		t.Helper()
		var all []string
		for mark := range wanted {
			all = append(all, mark)
		}
		found := search(t, s, all)
		for mark, want := range wanted {
			if (found[mark] > 0) != want {
				t.Errorf("%s: found %d times, want it there: %v", mark, found[mark], want)
			}
		}
	}
	expect(map[string]bool{
		"planted-": false, "kept-market-of-anna": true, "kept-occupation-of-cleo": true, "size-of-anna": true, "size-of-bert": false,
		"region-of-anna": true, "region-of-bert": true, "region-of-cleo": false, "kept-coupon": true, "kept-target": true,
		"kept-letter": true, "kept-row": true, "kept-channel": true, "kept-letter-coupon": true, "kept-letter-occupation": true,
	})
	// Who takes back marketing takes back what was kept for it alone.
	personal := features.Personalisation
	if err := s.SetConsent(ctx, shop, "bert", names.User("bert"), &personal); err != nil {
		t.Fatal(err)
	}
	if u := must(s.GetUser(ctx, shop, names.User("bert")))(t); u.Personal.Region != "" || u.Personal.Occupation == "" || u.Consent == nil || *u.Consent != personal {
		t.Errorf("got %+v, want bert without region", u)
	}
	if err := s.SetNeeds(ctx, shop, Needs{"user.shoe": 0}); err == nil || !strings.Contains(err.Error(), "user.attributes.shoe_size") {
		t.Errorf("unknown field: got %v", err)
	}
	for _, wrong := range []string{"", "user", "event.", "user.attributes.", "event.order", "user.id"} {
		if (Needs{wrong: 0}).Validate() == nil {
			t.Errorf("field %q: got no error", wrong)
		}
	}
	if err := s.SetNeeds(ctx, shop, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.PutUsers(ctx, shop, []User{person("anna", nil)}); err != nil {
		t.Fatal(err)
	}
	expect(map[string]bool{"planted-gender-of-anna": true, "planted-income-of-anna": true, "planted-creed-of-anna": true})
}

// A sensitive attribute is opened for what is recorded, and for nothing else.
func TestSensitiveAttributes(t *testing.T) {
	ctx := context.Background()
	s := open(t, Options{})
	if err := s.PutUsers(ctx, shop, []User{{ID: "anna", Market: "DE", Languages: []string{"de"}, Personal: Personal{Gender: "f", Attributes: map[string]string{"size": "9"}}}}); err != nil {
		t.Fatal(err)
	}
	anna := must(s.Pseudonyms(ctx, shop))(t).User("anna")
	for name, want := range map[string]string{"gender": "f", "attributes.size": "9", "attributes.creed": "", "home_market": "DE", "language": "de", "age_band": ""} {
		of := must(s.Attribute(ctx, shop, name, ForFairness))(t)
		if got, err := of(ctx, anna); got != want || err != nil {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, want)
		}
		if got, err := of(ctx, features.UserKey{9}); got != "" || err != nil {
			t.Errorf("%s of nobody: got %q, %v", name, got, err)
		}
	}
	for recorded, want := range map[string]error{"": ErrSensitive, "training": ErrSensitive, "fairness": nil, "training+fairness": nil} {
		if err := s.SetSensitive(ctx, shop, map[string]string{"gender": recorded, "attributes.size": ""}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Attribute(ctx, shop, "gender", ForFairness); !errors.Is(err, want) {
			t.Errorf("recorded for %q: got %v, want %v", recorded, err, want)
		}
		if _, err := s.Attribute(ctx, shop, "attributes.size", ForFairness); !errors.Is(err, ErrSensitive) {
			t.Errorf("got %v, want %v", err, ErrSensitive)
		}
	}
	if _, err := s.Attribute(ctx, shop, "star_sign", ForFairness); err == nil || !strings.Contains(err.Error(), "age_band") {
		t.Errorf("unknown attribute: got %v", err)
	}
	if err := s.SetSensitive(ctx, shop, map[string]string{"star_sign": ""}); err == nil {
		t.Error("unknown attribute: got no error")
	}
}
