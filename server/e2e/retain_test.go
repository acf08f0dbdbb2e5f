package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
)

// The server takes out by itself what is kept longer than it was told, from the
// log, the records of answers and the refused rows, and nothing else; it counts
// that and writes it down. Later looks find nothing more.
func TestRetention(t *testing.T) {
	dir := stock(t)
	ctx := context.Background()
	st := openStore(t, dir)
	now := time.Now()
	var events []features.Event
	for n := range 10 {
		for _, typ := range []features.EventType{features.View, features.Impression, features.CartAdd} {
			for _, age := range []time.Duration{50 * day, time.Hour} {
				events = append(events, features.Event{
					ID: fmt.Sprint("kept ", n, typ, age), Type: typ, Session: features.UserKey{7, byte(n)}, Item: thing(n), Time: now.Add(-age), Received: now.Add(-age),
				})
			}
		}
	}
	_, err := st.Append(ctx, shop, events)
	must(t, err)
	must(t, st.PutServed(ctx, shop, []store.Served{{Recommendation: "old", Time: now.Add(-50 * day), Surface: "home"}, {Recommendation: "new", Time: now.Add(-time.Hour), Surface: "home"}}))
	must(t, st.PutDead(ctx, shop, []store.DeadLetter{{Key: "old", Received: now.Add(-50 * day), Rule: "r"}, {Key: "new", Received: now.Add(-time.Hour), Rule: "r"}}))
	must(t, st.Close())
	promote(t, dir, publish(t, dir, 1, items()))
	cfg := config(dir)
	cfg.Retain, cfg.RetainEvery = map[string]string{"view": "30d", "impression": "1200h", "cart_add": "90d", "answer": "30d", "refused": "30d"}, 20*time.Millisecond
	c := start(t, cfg)
	expired := func(place string) float64 {
		v, _ := c.series(t, `attune_expired_total\{place="`+place+`",shop="default"\}`)
		return v
	}
	eventually(t, "what is old is taken out", func() bool { return expired("events") > 0 && expired("answers") == 1 && expired("refused rows") == 1 })
	c.stop()
	st = openStore(t, dir)
	defer func() { must(t, st.Close()) }()
	left := map[string]int{}
	must(t, st.Scan(ctx, shop, 0, 0, func(e *features.Event) error {
		old := "new "
		if now.Sub(e.Time) > 24*time.Hour {
			old = "old "
		}
		left[old+e.Type.String()]++
		return nil
	}))
	for what, want := range map[string]int{"old view": 0, "new view": 10, "old impression": 0, "new impression": 10, "old cart_add": 10, "new cart_add": 10} {
		if left[what] != want {
			t.Errorf("%s: got %d events, want %d", what, left[what], want)
		}
	}
	if left["old purchase"] == 0 {
		t.Error("purchases, which were not named, are gone")
	}
	var served []string
	must(t, st.ScanServed(ctx, shop, now.Add(-100*day), now.Add(day), func(s *store.Served) error {
		served = append(served, s.Recommendation)
		return nil
	}))
	dead, err := st.ListDead(ctx, shop, 0, 10)
	must(t, err)
	if len(served) != 1 || served[0] != "new" || len(dead) != 1 || dead[0].Key != "new" {
		t.Errorf("got answers %v and refused rows %v, want the new ones", served, dead)
	}
	told := 0
	must(t, st.ScanAudit(ctx, shop, func(e *store.Audited) error {
		if e.Method == "retention" {
			told++
			if !strings.Contains(e.Detail, "view: 10") || !strings.Contains(e.Detail, "answers: 1") {
				t.Errorf("got %q, want how much of what", e.Detail)
			}
		}
		return nil
	}))
	if told != 1 {
		t.Errorf("the audit log tells %d times, want once: later looks found nothing", told)
	}
}

// What a shop says that it needs holds for what comes by the server's door, and
// what is declared is in the store and in the audit log, once.
func TestNeededFields(t *testing.T) {
	dir := stock(t)
	promote(t, dir, publish(t, dir, 1, items()))
	cfg := config(dir)
	cfg.Needed = []string{"default/user.gender=none", "default/user.region=marketing", "default/event.device=none"}
	cfg.Sensitive = []string{"default/gender", "default/age_band=fairness"}
	ctx := context.Background()
	for range 2 {
		c := start(t, cfg)
		got, err := c.users.UpsertUser(ctx, &attunev1.UpsertUserRequest{User: &attunev1.User{
			Id: somebody(1), Gender: "x", Region: "North", Occupation: "baker", Consent: &attunev1.Consent{Personalisation: true, Analytics: true},
		}})
		must(t, err)
		if got.GetGender() != "" || got.GetRegion() != "" || got.GetOccupation() != "baker" {
			t.Errorf("got %v, want neither gender, which nothing needs, nor region, which they did not agree to", got)
		}
		c.stop()
	}
	st := openStore(t, dir)
	defer func() { must(t, st.Close()) }()
	by, err := st.Sensitive(ctx, shop)
	must(t, err)
	if len(by) != 2 || by["age_band"] != "fairness" || by["gender"] != "" {
		t.Errorf("got %v, want what was declared", by)
	}
	told := map[string]int{}
	must(t, st.ScanAudit(ctx, shop, func(e *store.Audited) error {
		told[e.Method]++
		return nil
	}))
	if told["needed"] != 1 || told["sensitive"] != 1 {
		t.Errorf("got %v, want each declaration told of once", told)
	}
	for _, wrong := range [][2]string{{"default/user.shoe=none", ""}, {"user.gender=none", ""}, {"default/user.gender", ""}, {"default/user.gender=fun", ""}, {"", "default/star_sign"}, {"", "gender"}} {
		cfg := config(dir)
		if wrong[0] != "" {
			cfg.Needed = []string{wrong[0]}
		} else {
			cfg.Sensitive = []string{wrong[1]}
		}
		if err := cfg.Validate(); err == nil {
			t.Errorf("%v: got no error", wrong)
		}
	}
}
