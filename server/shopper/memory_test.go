package shopper

import (
	"context"
	"testing"

	"github.com/attune-rec/attune/features"
)

// What models keep of a shopper lasts from event to event, and goes when the
// shopper is forgotten or pushed out. The two as one have a memory of their own.
func TestMemoryLastsUntilForgotten(t *testing.T) {
	l := &log{links: map[features.UserKey]features.UserKey{}, consent: features.AllPurposes}
	c, err := New(Options{History: l, Consents: l, Size: 2})
	if err != nil {
		t.Fatal(err)
	}
	get := func(user, session byte) *features.Memory {
		t.Helper()
		s, err := c.Get(context.Background(), "default", key(user), key(session), abc)
		if err != nil {
			t.Fatal(err)
		}
		if s.Memory == nil {
			t.Fatal("got a shopper without a memory")
		}
		return s.Memory
	}
	l.put(1, 0, "a")
	l.put(0, 2, "b")
	get(1, 0).Give("model", 1, 10)
	get(1, 2).Give("model", 2, 10)
	c.Stored("default", []features.Event{l.put(1, 0, "c")})
	if got := get(1, 0).Take("model"); got != 1 {
		t.Errorf("after an event: got %v, want 1", got)
	}
	if got := get(1, 2).Take("model"); got != 2 {
		t.Errorf("the two as one: got %v, want 2", got)
	}
	get(1, 0).Give("model", 3, 10)
	c.Forget("default", key(1))
	if got := get(1, 0).Take("model"); got != nil {
		t.Errorf("forgotten: got %v, want nothing", got)
	}
	get(1, 0).Give("model", 4, 10)
	get(1, 2).Give("model", 5, 10)
	get(3, 0)
	get(4, 0) // two others push both out
	if got := c.kept.Bytes(); got != 0 {
		t.Errorf("pushed out: got %d bytes kept, want none", got)
	}
}
