package dataset

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
)

// The manner of a user is that of the first event which has one, of each
// window by itself, and that of the earlier where two are joined.
func TestManners(t *testing.T) {
	items, err := catalog.Of([]features.Item{{ID: "a"}})
	if err != nil {
		t.Fatal(err)
	}
	day := func(n int) time.Time { return time.Date(2011, 11, n, 0, 0, 0, 0, time.UTC) }
	view := func(user byte, locale, channel, device string, n int) features.Event {
		return features.Event{Type: features.View, User: features.UserKey{user}, Item: "a", Locale: locale, Channel: channel, Device: device, Time: day(n)}
	}
	l := tape{
		view(1, "", "", "", 1), view(1, "de-AT", "App", "Phone", 2), view(1, "en", "web", "desktop", 3), view(7, "fr", "app", "", 3), view(2, "", "", "", 3),
		view(2, "EN", "", "", 11), view(1, "fr", "mail", "", 12),
	}
	got, err := FromLog(context.Background(), l, features.DefaultShop, items, day(10), day(20))
	if err != nil {
		t.Fatal(err)
	}
	early, late, none := got[0].Data, got[1].Data, got[2].Data
	if want := []Manner{{"de", "app", "phone"}, {}}; !slices.Equal(early.Manners, want) {
		t.Errorf("got %v early, want %v", early.Manners, want)
	}
	if want := []Manner{{"fr", "mail", ""}, {"en", "", ""}}; !slices.Equal(late.Manners, want) {
		t.Errorf("got %v late, want %v", late.Manners, want)
	}
	if none.Manners != nil || none.Manner(1) != (Manner{}) {
		t.Errorf("got %v of an empty window, want none", none.Manners)
	}
	if want := []Manner{{"de", "app", "phone"}, {"en", "", ""}}; !slices.Equal(Join(early, late).Manners, want) || !slices.Equal(Join(early, none).Manners, early.Manners) {
		t.Errorf("got %v joined, want %v", Join(early, late).Manners, want)
	}
	bad := *early
	bad.Manners = bad.Manners[:1]
	if early.Validate() != nil || bad.Validate() == nil {
		t.Error("got a manner for one of two users taken, or for both refused")
	}
}
