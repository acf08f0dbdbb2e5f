package journal

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
)

// Of who was forgotten nothing is written that waited or was under way; what
// they are answered later is, and so is everyone else's.
func TestForgottenAreNotWritten(t *testing.T) {
	p := &paper{got: map[features.ShopID][]string{}, entered: make(chan struct{}, 100), hold: make(chan struct{})}
	j := New(p, Options{Batch: 1, Logger: quiet()})
	gone, other, at := features.UserKey{1}, features.UserKey{2}, time.Unix(1_800_000_000, 0)
	put := func(id string, user, session features.UserKey, after time.Duration) {
		j.Put("a", store.Served{Recommendation: id, User: user, Session: session, Time: at.Add(after)})
	}
	put("being written", gone, other, -time.Second)
	<-p.entered
	put("waits", gone, features.UserKey{}, -time.Second)
	put("waits by session", other, gone, 0)
	put("another's", other, features.UserKey{}, -time.Second)
	forgotten := make(chan struct{})
	go func() {
		j.Forget("a", gone, at)
		close(forgotten)
	}()
	p.hold <- struct{}{} // Forget returns once that write has ended
	close(p.hold)
	<-forgotten
	put("was under way", gone, features.UserKey{}, -time.Millisecond)
	put("later", gone, features.UserKey{}, time.Millisecond)
	j.Put("b", store.Served{Recommendation: "in another shop", User: gone, Time: at.Add(-time.Second)})
	if err := j.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	all := slices.Concat(p.got["a"], p.got["b"])
	for _, id := range []string{"being written", "another's", "later", "in another shop"} {
		if !slices.Contains(all, id) {
			t.Errorf("%q was not written", id)
		}
	}
	if slices.Contains(all, "was under way") {
		t.Error("what was under way was written")
	}
	for s := range j.forgotten {
		j.Forget("a", features.UserKey{9}, j.forgotten[s].Add(2*remembered))
	}
	if len(j.forgotten) != 1 {
		t.Errorf("got %d remembered, want the newest alone", len(j.forgotten))
	}
}

// What waits when Forget returns is not written.
func TestForgottenInTheQueue(t *testing.T) {
	p := &paper{got: map[features.ShopID][]string{}}
	j := New(p, Options{Batch: 100, Linger: time.Hour, Logger: quiet()})
	gone, now := features.UserKey{1}, time.Unix(1_800_000_000, 0)
	j.Put("a", store.Served{Recommendation: "waits", User: gone, Time: now})
	j.Put("a", store.Served{Recommendation: "another's", User: features.UserKey{2}, Time: now})
	j.Forget("a", gone, now)
	if err := j.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := p.got["a"]; len(got) != 1 || got[0] != "another's" {
		t.Errorf("got %q written, want another's alone", got)
	}
}
