package profile

import (
	"bytes"
	"reflect"
	"slices"
	"testing"
)

func TestStateSurvivesItsBytes(t *testing.T) {
	for seed := range uint64(3) {
		events := log(seed, 3000, 1200)
		whole := new(State)
		half := new(State)
		for i := range events {
			whole.Update(&events[i])
			if i == len(events)/2 {
				b, err := whole.AppendBinary(nil)
				if err != nil {
					t.Fatal(err)
				}
				if err := half.UnmarshalBinary(b); err != nil {
					t.Fatal(err)
				}
			}
		}
		for i := range events {
			half.Update(&events[i]) // the older half is a repeat
		}
		if !reflect.DeepEqual(inOrder(half), inOrder(whole)) {
			t.Fatalf("seed %d: a state that was written, read and gone on with differs from the rebuilt one", seed)
		}
		a, _ := half.AppendBinary(nil)
		b, _ := whole.AppendBinary(nil)
		if !bytes.Equal(a, b) {
			t.Fatalf("seed %d: equal states give different bytes", seed)
		}
	}
}

// inOrder is a state with its sales and its text in the order of what is listed,
// which says nothing: bytes keep no other.
func inOrder(s *State) *State {
	c := *s
	c.tallies, c.items, c.sales, c.text = slices.Clone(s.tallies), slices.Clone(s.items), nil, nil
	slices.SortStableFunc(c.tallies, func(a, b count) int { return int(a.what) - int(b.what) })
	for i := range c.tallies {
		c.tallies[i].name = c.keep(string(s.named(c.tallies[i].name)))
	}
	for i := range c.items {
		c.items[i].id = c.keep(string(s.named(c.items[i].id)))
		if b := s.sold(&c.items[i]); b != nil {
			c.sell(&c.items[i], *b)
		}
	}
	return &c
}

func FuzzState(f *testing.F) {
	b, err := Of(log(1, 60, 40)).AppendBinary(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte{})
	more := log(2, 50, 20)
	f.Fuzz(func(t *testing.T, b []byte) {
		var s State
		if s.UnmarshalBinary(b) != nil {
			return
		}
		again, err := s.AppendBinary(nil)
		if err != nil {
			t.Fatal(err)
		}
		var twin State
		if err := twin.UnmarshalBinary(again); err != nil {
			t.Fatalf("what was read and written again cannot be read: %v", err)
		}
		for i := range more {
			s.Update(&more[i])
		}
	})
}
