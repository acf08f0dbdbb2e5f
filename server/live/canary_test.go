package live

import (
	"context"
	"fmt"
	"testing"

	"github.com/attune-rec/attune/features/assign"
	"github.com/attune-rec/attune/models/release"
)

func TestCanary(t *testing.T) {
	ctx := context.Background()
	st := release.NewFolder(t.TempDir())
	a, b := publish(t, st, "mugs", 1), publish(t, st, "mugs", 2)
	promote(t, st, "mugs", a)
	state, err := release.StartCanary(ctx, st, "mugs", b, .25, release.Change{})
	if err != nil {
		t.Fatal(err)
	}
	var j journal
	s := newSet(t, options(st, &j))
	received := 0
	const people = 2000
	for i := range people {
		key := fmt.Appendf(nil, "shopper %d", i)
		want := a
		if assign.Share([]byte(state.Canary.Salt), key) < .25 {
			want, received = b, received+1
		}
		for range 2 {
			if got, _, err := answer(s, "mugs", key); err != nil || got != want {
				t.Fatalf("shopper %d: got %s, %v, want %s each time", i, got, err, want)
			}
		}
	}
	if received < people/5 || received > people*3/10 {
		t.Errorf("got %d of %d on the canary, want about a quarter", received, people)
	}
	wants(t, s, "mugs", a) // nobody in particular
	if _, ok := s.Shadow("mugs"); ok {
		t.Error("got a shadow, want none")
	}
	if _, err := release.SetShadow(ctx, st, "mugs", b, release.Change{}); err != nil {
		t.Fatal(err)
	}
	if err := s.Load(ctx, "mugs"); err != nil {
		t.Fatal(err)
	}
	l, ok := s.Shadow("mugs")
	if !ok || l.Version() != b {
		t.Fatal("got no shadow, want the canary's release")
	}
	l.Done()
}
