package privacy_test

import (
	"context"
	"encoding/csv"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/server/app"
)

// Consent is changed purpose by purpose, and the rest of the person stays.
func TestConsentByPurpose(t *testing.T) {
	ctx := context.Background()
	conn, stop := serve(t, t.TempDir(), func(c *app.Config) { c.DefaultConsent = []string{"default=all", "default/DE=analytics"} })
	defer stop()
	users, private := attunev1.NewUserServiceClient(conn), attunev1.NewPrivacyServiceClient(conn)
	get := func(market string) string {
		t.Helper()
		c, err := private.GetConsent(ctx, &attunev1.GetConsentRequest{Id: "a", Market: market})
		must(t, err)
		return fmt.Sprint(c.GetSaid(), c.GetConsent().GetPersonalisation(), c.GetConsent().GetMarketing(), c.GetConsent().GetAnalytics())
	}
	for market, want := range map[string]string{"": "false true true true", "DE": "false false false true"} {
		if got := get(market); got != want {
			t.Errorf("who said nothing, in %q: got %s, want %s", market, got, want)
		}
	}
	_, err := users.UpsertUser(ctx, &attunev1.UpsertUserRequest{User: &attunev1.User{Id: "a", Region: "north"}})
	must(t, err)
	no := false
	_, err = private.SetConsent(ctx, &attunev1.SetConsentRequest{Id: "a", Personalisation: &no})
	must(t, err)
	if got := get("DE"); got != "true false true true" {
		t.Errorf("without personalisation: got %s, want only that gone", got)
	}
	u, err := users.GetUser(ctx, &attunev1.GetUserRequest{Id: "a"})
	must(t, err)
	if u.GetRegion() != "north" {
		t.Errorf("got %v, want the rest of the user as it was", u)
	}
	_, err = private.SetConsent(ctx, &attunev1.SetConsentRequest{Id: "a", Unsay: true})
	must(t, err)
	if got := get("DE"); got != "false false false true" {
		t.Errorf("said nothing any more: got %s, want the market's default", got)
	}
}

// Who read what of a person is told, a caller's readers are listed with whom they
// read, and reading many rings the alarm once.
func TestBreach(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	conn, stop := serve(t, dir, func(c *app.Config) { c.BulkReads, c.BulkWindow = 5, time.Hour })
	users, private, events := attunev1.NewUserServiceClient(conn), attunev1.NewPrivacyServiceClient(conn), attunev1.NewEventServiceClient(conn)
	for n := range 8 {
		_, err := users.UpsertUser(ctx, &attunev1.UpsertUserRequest{User: &attunev1.User{Id: fmt.Sprint("person-", n)}})
		must(t, err)
	}
	before := timestamppb.Now()
	for n := range 8 { // what a frontend asks of everybody is written down, and rings no alarm
		_, err := private.GetConsent(ctx, &attunev1.GetConsentRequest{Id: fmt.Sprint("person-", n)})
		must(t, err)
	}
	_, err := users.GetUser(ctx, &attunev1.GetUserRequest{Id: "person-3"})
	must(t, err)
	_, err = users.ListUsers(ctx, &attunev1.ListUsersRequest{})
	must(t, err)
	_, err = users.ListUsers(ctx, &attunev1.ListUsersRequest{})
	must(t, err)
	told, err := private.ListAccesses(ctx, &attunev1.ListAccessesRequest{Id: "person-3", From: before})
	must(t, err)
	var got []string
	for _, a := range told.GetAccesses() {
		got = append(got, a.GetMethod()[strings.LastIndex(a.GetMethod(), "/")+1:])
		if strings.Count(a.GetDetail(), " ") > 1 {
			t.Errorf("got the entry %v, want no other person in it", a)
		}
	}
	if want := "ListAccesses ListUsers ListUsers GetUser GetConsent"; strings.Join(got, " ") != want {
		t.Errorf("accesses of a person: got %v, want %s", got, want)
	}
	// Refused events tell of persons too.
	if _, err := events.Collect(ctx, &attunev1.CollectRequest{Event: &attunev1.Event{Type: attunev1.EventType_EVENT_TYPE_VIEW, User: "person-5"}}); err == nil {
		t.Fatal("an event without an item was taken")
	}
	letters, err := events.ListDeadLetters(ctx, &attunev1.ListDeadLettersRequest{})
	must(t, err)
	told, err = private.ListAccesses(ctx, &attunev1.ListAccessesRequest{Id: "person-5", From: before})
	must(t, err)
	if len(letters.GetLetters()) != 1 || len(told.GetAccesses()) < 2 || !strings.HasSuffix(told.GetAccesses()[1].GetMethod(), "ListDeadLetters") {
		t.Errorf("the refused event of a person was read: got %v, want to be told", told.GetAccesses())
	}
	page, err := private.ListAffected(ctx, &attunev1.ListAffectedRequest{Actor: "anonymous", From: before, PageSize: 5})
	must(t, err)
	rest, err := private.ListAffected(ctx, &attunev1.ListAffectedRequest{Actor: "anonymous", From: before, PageToken: page.GetNextPageToken()})
	must(t, err)
	ids := map[string]bool{}
	for _, p := range append(page.GetPersons(), rest.GetPersons()...) {
		ids[p.GetId()] = true
	}
	if len(page.GetPersons()) != 5 || len(rest.GetPersons()) != 3 || len(ids) != 8 {
		t.Errorf("affected: got %d and %d, %v, want all eight", len(page.GetPersons()), len(rest.GetPersons()), ids)
	}
	none, err := private.ListAffected(ctx, &attunev1.ListAffectedRequest{Actor: "key:other"})
	must(t, err)
	if len(none.GetPersons()) > 0 {
		t.Errorf("another caller's: got %v, want nobody", none.GetPersons())
	}
	stop()
	st, err := store.OpenReader(ctx, store.Options{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	defer st.Close()
	rung := 0
	must(t, st.ScanAudit(ctx, features.DefaultShop, func(a *store.Audited) error {
		if strings.HasPrefix(a.Detail, "alarm: ") {
			rung++
		}
		return nil
	}))
	if rung != 1 {
		t.Errorf("the alarm rang %d times, want once", rung)
	}
}

// The export as CSV says what the JSON does.
func TestExportAsCSV(t *testing.T) {
	ctx := context.Background()
	conn, stop := serve(t, t.TempDir(), nil)
	defer stop()
	events, private := attunev1.NewEventServiceClient(conn), attunev1.NewPrivacyServiceClient(conn)
	for n, text := range []string{`a "quoted", word`, "=1+1"} {
		_, err := events.Collect(ctx, &attunev1.CollectRequest{Event: &attunev1.Event{
			Id: fmt.Sprint(n), Type: attunev1.EventType_EVENT_TYPE_SEARCH, User: "a", Text: text, Time: timestamppb.Now(),
		}})
		must(t, err)
	}
	x, err := private.ExportUser(ctx, &attunev1.ExportUserRequest{Id: "a", Format: attunev1.ExportFormat_EXPORT_FORMAT_CSV})
	must(t, err)
	tables := map[string][][]string{}
	for _, table := range x.GetTables() {
		tables[table.GetName()], err = csv.NewReader(strings.NewReader(table.GetCsv())).ReadAll()
		must(t, err)
	}
	var texts []string
	for i, row := range tables["events"] {
		for j, name := range tables["events"][0] {
			if name == "text" && i > 0 {
				texts = append(texts, row[j])
			}
		}
	}
	if fmt.Sprintf("%q", texts) != `["a \"quoted\", word" "'=1+1"]` || len(tables["person"]) < 2 || x.GetData() != nil {
		t.Errorf("got %q of %v, want both texts, no formula, and the person", texts, tables)
	}
}

// A flag is found, quarantined by itself, let in by a person, and all of it
// stands in the audit log.
func TestRiskService(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	conn, stop := serve(t, dir, func(c *app.Config) { c.RiskQuarantine = .8 })
	events, risks := attunev1.NewEventServiceClient(conn), attunev1.NewRiskServiceClient(conn)
	var all []*attunev1.Event
	start := time.Now().Add(-50 * time.Minute)
	for n := range 50 { // fifty visitors of three looks, and one of ninety at one item
		for look := range 3 {
			all = append(all, &attunev1.Event{Type: attunev1.EventType_EVENT_TYPE_CLICK, User: fmt.Sprint("visitor", n), Item: fmt.Sprint("item", (n+look)%20),
				Time: timestamppb.New(start.Add(time.Duration(n) * time.Second))})
		}
	}
	for n := range 90 {
		all = append(all, &attunev1.Event{Type: attunev1.EventType_EVENT_TYPE_CLICK, User: "robot", Item: "item1", Time: timestamppb.New(start.Add(time.Duration(20*n) * time.Second))})
	}
	for i, e := range all {
		e.Id = fmt.Sprint("e", i)
	}
	_, err := events.CollectBatch(ctx, &attunev1.CollectBatchRequest{Events: all})
	must(t, err)
	found, err := risks.AssessRisk(ctx, &attunev1.AssessRiskRequest{})
	must(t, err)
	if found.GetEvents() != 240 || found.GetFlags() != 1 || found.GetQuarantined() != 1 {
		t.Fatalf("got %v, want the robot among 240 events", found)
	}
	list, err := risks.ListRiskFlags(ctx, &attunev1.ListRiskFlagsRequest{State: attunev1.RiskState_RISK_STATE_QUARANTINED})
	must(t, err)
	if len(list.GetFlags()) != 1 || list.GetFlags()[0].GetKind() != "click_fraud" || len(list.GetFlags()[0].GetReasons()) == 0 {
		t.Fatalf("got %v, want one flag of click fraud with reasons", list)
	}
	id := list.GetFlags()[0].GetId()
	out, err := risks.ReleaseRiskFlag(ctx, &attunev1.ReleaseRiskFlagRequest{Flag: id, Note: "our own test"})
	must(t, err)
	if out.GetFlag().GetState() != attunev1.RiskState_RISK_STATE_RELEASED || out.GetFlag().GetDecidedBy() != "anonymous" {
		t.Errorf("got %v, want it released by the caller", out)
	}
	if again, err := risks.AssessRisk(ctx, &attunev1.AssessRiskRequest{}); err != nil || again.GetQuarantined() != 0 {
		t.Errorf("looked again: got %v, %v, want nothing quarantined", again, err)
	}
	for who, want := range map[string]int{"robot": 1, "visitor1": 0} {
		x, err := attunev1.NewPrivacyServiceClient(conn).ExportUser(ctx, &attunev1.ExportUserRequest{Id: who})
		must(t, err)
		flags, _ := x.GetData().AsMap()["risk"].([]any)
		if len(flags) != want || want == 1 && !strings.Contains(fmt.Sprint(flags), "note:our own test") {
			t.Errorf("export of %s: got the flags %v, want %d", who, flags, want)
		}
	}
	stop()
	st, err := store.OpenReader(ctx, store.Options{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	defer st.Close()
	var told []string
	must(t, st.ScanAudit(ctx, features.DefaultShop, func(a *store.Audited) error {
		if a.Subject == id {
			told = append(told, a.Method[strings.LastIndex(a.Method, "/")+1:]+" by "+a.Actor)
		}
		return nil
	}))
	if got := strings.Join(told, ", "); got != "QuarantineRiskFlag by server, ReleaseRiskFlag by anonymous" {
		t.Errorf("audit log of the flag: got %s", got)
	}
}
