package e2e

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"
)

// A partner's list of hashed e-mails makes its shoppers members once the shop
// knows whose they are: in profiles with who brought it, in segments, in the
// figures of the list; erasure takes them off for good.
func TestPartnersList(t *testing.T) {
	c := start(t, config(stock(t)))
	ctx := context.Background()
	audiences, profiles := attunev1.NewAudienceServiceClient(c.conn), attunev1.NewProfileServiceClient(c.conn)
	digits := strings.Repeat("A1", 32)
	list := &attunev1.ImportAudienceRequest{Name: "High value", Source: "Acme CRM", ExpireTime: timestamppb.New(time.Now().Add(time.Hour)), Members: []*attunev1.AudienceMember{
		{Name: &attunev1.AudienceMember_EmailSha256{EmailSha256: digits}}, {Name: &attunev1.AudienceMember_EmailSha256{EmailSha256: "ann@example.com"}},
		{Name: &attunev1.AudienceMember_Device{Device: "tv"}}, {},
	}}
	put := func(stored, same, withheld int64) {
		t.Helper()
		r, err := audiences.ImportAudience(ctx, list)
		must(t, err)
		if r.GetStored() != stored || r.GetSame() != same || r.GetWithheld() != withheld || r.GetRejected() != 2 || len(r.GetErrors()) != 2 || r.GetErrors()[1].GetIndex() != 3 {
			t.Errorf("got %v, want %d, %d and %d", r, stored, same, withheld)
		}
	}
	put(2, 0, 0)
	put(0, 2, 0)
	odd := &attunev1.ImportAudienceRequest{Name: "vip\u00a0", Source: "Acme CRM", Members: list.GetMembers()}
	if _, err := audiences.ImportAudience(ctx, odd); status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "cannot name an audience") {
		t.Errorf("got %v of a name that ends in a blank, want what a name may be", err)
	}
	_, err := c.events.Collect(ctx, &attunev1.CollectRequest{Event: &attunev1.Event{Id: "v", Type: attunev1.EventType_EVENT_TYPE_VIEW, User: "ann", Item: thing(1), Time: timestamppb.Now()}})
	must(t, err)
	_, err = attunev1.NewSegmentServiceClient(c.conn).UpsertSegment(ctx, &attunev1.UpsertSegmentRequest{Segment: &attunev1.Segment{Name: "target", Rule: "'High value' in profile.audiences"}})
	must(t, err)
	get := func() *attunev1.Profile {
		t.Helper()
		p, err := profiles.GetProfile(ctx, &attunev1.GetProfileRequest{Id: "ann"})
		must(t, err)
		return p
	}
	if p := get(); len(p.GetAudiences()) != 0 {
		t.Errorf("got %v before the shop knew whose the e-mail is", p.GetAudiences())
	}
	mail := &attunev1.Alias{Name: &attunev1.Alias_EmailSha256{EmailSha256: strings.ToLower(digits)}}
	_, err = c.users.LinkUser(ctx, &attunev1.LinkUserRequest{Id: "ann", Alias: mail})
	must(t, err)
	p := get()
	if a := p.GetAudiences(); len(a) != 1 || a[0].GetAudience() != "High value" || a[0].GetSource() != "Acme CRM" || a[0].GetSince() == nil || a[0].GetExpireTime() == nil || !slices.Contains(p.GetSegments(), "target") {
		t.Errorf("got %v and the segments %v, want the list as evidence and the segment", a, p.GetSegments())
	}
	if code, body := c.rest(t, http.MethodGet, "/v1/shops/default/audiences/High%20value", ""); code != http.StatusOK || body["size"] != "2" || body["matched"] != "1" || body["unmatched"] != "1" {
		t.Errorf("REST: got %d, %v", code, body)
	}
	all, err := audiences.ListAudiences(ctx, &attunev1.ListAudiencesRequest{})
	must(t, err)
	if len(all.GetAudiences()) != 1 || all.GetNextPageToken() != "" {
		t.Errorf("got %v", all)
	}
	privacy := attunev1.NewPrivacyServiceClient(c.conn)
	out, err := privacy.ExportUser(ctx, &attunev1.ExportUserRequest{Id: "ann"})
	must(t, err)
	if on := out.GetData().GetFields()["audiences"].GetListValue().GetValues(); len(on) != 1 || on[0].GetStructValue().GetFields()["source"].GetStringValue() != "Acme CRM" {
		t.Errorf("got %v in the export, want the list she is on", on)
	}
	no := false
	_, err = privacy.SetConsent(ctx, &attunev1.SetConsentRequest{Id: "ann", Marketing: &no})
	must(t, err)
	if p := get(); len(p.GetAudiences()) != 0 || len(p.GetSegments()) != 0 {
		t.Errorf("got %v, %v without consent to marketing", p.GetAudiences(), p.GetSegments())
	}
	_, err = privacy.EraseUser(ctx, &attunev1.EraseUserRequest{Id: "ann"})
	must(t, err)
	put(0, 1, 1)
	_, err = audiences.DeleteAudience(ctx, &attunev1.DeleteAudienceRequest{Name: "High value"})
	must(t, err)
	if _, err := audiences.GetAudience(ctx, &attunev1.GetAudienceRequest{Name: "High value"}); status.Code(err) != codes.NotFound {
		t.Errorf("got %v, want NotFound of a list that is gone", err)
	}
}
