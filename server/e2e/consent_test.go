package e2e

import (
	"context"
	"testing"

	"google.golang.org/protobuf/proto"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"
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
	agree(true)
	if n := same(answers(mugs, ""), answers(scarves, "")); n == len(before) {
		t.Error("with consent given again both get the same answers")
	}
}
