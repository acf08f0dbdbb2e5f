package recommend

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models/pipeline"
)

// breaking is a release whose pipeline panics, or waits.
type breaking struct {
	*stand
	wait chan struct{} // nil: it panics
}

func (b *breaking) Pipeline(string) Pipeline { return b }

func (b *breaking) Answer(context.Context, *features.Request, *pipeline.Answer) error {
	if b.wait == nil {
		panic("no model")
	}
	<-b.wait
	return nil
}

func shadowed(t *testing.T, s *stand, shadow Release) (*Recommender, chan Shadowed) {
	t.Helper()
	seen := make(chan Shadowed, 10)
	rec, err := New(Options{Releases: s, Shoppers: s, Journal: s, Clock: func() time.Time { return now }, Shadow: Shadow{
		Share: 1, Release: func(features.ShopID) (Release, bool) { return shadow, true }, Seen: func(x Shadowed) { seen <- x },
	}})
	if err != nil {
		t.Fatal(err)
	}
	return rec, seen
}

// The shadow gets the same question, its answer is compared and not recorded.
func TestShadowAnswersBeside(t *testing.T) {
	s, other := newStand("v1", 10), newStand("v2", 3)
	rec, seen := shadowed(t, s, other)
	other.held = 1 // as Acquire would
	var ans Answer
	if err := rec.Recommend(context.Background(), &Query{Shop: "default", Limit: 4, Exclude: []string{"item-0"}}, &ans); err != nil {
		t.Fatal(err)
	}
	if err := rec.Close(); err != nil {
		t.Fatal(err)
	}
	x := <-seen
	if x.Release != "v2" || x.Err != nil || x.Overlap != .5 || x.Surface != "home" { // items 1 to 4, items 1 and 2
		t.Errorf("got %+v, want half of the items in common", x)
	}
	if ans.Release != "v1" || len(s.served) != 1 || len(other.served) != 0 || other.held != 0 {
		t.Errorf("got %s, %d and %d records, %d held, want the shadow unseen and given back", ans.Release, len(s.served), len(other.served), other.held)
	}
}

// A shadow that breaks or hangs harms nobody: one question at a time waits for it.
func TestShadowHarmsNobody(t *testing.T) {
	s := newStand("v1", 3)
	rec, seen := shadowed(t, s, &breaking{stand: newStand("v2", 3)})
	var ans Answer
	ask := func() {
		t.Helper()
		if err := rec.Recommend(context.Background(), &Query{Shop: "default", Limit: 2}, &ans); err != nil || len(ans.Items) != 2 {
			t.Fatalf("got %v, %v, want 2 items", ans.Items, err)
		}
	}
	ask()
	if x := <-seen; x.Err == nil {
		t.Errorf("got %+v, want the panic as an error", x)
	}
	slow := &breaking{newStand("v2", 3), make(chan struct{})}
	rec, seen = shadowed(t, s, slow)
	ask()
	ask()
	if x := <-seen; !x.Missed {
		t.Errorf("got %+v, want the second missed", x)
	}
	close(slow.wait)
	if err := rec.Close(); err != nil {
		t.Fatal(err)
	}
}

// Outcomes say what became of questions, and leave out what callers did.
func TestOutcomes(t *testing.T) {
	var got []Outcome
	s := newStand("v1", 3)
	rec, err := New(Options{Releases: s, Shoppers: s, Clock: func() time.Time { return now }, Observe: func(o Outcome) { got = append(got, o) }})
	if err != nil {
		t.Fatal(err)
	}
	var ans Answer
	ask := func(q Query) { _ = rec.Recommend(context.Background(), &q, &ans) }
	ask(Query{Shop: "default", Limit: 2})
	ask(Query{Shop: "default", Limit: 2, Exclude: []string{"item-0", "item-1", "item-2"}})
	ask(Query{Shop: "default", Limit: 2, Surface: "mail"})
	ask(Query{Shop: "default", Limit: 2, Seen: []byte{1}})
	s.lost = errors.New("disk")
	ask(Query{Shop: "default", Limit: 2, User: features.UserKey{1}})
	want := []Outcome{{}, {Empty: true}, {Failed: true}, {Failed: true}}
	if len(got) != len(want) {
		t.Fatalf("got %+v, want %d outcomes", got, len(want))
	}
	for i := range want {
		if got[i].Failed != want[i].Failed || got[i].Empty != want[i].Empty || got[i].Release != "v1" || got[i].Shop != "default" {
			t.Errorf("outcome %d: got %+v, want %+v", i, got[i], want[i])
		}
	}
}
