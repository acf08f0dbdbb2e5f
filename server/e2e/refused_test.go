package e2e

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"
)

// A single event that is refused is kept with the reason, as one of a batch is;
// one larger than any that could be mended leaves its reason only.
func TestRefusedCallsAreKept(t *testing.T) {
	dir := stock(t)
	c := start(t, config(dir))
	before, err := reader(t, dir).ListDead(context.Background(), shop, 0, 1000)
	must(t, err)
	for _, e := range []*attunev1.Event{
		{Type: attunev1.EventType_EVENT_TYPE_VIEW, Item: "nobody's"},
		{Type: attunev1.EventType_EVENT_TYPE_VIEW, User: somebody(1), Item: strings.Repeat("x", 300)},
		{Type: attunev1.EventType_EVENT_TYPE_SEARCH, User: somebody(1)},
		{Type: attunev1.EventType_EVENT_TYPE_SEARCH, User: somebody(1), Text: strings.Repeat("y", 200<<10)},
	} {
		if _, err := c.events.Collect(context.Background(), &attunev1.CollectRequest{Shop: string(shop), Event: e}); err == nil {
			t.Fatalf("%v was taken", e)
		}
	}
	if code, _ := c.rest(t, http.MethodPost, "/v1/shops/nowhere/events", `{"type":"EVENT_TYPE_VIEW","item":"x"}`); code != http.StatusBadRequest {
		t.Fatalf("got status %d, want 400", code)
	}
	st := reader(t, dir)
	got, err := st.ListDead(context.Background(), shop, 0, 1000)
	must(t, err)
	got = got[len(before):]
	if len(got) != 4 {
		t.Fatalf("got %d dead letters, want 4: %v", len(got), got)
	}
	for i, d := range got {
		var raw map[string]any
		switch {
		case d.Rule != "invalid" || d.Reason == "" || len(d.Reason) > 2<<10 || !strings.HasPrefix(d.Source, "Collect"):
			t.Errorf("letter %d: got rule %q, reason %q from %q", i, d.Rule, d.Reason, d.Source)
		case i == 3 && len(d.Payload) != 0:
			t.Errorf("letter %d: got %d bytes of payload, want none of so large an event", i, len(d.Payload))
		case i < 3 && (json.Unmarshal(d.Payload, &raw) != nil || raw["type"] == nil):
			t.Errorf("letter %d: got payload %s, want the event as it came", i, d.Payload)
		}
	}
	shops, err := st.Shops(context.Background())
	must(t, err)
	for _, s := range shops {
		if s == "nowhere" {
			t.Error("a refused call made its shop")
		}
	}
}
