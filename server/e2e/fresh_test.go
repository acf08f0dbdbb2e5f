package e2e

import (
	"context"
	"slices"
	"testing"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
)

func idsOf(items []*attunev1.RecommendedItem) []string {
	out := make([]string, len(items))
	for i, it := range items {
		out[i] = it.GetItem()
	}
	return out
}

// check works every score of an answer out from the whole log, by the model of
// the release that the answer names.
func (j *judge) check(t *testing.T, who string, log []features.Event, items []*attunev1.RecommendedItem) {
	t.Helper()
	ids := idsOf(items)
	for i, want := range j.scores(log, ids) {
		if got := items[i].GetScore(); !near(got, float64(want)) {
			t.Fatalf("%s, %s: got score %v, want %v by the model's own fold-in", who, ids[i], got, want)
		}
	}
}

// An event changes the next answer, of a shopper the models knew, of one they
// never saw, and of a session, and the vector behind the answer is the model's
// own fold-in of the full log.
func TestEventChangesTheNextAnswer(t *testing.T) {
	dir := stock(t)
	version := publish(t, dir, 1, items())
	promote(t, dir, version)
	st := openStore(t, dir)
	names, err := st.Pseudonyms(context.Background(), shop)
	must(t, err)
	past, err := st.History(context.Background(), shop, names.User(somebody(4)), features.HistoryCap)
	must(t, err)
	must(t, st.Close())
	j := newJudge(t, dir, version)
	c := start(t, config(dir))

	for _, who := range []struct {
		name          string
		user, session string
		log           []features.Event
	}{{"known", somebody(4), "", past}, {"unknown", "newcomer", "", nil}, {"session", "", "visit-1", nil}} {
		t.Run(who.name, func(t *testing.T) {
			log := slices.Clone(who.log)
			r := &attunev1.RecommendRequest{User: who.user, Session: who.session, Surface: surfacePlain, Limit: 10}
			before := c.ask(t, r)
			j.check(t, who.name, log, before.GetItems())
			seen := idsOf(before.GetItems())
			for step, i := range []int{1, 3, 2, 5} { // scarves, and a mug
				if step == 0 && slices.Contains(seen, thing(i)) {
					t.Fatalf("%s is in the answer already: got %v", thing(i), seen)
				}
				e := &attunev1.Event{Type: attunev1.EventType_EVENT_TYPE_VIEW, User: who.user, Session: who.session, Item: thing(i)}
				seq := c.collect(t, e).GetSequence()
				log = append(log, features.Event{Seq: seq, Type: features.View, Item: thing(i), Time: opened})
				after := c.ask(t, r)
				j.check(t, who.name, log, after.GetItems())
				if slices.EqualFunc(before.GetItems(), after.GetItems(), func(a, b *attunev1.RecommendedItem) bool {
					return a.GetItem() == b.GetItem() && a.GetScore() == b.GetScore()
				}) {
					t.Fatalf("after a view of %s: got the same answer and scores as before", thing(i))
				}
				before = after
			}
			if len(before.GetItems()) == 0 {
				t.Fatal("got no items after four events")
			}
		})
	}
}

// What was done in a session counts for the user once both were seen together.
func TestSessionBecomesTheUser(t *testing.T) {
	dir := stock(t)
	version := publish(t, dir, 1, items())
	promote(t, dir, version)
	j := newJudge(t, dir, version)
	c := start(t, config(dir))

	view := func(user, session string, i int) features.Event {
		seq := c.collect(t, &attunev1.Event{Type: attunev1.EventType_EVENT_TYPE_VIEW, User: user, Session: session, Item: thing(i)}).GetSequence()
		return features.Event{Seq: seq, Type: features.View, Item: thing(i), Time: opened}
	}
	log := []features.Event{view("", "visit", 1), view("newcomer", "", 3)}
	ask := func(user, session string) []*attunev1.RecommendedItem {
		return c.ask(t, &attunev1.RecommendRequest{User: user, Session: session, Surface: surfacePlain, Limit: 10}).GetItems()
	}
	j.check(t, "session", log[:1], ask("", "visit"))
	j.check(t, "user", log[1:], ask("newcomer", ""))
	j.check(t, "both", log, ask("newcomer", "visit"))
	log = append(log, view("newcomer", "visit", 5))
	j.check(t, "user after signing in", log, ask("newcomer", ""))
	j.check(t, "both after signing in", log, ask("newcomer", "visit"))
}
