package release

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// three publishes three releases and returns their versions, oldest first.
func three(t *testing.T, st Store) []string {
	t.Helper()
	var vs []string
	for i := range 3 {
		d := toyDraft(2, float32(i))
		d.Now = d.Now.Add(time.Duration(i) * time.Second)
		vs = append(vs, published(t, st, d).Version)
	}
	return vs
}

func TestServingStates(t *testing.T) {
	ctx := context.Background()
	for name, st := range stores(t) {
		t.Run(name, func(t *testing.T) {
			vs := three(t, st)
			c := Change{By: "ann", Reason: "better"}
			if _, err := Current(ctx, st, "mugs"); !errors.Is(err, ErrNotFound) {
				t.Fatalf("got error %v before the first promotion, want ErrNotFound", err)
			}
			if _, err := StartCanary(ctx, st, "mugs", vs[0], .1, c); !errors.Is(err, ErrNotFound) {
				t.Fatalf("got error %v for a canary beside nothing, want ErrNotFound", err)
			}
			must := func(s Serving, err error) Serving {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
				return s
			}
			if s := must(Promote(ctx, st, "mugs", vs[0], c)); s.Number != 1 || s.Stable != vs[0] || s.By != "ann" || s.Action != ActionPromote {
				t.Fatalf("got %+v, want the first", s)
			}
			must(Promote(ctx, st, "mugs", vs[1], c))
			canary := must(StartCanary(ctx, st, "mugs", vs[2], .1, c))
			more := must(StartCanary(ctx, st, "mugs", vs[2], .5, c))
			if canary.Stable != vs[1] || canary.Canary.Version != vs[2] || more.Canary.Salt != canary.Canary.Salt || more.Canary.Share != .5 {
				t.Fatalf("got %+v then %+v, want the same salt and a larger share", canary.Canary, more.Canary)
			}
			if s := must(Rollback(ctx, st, "mugs", "", c)); s.Canary != nil || s.Stable != vs[1] {
				t.Fatalf("got %+v, want the canary ended", s)
			}
			if s := must(Promote(ctx, st, "mugs", vs[2], c)); s.Number != 6 || s.Stable != vs[2] {
				t.Fatalf("got %+v, want state 6", s)
			}
			for _, want := range []string{vs[1], vs[0]} {
				if s := must(Rollback(ctx, st, "mugs", "", c)); s.Stable != want {
					t.Fatalf("got %s after a rollback, want %s", s.Stable, want)
				}
			}
			if _, err := Rollback(ctx, st, "mugs", "", c); !errors.Is(err, ErrNotFound) {
				t.Fatalf("got error %v with nothing left to go back to, want ErrNotFound", err)
			}
			if s := must(Rollback(ctx, st, "mugs", vs[2], c)); s.Stable != vs[2] {
				t.Fatalf("got %s, want the one named", s.Stable)
			}
			if s := must(SetShadow(ctx, st, "mugs", vs[0], c)); s.Shadow != vs[0] || s.Stable != vs[2] {
				t.Fatalf("got %+v, want a shadow", s)
			}
			states, err := History(ctx, st, "mugs", 0)
			if err != nil || len(states) != 10 {
				t.Fatalf("got %d states, %v, want 10", len(states), err)
			}
			for i, s := range states {
				if s.Number != int64(i+1) {
					t.Fatalf("got state %d at %d, want them numbered", s.Number, i)
				}
			}
			if now := must(Current(ctx, st, "mugs")); !reflect.DeepEqual(now, states[9]) {
				t.Fatalf("got %+v, want the last of the history", now)
			}
		})
	}
}

func TestServingRefuses(t *testing.T) {
	ctx := context.Background()
	st := NewFolder(t.TempDir())
	vs := three(t, st)
	if _, err := Promote(ctx, st, "mugs", vs[0], Change{}); err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]func() (Serving, error){
		"unknown":     func() (Serving, error) { return Promote(ctx, st, "mugs", "20200101T000000.000Z-0000", Change{}) },
		"not a name":  func() (Serving, error) { return Promote(ctx, st, "mugs", "../x", Change{}) },
		"same":        func() (Serving, error) { return StartCanary(ctx, st, "mugs", vs[0], .5, Change{}) },
		"share 0":     func() (Serving, error) { return StartCanary(ctx, st, "mugs", vs[1], 0, Change{}) },
		"share 1":     func() (Serving, error) { return StartCanary(ctx, st, "mugs", vs[1], 1, Change{}) },
		"stale":       func() (Serving, error) { return Promote(ctx, st, "mugs", vs[1], Change{Expect: 7}) },
		"no shop":     func() (Serving, error) { return Promote(ctx, st, "", vs[1], Change{}) },
		"other shop":  func() (Serving, error) { return Promote(ctx, st, "plates", vs[1], Change{}) },
		"bad shadow":  func() (Serving, error) { return SetShadow(ctx, st, "mugs", "x", Change{}) },
		"nothing yet": func() (Serving, error) { return Rollback(ctx, st, "plates", "", Change{}) },
	} {
		if s, err := f(); err == nil {
			t.Errorf("%s: got state %+v, want an error", name, s)
		}
	}
	if s, err := Current(ctx, st, "mugs"); err != nil || s.Number != 1 {
		t.Fatalf("got state %d, %v, want 1 still", s.Number, err)
	}
}

func TestOneOfManyChangesWins(t *testing.T) {
	ctx := context.Background()
	for name, st := range stores(t) {
		vs := three(t, st)
		if _, err := Promote(ctx, st, "mugs", vs[0], Change{}); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		var won atomic.Int32
		for range 8 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				_, err := Promote(ctx, st, "mugs", vs[1], Change{Expect: 1})
				if err == nil {
					won.Add(1)
				} else if !errors.Is(err, ErrStale) {
					t.Errorf("%s: got error %v, want ErrStale", name, err)
				}
			}()
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Errorf("%s: got %d winners, want 1", name, won.Load())
		}
	}
}

func TestCorruptStateIsMendedByPromote(t *testing.T) {
	ctx := context.Background()
	root := t.TempDir()
	st := NewFolder(root)
	vs := three(t, st)
	if _, err := Promote(ctx, st, "mugs", vs[0], Change{}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "mugs", "serving", "2.json"), []byte(`{"number":2`), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Current(ctx, st, "mugs"); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("got error %v, want ErrCorrupt", err)
	}
	if s, err := Promote(ctx, st, "mugs", vs[1], Change{}); err != nil || s.Number != 3 {
		t.Fatalf("got %+v, %v, want state 3", s, err)
	}
	if s, err := Current(ctx, st, "mugs"); err != nil || s.Stable != vs[1] {
		t.Fatalf("got %+v, %v, want %s", s, err, vs[1])
	}
}

func TestWatch(t *testing.T) {
	st := NewFolder(t.TempDir())
	vs := three(t, st)
	ctx, cancel := context.WithCancel(context.Background())
	seen := make(chan string, 16)
	done := make(chan struct{})
	refuse := 2
	go func() {
		defer close(done)
		Watch(ctx, st, "mugs", time.Millisecond, func(s Serving, err error) error {
			switch {
			case err != nil:
				seen <- "error"
			case s.Number == 3 && refuse > 0:
				refuse--
				return errors.New("not now")
			default:
				seen <- strconv.FormatInt(s.Number, 10) + s.Stable
			}
			return nil
		})
	}()
	for i, v := range vs {
		if _, err := Promote(ctx, st, "mugs", v, Change{}); err != nil {
			t.Fatal(err)
		}
		if got, want := <-seen, strconv.Itoa(i+1)+v; got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
	if err := os.WriteFile(filepath.Join(st.serving("mugs"), "4.json"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if got := <-seen; got != "error" {
		t.Fatalf("got %s, want an error", got)
	}
	cancel()
	<-done
	if len(seen) != 0 {
		t.Fatalf("got %d more calls, want each said once", len(seen))
	}
}

func TestPrune(t *testing.T) {
	ctx := context.Background()
	for name, st := range stores(t) {
		t.Run(name, func(t *testing.T) {
			var vs []string
			for i := range 6 {
				d := toyDraft(2, 0)
				d.Now = d.Now.Add(time.Duration(i) * time.Second)
				vs = append(vs, published(t, st, d).Version)
			}
			for _, v := range []string{vs[0], vs[2], vs[1]} {
				if _, err := Promote(ctx, st, "mugs", v, Change{}); err != nil {
					t.Fatal(err)
				}
			}
			removed, err := Prune(ctx, st, "mugs", 2)
			if want := []string{vs[0], vs[3]}; err != nil || !reflect.DeepEqual(removed, want) {
				t.Fatalf("got removed %v, %v, want %v", removed, err, want)
			}
			left, err := st.Versions(ctx, "mugs")
			if want := []string{vs[1], vs[2], vs[4], vs[5]}; err != nil || !reflect.DeepEqual(left, want) {
				t.Fatalf("got left %v, %v, want %v", left, err, want)
			}
			if _, err := Open(ctx, st, "mugs", vs[0], toyKinds); !errors.Is(err, ErrNotFound) {
				t.Fatalf("got error %v for a removed release, want ErrNotFound", err)
			}
			if _, err := Prune(ctx, st, "mugs", 0); err == nil {
				t.Fatal("got no error for keeping none")
			}
		})
	}
}
