package profile

import (
	"context"
	"errors"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
)

// TestWhoIsFoundIsListed reads a profile that the follower has not come to.
func TestWhoIsFoundIsListed(t *testing.T) {
	ctx := context.Background()
	b := newBench(t)
	k, err := New(Options{Store: b.store})
	must(t, err)
	must(t, k.Close()) // it follows nothing any more
	_, err = b.store.Append(ctx, shopID, []features.Event{
		{Type: features.View, User: b.names.User("ann"), Item: "i1", Time: start},
		{Type: features.View, Session: b.names.Session("a stranger"), Item: "i1", Time: start},
	})
	must(t, err)
	_, err = b.get(k, "ann")
	must(t, err)
	_, err = k.Get(ctx, shopID, b.names.Session("a stranger"))
	must(t, err)
	list, _, err := k.List(ctx, shopID, features.UserKey{}, 10, func(Found) bool { return true })
	if err != nil || len(list) != 1 || list[0].Key != b.names.User("ann") {
		t.Errorf("got %v, %v, want ann alone", list, err)
	}
}

// TestNobodyTakesNoPlace asks for keys that did nothing: they are not found and
// push nobody out, and one to whom a stranger's session is linked is found.
func TestNobodyTakesNoPlace(t *testing.T) {
	ctx := context.Background()
	b := newBench(t)
	k := b.keeper("", 0)
	s := k.shop(shopID)
	strange := b.names.Session("a stranger")
	_, err := b.store.Append(ctx, shopID, []features.Event{{Type: features.View, Session: strange, Item: "i1", Time: start}})
	must(t, err)
	kept := s.entries.Len()
	for _, id := range []string{"nobody", "nobody", "somebody else"} {
		if f, err := b.get(k, id); !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("%s: got %+v, %v, want ErrNotFound", id, f, err)
		}
	}
	if got := s.entries.Len(); got != kept {
		t.Errorf("got %d states kept, want %d", got, kept)
	}
	must(t, b.store.Link(ctx, shopID, strange, b.names.User("ann"))) // nobody is told of it
	if f, err := b.get(k, "ann"); err != nil || f.Seq != 1 {
		t.Errorf("got %+v, %v, want the stranger's event", f, err)
	}
}
