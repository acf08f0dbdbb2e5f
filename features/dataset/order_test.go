package dataset

import "testing"

// Where a file says only what came before what, events are numbered, the parts
// of a split keep the numbers, and no number is taken for a time.
func TestOrderWithoutTimes(t *testing.T) {
	sequences := read(t, &Loader{Format: Sequences}, "u a b c d\nv b a c\nu e\n")
	pairs := read(t, &Loader{Format: Pairs}, "u a\nv b\nu b\nv a\nu c\nu d\nv c\nu e\n")
	for name, d := range map[string]*Dataset{"sequences": sequences, "pairs": pairs} {
		s, err := Part(d, Cut{Method: LeaveOneOut})
		if err != nil {
			t.Fatal(err)
		}
		whole := Join(Join(s.Train, s.Validate), s.Test)
		for u := range whole.Users {
			for i, it := range whole.History(u) {
				if it.TimeMS != int64(i+1) || !Ordinal(it.TimeMS) {
					t.Errorf("%s: event %d of %s: got number %d, want %d", name, i, whole.Users[u], it.TimeMS, i+1)
				}
			}
		}
		if got, want := written(whole), written(d); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
		if whole.Clocked() {
			t.Errorf("%s: numbers are taken for times", name)
		}
		if _, err := Part(whole, Cut{Method: Temporal}); err == nil {
			t.Errorf("%s: got a temporal split without times", name)
		}
	}
	if pairs.LastTimeMS() != 0 {
		t.Error("pairs were numbered in place: got a time, want none where the order is not said to be that of time")
	}
	timed := read(t, &Loader{Format: Pairs}, "u a 1 900\nu b 1 1000\nu c 1 1700000000\n")
	s, err := Part(timed, Cut{Method: LeaveOneOut})
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Test.Log[0].TimeMS; got != 1_700_000_000_000 || !s.Test.Clocked() {
		t.Errorf("got the time %d, want it as it was", got)
	}
}
