package store

import (
	"context"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/risk"
)

// A quarantine keeps the events of its range out, a release lets them in again
// and is not undone by the next look.
func TestQuarantineIsReversible(t *testing.T) {
	ctx := context.Background()
	s := open(t, Options{Dir: t.TempDir()})
	for n := range 10 {
		e := event(n)
		e.User, e.ID = key(1), ""
		must(s.Append(ctx, shop, []features.Event{e}))(t)
	}
	out := func() (seqs []int64) {
		withheld := must(s.Withheld(ctx, shop))(t)
		for _, e := range scan(t, s, 0, 0) {
			if withheld != nil && withheld(&e) {
				seqs = append(seqs, e.Seq)
			}
		}
		return seqs
	}
	if got := out(); len(got) != 0 {
		t.Fatalf("before: got %v withheld, want none", got)
	}
	sure := risk.Flag{Subject: key(1), Kind: risk.Takeover, Score: .9, From: 3, To: 8, Parts: [][2]int64{{3, 4}, {8, 8}}, First: noon, Last: noon,
		Reasons: []risk.Reason{{Signal: "sum", Value: 2, Usual: 1, Weight: .9, Text: "why"}}}
	doubt := risk.Flag{Subject: key(2), Kind: risk.ClickFraud, Score: .6, From: 1, First: noon, Last: noon}
	look := func() []RiskFlag { return must(s.PutFlags(ctx, shop, []risk.Flag{sure, doubt}, .8, "server"))(t) }
	if got := look(); len(got) != 1 || got[0].ID() != sure.ID() {
		t.Fatalf("got %v quarantined, want the certain one", got)
	}
	if got := out(); len(got) != 3 || got[0] != 3 || got[1] != 4 || got[2] != 8 {
		t.Fatalf("got %v withheld, want 3, 4 and 8", got)
	}
	all := must(s.ListFlags(ctx, shop, "", "", 10))(t)
	if len(all) != 2 || all[1].State != RiskQuarantined || all[1].Reasons[0].Text != "why" || all[0].State != RiskFlagged {
		t.Errorf("got %+v, want both, by id", all)
	}
	must(s.DecideFlag(ctx, shop, sure.ID(), RiskReleased, "key:a", "a customer moved"))(t)
	if got := look(); len(got) != 0 {
		t.Errorf("after the release: got %v quarantined anew, want none", got)
	}
	if got := out(); len(got) != 0 {
		t.Errorf("after the release: got %v withheld, want none", got)
	}
	must(s.DecideFlag(ctx, shop, doubt.ID(), RiskQuarantined, "key:a", ""))(t)
	if _, err := s.DecideFlag(ctx, shop, "click_fraud-none", RiskReleased, "", ""); err == nil {
		t.Error("a flag that is not there: got no error")
	}
}

// What who said nothing agreed to is by home market, then by the market they are
// in, then by shop; a session has the consent of its user; and nothing is learnt
// of who has not agreed.
func TestConsentByMarket(t *testing.T) {
	ctx := context.Background()
	s := open(t, Options{Dir: t.TempDir()})
	names := must(s.Pseudonyms(ctx, shop))(t)
	home, said, nobody, session := names.User("home"), names.User("said"), names.User("nobody"), names.Session("visit")
	all := features.AllPurposes
	if err := s.PutUsers(ctx, shop, []User{{ID: "home", Market: "DE"}, {ID: "said", Market: "DE", Consent: &all}}); err != nil {
		t.Fatal(err)
	}
	if err := s.SetDefaultConsent(ctx, shop, features.AllPurposes); err != nil {
		t.Fatal(err)
	}
	if err := s.SetMarketConsents(ctx, shop, map[string]features.Purposes{"DE": 0, "FR": features.Analytics}); err != nil {
		t.Fatal(err)
	}
	if err := s.Link(ctx, shop, session, home); err != nil {
		t.Fatal(err)
	}
	choices := must(s.Choices(ctx, shop))(t)
	for _, c := range []struct {
		who    features.UserKey
		market string
		want   features.Purposes
	}{
		{home, "FR", 0}, {home, "", 0}, {said, "FR", all}, {said, "DE", all}, {nobody, "DE", 0}, {nobody, "FR", features.Analytics},
		{nobody, "", all}, {nobody, "US", all},
	} {
		if got := must(s.ConsentIn(ctx, shop, c.who, c.market))(t); got != c.want {
			t.Errorf("%s in %q: got %v, want %v", c.who, c.market, got, c.want)
		}
		if got := choices.In(c.who, c.market); got != c.want {
			t.Errorf("all at once: %s in %q: got %v, want %v", c.who, c.market, got, c.want)
		}
	}
	if got := must(s.ConsentIn(ctx, shop, session, "US"))(t); got != 0 {
		t.Errorf("the session of one at home in DE: got %v, want none", got)
	}
	withheld := must(s.Withheld(ctx, shop))(t)
	for _, c := range []struct {
		e    features.Event
		want bool
	}{
		{features.Event{User: nobody, Market: "DE"}, true}, {features.Event{User: nobody, Market: "US"}, false},
		{features.Event{User: said, Market: "DE"}, false}, {features.Event{User: home, Market: "US"}, true},
	} {
		if got := withheld(&c.e); got != c.want {
			t.Errorf("event of %s in %s: got withheld %v, want %v", c.e.User, c.e.Market, got, c.want)
		}
	}
	no := features.Purposes(0)
	if err := s.SetConsent(ctx, shop, "said", said, &no); err != nil {
		t.Fatal(err)
	}
	if u := must(s.GetUser(ctx, shop, said))(t); u.Market != "DE" || *u.Consent != 0 {
		t.Errorf("got %+v, want another consent and the rest as it was", u)
	}
	if err := s.SetConsent(ctx, shop, "nobody", nobody, &all); err != nil {
		t.Fatal(err)
	}
	if u := must(s.GetUser(ctx, shop, nobody))(t); u.ID != "nobody" || *u.Consent != all {
		t.Errorf("got %+v, want a new user who agreed", u)
	}
}

// What is kept too long goes, sealed or not, and nothing else does.
func TestExpire(t *testing.T) {
	ctx := context.Background()
	now := noon
	s := open(t, Options{Dir: t.TempDir(), SegmentRows: 100, SealAt: -1, Clock: func() time.Time { return now }})
	for n := range 200 {
		e := event(n)
		e.ID, e.Type, e.Time, e.Text = "", features.View, noon.Add(-time.Duration(200-n)*time.Hour), ""
		if n%2 == 0 {
			e.Type = features.Purchase
		}
		e.Received = e.Time
		must(s.Append(ctx, shop, []features.Event{e}))(t)
	}
	must(s.Seal(ctx, shop, 120))(t)
	for i, at := range []time.Time{noon.Add(-100 * time.Hour), noon} {
		if err := s.PutServed(ctx, shop, []Served{{Recommendation: string(rune('a' + i)), Time: at, Surface: "home"}}); err != nil {
			t.Fatal(err)
		}
	}
	r := Retention{Events: map[features.EventType]time.Duration{features.View: 50 * time.Hour}, Answers: 50 * time.Hour}
	x := must(s.Expire(ctx, shop, r))(t)
	if x.Events[features.View] != 75 || len(x.Events) != 1 || x.Total != 76 {
		t.Errorf("got %+v taken out, want 75 views and an answer", x)
	}
	views, others := 0, 0
	for _, e := range scan(t, s, 0, 0) {
		if e.Type != features.View {
			others++
			continue
		}
		views++
		if e.Time.Before(noon.Add(-50 * time.Hour)) {
			t.Errorf("event %d of %s is still there", e.Seq, e.Time)
		}
	}
	if views != 25 || others != 100 {
		t.Errorf("got %d views and %d others left, want 25 and 100", views, others)
	}
	if again := must(s.Expire(ctx, shop, r))(t); again.Total != 0 {
		t.Errorf("once more: got %d taken out, want none", again.Total)
	}
	now = noon.Add(time.Hour)
	if later := must(s.Expire(ctx, shop, r))(t); later.Events[features.View]+later.Events[features.Purchase] != later.Total {
		t.Errorf("an hour later: got %+v", later)
	}
}
