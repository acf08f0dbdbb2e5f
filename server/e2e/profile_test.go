package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"
)

// soon waits until what follows the log has followed it.
func soon(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within a minute", what)
		}
	}
}

// A profile follows the shopper's purchases, by gRPC and by REST, and goes with
// the consent and with the person.
func TestProfileFollowsTheShopper(t *testing.T) {
	c := ready(t)
	ctx := context.Background()
	profiles := attunev1.NewProfileServiceClient(c.conn)
	get := func() (*attunev1.Profile, error) {
		return profiles.GetProfile(ctx, &attunev1.GetProfileRequest{Id: "ann"})
	}
	if _, err := get(); status.Code(err) != codes.NotFound {
		t.Fatalf("got %v of one nobody has met, want NotFound", err)
	}
	for i := range 6 {
		c.collect(t, &attunev1.Event{
			Type: attunev1.EventType_EVENT_TYPE_PURCHASE, User: "ann", Item: thing(2 * i), Order: fmt.Sprint(i), Quantity: 1,
			Price: &attunev1.Money{Micros: 12_000_000, Currency: "EUR"}, Context: &attunev1.Context{Device: "phone", Market: "Germany"},
			Time: timestamppb.New(time.Now().Add(-time.Duration(i) * 24 * time.Hour)),
		})
	}
	var p *attunev1.Profile
	soon(t, "six purchases", func() bool {
		var err error
		p, err = get()
		return err == nil && p.GetOrders() == 6
	})
	if p.GetSpent() != 72 || p.GetMarket() != "Germany" || p.GetLifecycle() != "loyal" || len(p.GetKey()) != 32 {
		t.Errorf("got %v", p)
	}
	if !slices.ContainsFunc(p.GetScenes(), func(s *attunev1.ProfileTag) bool {
		return s.GetName() == "device:phone" && s.GetConfidence() > .9 && strings.Contains(s.GetEvidence(), "6 of 6")
	}) {
		t.Errorf("got scenes %v, want the phone with its evidence", p.GetScenes())
	}
	code, body := c.rest(t, http.MethodGet, "/v1/shops/default/profiles/ann", "")
	if code != http.StatusOK || body["orders"] != 6. {
		t.Errorf("REST: got %d, %v", code, body)
	}
	if code, _ := c.rest(t, http.MethodGet, "/v1/shops/default/profiles?filter="+url.QueryEscape("profile.sent > 3"), ""); code != http.StatusBadRequest {
		t.Errorf("got %d for a filter over a field that there is not", code)
	}
	soon(t, "the profile in a list", func() bool { // who is listed follows the log
		list, err := profiles.ListProfiles(ctx, &attunev1.ListProfilesRequest{Filter: "profile.lifecycle == 'loyal' && profile.orders == 6", PageSize: 1})
		must(t, err)
		return len(list.GetProfiles()) == 1 && list.GetProfiles()[0].GetKey() == p.GetKey()
	})
	batch, err := profiles.BatchGetProfiles(ctx, &attunev1.BatchGetProfilesRequest{Ids: []string{"nobody", "ann"}})
	must(t, err)
	if len(batch.GetProfiles()) != 1 {
		t.Errorf("got %v, want ann's alone", batch.GetProfiles())
	}
	consent := func(yes bool) {
		_, err := c.users.UpsertUser(ctx, &attunev1.UpsertUserRequest{User: &attunev1.User{Id: "ann", Consent: &attunev1.Consent{Personalisation: yes, Marketing: true, Analytics: true}}})
		must(t, err)
	}
	consent(false)
	if _, err := get(); status.Code(err) != codes.NotFound {
		t.Errorf("got %v after consent was taken back, want NotFound", err)
	}
	consent(true)
	if p, err := get(); err != nil || p.GetOrders() != 6 || p.GetUser() != "ann" {
		t.Errorf("got %v, %v after consent was given again", p, err)
	}
	privacy := attunev1.NewPrivacyServiceClient(c.conn)
	out, err := privacy.ExportUser(ctx, &attunev1.ExportUserRequest{Id: "ann"})
	must(t, err)
	if out.GetData().GetFields()["profile"].GetStructValue().GetFields()["orders"].GetNumberValue() != 6 {
		t.Error("the export lacks what is concluded of the person")
	}
	_, err = privacy.EraseUser(ctx, &attunev1.EraseUserRequest{Id: "ann"})
	must(t, err)
	if _, err := get(); status.Code(err) != codes.NotFound {
		t.Errorf("got %v after erasure, want NotFound", err)
	}
}

// A segment by a rule has its members at once, streams them by gRPC and REST,
// outlives a restart, and is refused with the field that is wrong.
func TestSegments(t *testing.T) {
	dir := stock(t)
	c := start(t, config(dir))
	ctx := context.Background()
	segments := attunev1.NewSegmentServiceClient(c.conn)
	_, err := segments.UpsertSegment(ctx, &attunev1.UpsertSegmentRequest{Segment: &attunev1.Segment{Name: "buyers", Rule: "profile.ordres > 0"}})
	if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "profile.orders") {
		t.Errorf("got %v, want a refusal that names the fields there are", err)
	}
	s, err := segments.UpsertSegment(ctx, &attunev1.UpsertSegmentRequest{Segment: &attunev1.Segment{Name: "buyers", Title: "Who bought", Rule: "profile.orders > 0"}})
	must(t, err)
	if s.GetName() != "buyers" || s.GetSize() != -1 || s.GetCreateTime() == nil {
		t.Errorf("got %v", s)
	}
	members := func(c *client) (n int) {
		t.Helper()
		stream, err := attunev1.NewSegmentServiceClient(c.conn).StreamMembers(ctx, &attunev1.StreamMembersRequest{Name: "buyers"})
		must(t, err)
		for {
			_, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return n
			}
			must(t, err)
			n++
		}
	}
	soon(t, "members", func() bool { return members(c) > 0 })
	var now *attunev1.CountSegmentsResponse
	soon(t, "all members", func() bool {
		var err error
		now, err = segments.CountSegments(ctx, &attunev1.CountSegmentsRequest{})
		must(t, err)
		return now.GetNow().GetSizes()["buyers"] == int64(members(c))
	})
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.HTTP()+"/v1/shops/default/segments/buyers/members", nil)
	must(t, err)
	resp, err := http.DefaultClient.Do(r)
	must(t, err)
	lines := 0
	for in := bufio.NewScanner(resp.Body); in.Scan(); lines++ {
		if !strings.Contains(in.Text(), `"key":`) {
			t.Errorf("got line %q", in.Text())
		}
	}
	must(t, resp.Body.Close())
	if int64(lines) != now.GetNow().GetSizes()["buyers"] {
		t.Errorf("REST streamed %d members, want %d", lines, now.GetNow().GetSizes()["buyers"])
	}
	stages := int64(0)
	for _, stage := range []string{"new", "active", "loyal", "at_risk", "lost"} {
		stages += now.GetNow().GetSizes()["lifecycle:"+stage]
	}
	if stages != now.GetNow().GetShoppers() || stages == 0 {
		t.Errorf("got %d shoppers in stages of the lifecycle, want all %d", stages, now.GetNow().GetShoppers())
	}
	staged, err := segments.StreamMembers(ctx, &attunev1.StreamMembersRequest{Name: "lifecycle:sleepy"})
	must(t, err)
	if _, err := staged.Recv(); status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "at_risk") {
		t.Errorf("got %v, want the stages there are", err)
	}
	if _, err := segments.TrainSegment(ctx, &attunev1.TrainSegmentRequest{Name: "like", Users: []string{"x"}}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("got %v, want InvalidArgument for one example", err)
	}
	grid, err := segments.GetGrid(ctx, &attunev1.GetGridRequest{})
	must(t, err)
	if len(grid.GetCells()) == 0 || len(grid.GetOrders()) != 4 {
		t.Errorf("got grid %v", grid)
	}
	want := members(c)
	c.stop()
	c = start(t, config(dir))
	soon(t, "members after a restart", func() bool { return members(c) == want })
	segments = attunev1.NewSegmentServiceClient(c.conn)
	_, err = segments.DeleteSegment(ctx, &attunev1.DeleteSegmentRequest{Name: "buyers"})
	must(t, err)
	stream, err := segments.StreamMembers(ctx, &attunev1.StreamMembersRequest{Name: "buyers"})
	must(t, err)
	if _, err := stream.Recv(); status.Code(err) != codes.NotFound {
		t.Errorf("got %v, want NotFound of a segment that is gone", err)
	}
}

// What was refused can be looked at with the reason, and taken once more after
// the limits were widened: once, however often it is asked for.
func TestDeadLettersAreReplayed(t *testing.T) {
	dir := stock(t)
	narrow := config(dir)
	narrow.EventAge = 24 * time.Hour
	c := start(t, narrow)
	ctx := context.Background()
	old := func(id string) *attunev1.Event {
		return &attunev1.Event{Id: id, Type: attunev1.EventType_EVENT_TYPE_VIEW, User: "ann", Item: thing(1), Time: timestamppb.New(time.Now().Add(-48 * time.Hour))}
	}
	_, err := c.events.CollectBatch(ctx, &attunev1.CollectBatchRequest{Events: []*attunev1.Event{old("a"), old(""), {Id: "c"}}})
	must(t, err)
	list, err := c.events.ListDeadLetters(ctx, &attunev1.ListDeadLettersRequest{PageSize: 2})
	must(t, err)
	if len(list.GetLetters()) != 2 || list.GetNextPageToken() == "" {
		t.Fatalf("got %v, want two of three and a next page", list)
	}
	if l := list.GetLetters()[0]; l.GetReason() == "" || l.GetPayload() == "" || l.GetReplayed() != nil {
		t.Errorf("got %v", l)
	}
	rest, err := c.events.ListDeadLetters(ctx, &attunev1.ListDeadLettersRequest{PageSize: 2, PageToken: list.GetNextPageToken()})
	must(t, err)
	if len(rest.GetLetters()) != 1 || rest.GetNextPageToken() != "" {
		t.Errorf("got %v of the second page", rest)
	}
	replay := func(want string) {
		t.Helper()
		r, err := c.events.ReplayDeadLetters(ctx, &attunev1.ReplayDeadLettersRequest{})
		must(t, err)
		if got := fmt.Sprint(r.GetAccepted(), r.GetDuplicates(), r.GetRejected(), len(r.GetErrors())); got != want {
			t.Errorf("got %s accepted, stored before, refused and reasons: want %s", got, want)
		}
	}
	replay("0 0 3 3") // nothing has changed
	c.stop()
	c = start(t, config(dir))
	replay("2 0 1 1")
	replay("0 0 1 1")
	pending, err := c.events.ListDeadLetters(ctx, &attunev1.ListDeadLettersRequest{Pending: true})
	must(t, err)
	if len(pending.GetLetters()) != 1 || pending.GetLetters()[0].GetRule() != "invalid" {
		t.Errorf("got %v pending, want the one that cannot be taken", pending.GetLetters())
	}
	if code, body := c.rest(t, http.MethodGet, "/v1/shops/default/deadLetters?rule=too_old", ""); code != http.StatusOK || len(body["letters"].([]any)) != 2 {
		t.Errorf("REST: got %d, %v", code, body)
	}
	if code, _ := c.rest(t, http.MethodPost, "/v1/shops/default/deadLetters:replay", `{"ids":["999"]}`); code != http.StatusBadRequest {
		t.Errorf("got %d for a letter that there is not", code)
	}
}
