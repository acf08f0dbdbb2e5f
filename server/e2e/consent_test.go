package e2e

import (
	"context"
	"database/sql"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features/store"
)

// Two shoppers with opposite histories who take back their consent get the same
// answers from the next call on, apart from their ids, whatever they hid; and
// their own again when they give it.
func TestConsentTakenBack(t *testing.T) {
	dir := stock(t)
	promote(t, dir, publish(t, dir, 1, items()))
	c := start(t, config(dir))
	ctx := context.Background()
	mugs, scarves := somebody(4), somebody(5)
	c.collect(t, &attunev1.Event{Id: "hidden", Type: attunev1.EventType_EVENT_TYPE_HIDE, User: mugs, Item: thing(4)})
	agree := func(yes bool) {
		for _, who := range []string{mugs, scarves} {
			_, err := c.users.UpsertUser(ctx, &attunev1.UpsertUserRequest{User: &attunev1.User{
				Id: who, Consent: &attunev1.Consent{Personalisation: yes, Marketing: true, Analytics: true},
			}})
			must(t, err)
		}
	}
	answers := func(who, session string) (all []string) {
		for _, surface := range []string{"home", "item", "cart"} {
			r := &attunev1.RecommendRequest{User: who, Session: session, Surface: surface, Context: &attunev1.Context{Market: "Germany"}}
			if surface != "home" {
				r.Item = thing(3)
			}
			resp := c.ask(t, r)
			resp.RecommendationId, resp.NextPageToken = "", ""
			b, err := proto.MarshalOptions{Deterministic: true}.Marshal(resp)
			must(t, err)
			all = append(all, string(b))
		}
		return all
	}
	same := func(a, b []string) int {
		n := 0
		for i := range a {
			if a[i] == b[i] {
				n++
			}
		}
		return n
	}
	before := answers(mugs, "")
	if n := same(before, answers(scarves, "")); n == len(before) {
		t.Fatal("with consent both get the same answers: the test is blind")
	}
	agree(false)
	read, written := profileReads(t, c), peopleRows(t, dir)
	for _, visit := range []string{"", "a visit"} {
		without := answers(mugs, visit)
		if n := same(without, answers(scarves, visit+visit)); n != len(without) {
			t.Errorf("without consent, in session %q: %d of %d answers are the same", visit, n, len(without))
		}
		for _, e := range []*attunev1.Event{
			{Id: "m" + visit, Type: attunev1.EventType_EVENT_TYPE_PURCHASE, User: mugs, Session: visit, Item: thing(2)},
			{Id: "s" + visit, Type: attunev1.EventType_EVENT_TYPE_PURCHASE, User: scarves, Item: thing(1)},
		} {
			c.collect(t, e)
		}
		if n := same(answers(mugs, visit), answers(scarves, "")); n != len(without) {
			t.Errorf("without consent, after new events, in session %q: %d of %d answers are the same", visit, n, len(without))
		}
	}
	if got := profileReads(t, c); got != read {
		t.Errorf("without consent: %v profiles were read for answers, want none", got-read)
	}
	if got := peopleRows(t, dir); got != written {
		t.Errorf("without consent: rows of persons were %q and are %q, want them as they were", written, got)
	}
	agree(true)
	if n := same(answers(mugs, ""), answers(scarves, "")); n == len(before) {
		t.Error("with consent given again both get the same answers")
	}
	if got := profileReads(t, c); got == read {
		t.Error("with consent no profile is read: the test is blind")
	}
	if got := peopleRows(t, dir); got == written {
		t.Error("with consent given again rows of persons are as they were: the test is blind")
	}
}

// profileReads is how often profiles were read, from memory or the store.
func profileReads(t *testing.T, c *client) (n float64) {
	t.Helper()
	for _, from := range []string{"memory", "store"} {
		if v, ok := c.series(t, `attune_profile_reads_total\{from="`+from+`"\}`); ok {
			n += v
		}
	}
	return n
}

// peopleRows is a digest of every row that tells of persons but for the log,
// which has what they did and tells it to nobody, and the links of sessions in it.
func peopleRows(t *testing.T, dir string) string {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "attune.db")+"?mode=ro&_pragma=busy_timeout(10000)")
	must(t, err)
	defer db.Close()
	var all []string
	for _, q := range []string{
		`SELECT coalesce(group_concat(hex(user_key) || consent || market || languages || hex(personal) || updated, ';'), '') FROM (SELECT * FROM users ORDER BY shop, user_key)`,
		`SELECT count(*) || ' flags' FROM risk_flags`,
	} {
		var s string
		must(t, db.QueryRow(q).Scan(&s))
		all = append(all, s)
	}
	return strings.Join(all, " | ")
}

// Who is erased is nobody from the next answer on: their answers are those of
// somebody never met, and none that they were given stands anywhere.
func TestErasureHoldsForTheNextAnswer(t *testing.T) {
	dir := stock(t)
	promote(t, dir, publish(t, dir, 1, items()))
	c := start(t, config(dir))
	ctx := context.Background()
	answer := func(who string) string {
		resp := c.ask(t, &attunev1.RecommendRequest{User: who, Surface: "home"})
		resp.RecommendationId, resp.NextPageToken = "", ""
		b, err := proto.MarshalOptions{Deterministic: true}.Marshal(resp)
		must(t, err)
		return string(b)
	}
	gone, nobody := somebody(4), "never met"
	if answer(gone) == answer(nobody) {
		t.Fatal("before the erasure they get what nobody gets: the test is blind")
	}
	certificate, err := attunev1.NewPrivacyServiceClient(c.conn).EraseUser(ctx, &attunev1.EraseUserRequest{Id: gone})
	must(t, err)
	if answer(gone) != answer(nobody) {
		t.Error("after the erasure their answers are not those of somebody never met")
	}
	c.stop()
	st := openStore(t, dir)
	defer func() { must(t, st.Close()) }()
	names, err := st.Pseudonyms(ctx, shop)
	must(t, err)
	named := 0
	must(t, st.ScanServed(ctx, shop, time.Time{}, time.Time{}, func(s *store.Served) error {
		if s.User == names.User(gone) && !s.Time.After(certificate.GetTime().AsTime()) {
			t.Errorf("an answer of %s still names them", s.Time)
		}
		if !s.User.IsZero() {
			named++
		}
		return nil
	}))
	if named == 0 {
		t.Error("no answer names anybody: the test is blind")
	}
}
