package live

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/attune-rec/attune/models/release"
)

// TestRefusedReleases has every way a new release can be bad: the old one goes
// on serving, and the reason is reported.
func TestRefusedReleases(t *testing.T) {
	ctx := context.Background()
	for name, spoil := range map[string]func(o *Options[*engine], dir string){
		"flipped bit": func(_ *Options[*engine], dir string) {
			path := filepath.Join(dir, "models", "flat.safetensors")
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			b[len(b)-1] ^= 4
			if err := os.WriteFile(path, b, 0o644); err != nil {
				t.Fatal(err)
			}
		},
		"missing file": func(_ *Options[*engine], dir string) {
			if err := os.Remove(filepath.Join(dir, "items.parquet")); err != nil {
				t.Fatal(err)
			}
		},
		"build": func(o *Options[*engine], _ string) {
			build := o.Build
			o.Build = func(ctx context.Context, r *release.Release) (*engine, error) {
				if r.Items[0].ID == "2/0" {
					return nil, errors.New("index does not fit")
				}
				return build(ctx, r)
			}
		},
		"warm panics": func(o *Options[*engine], _ string) {
			o.Warm = func(_ context.Context, l *Loaded[*engine]) error {
				if l.Release.Items[0].ID == "2/0" {
					panic("index out of range")
				}
				return nil
			}
		},
		"probe": func(o *Options[*engine], _ string) {
			o.Probe = func(_ context.Context, l *Loaded[*engine]) error {
				if l.Release.Items[0].ID == "2/0" {
					return errors.New("empty answer")
				}
				return nil
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			st := release.NewFolder(root)
			good, bad := publish(t, st, "mugs", 1), publish(t, st, "mugs", 2)
			promote(t, st, "mugs", good)
			var j journal
			o := options(st, &j)
			spoil(&o, filepath.Join(root, "mugs", "releases", bad))
			s := newSet(t, o)
			wants(t, s, "mugs", good)
			promote(t, st, "mugs", bad)
			if err := s.Load(ctx, "mugs"); err == nil {
				t.Fatal("got no error for a bad release")
			}
			wants(t, s, "mugs", good)
			status, _ := s.Status("mugs")
			if status.Err == nil || status.Stable != good || status.State.Number != 1 {
				t.Fatalf("got status %+v, want the old state and the reason", status)
			}
			if j.count(EventRefused) == 0 {
				t.Fatal("the refusal was not reported")
			}
			if _, err := release.Rollback(ctx, st, "mugs", "", release.Change{}); err != nil {
				t.Fatal(err)
			}
			if err := s.Load(ctx, "mugs"); err != nil {
				t.Fatal(err)
			}
			wants(t, s, "mugs", good)
			if status, _ := s.Status("mugs"); status.Err != nil || status.State.Number != 3 {
				t.Fatalf("got status %+v after the rollback, want state 3 and no error", status)
			}
			// A server that starts on the bad state serves the one before it.
			promote(t, st, "mugs", bad)
			fresh := newSet(t, o)
			wants(t, fresh, "mugs", good)
			if status, _ := fresh.Status("mugs"); status.Err == nil {
				t.Error("got no reason in the status of a server that fell back")
			}
		})
	}
}

func TestBrokenCanaryLeavesTheStable(t *testing.T) {
	ctx := context.Background()
	root := t.TempDir()
	st := release.NewFolder(root)
	a, b, c := publish(t, st, "mugs", 1), publish(t, st, "mugs", 2), publish(t, st, "mugs", 3)
	promote(t, st, "mugs", a)
	promote(t, st, "mugs", b)
	if _, err := release.StartCanary(ctx, st, "mugs", c, .99, release.Change{}); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(root, "mugs", "releases", c, "recipes.json"), 1); err != nil {
		t.Fatal(err)
	}
	var j journal
	s := newSet(t, options(st, &j))
	for i := range 20 {
		if got, _, err := answer(s, "mugs", fmt.Appendf(nil, "%d", i)); err != nil || got != b {
			t.Fatalf("got %s, %v, want %s", got, err, b)
		}
	}
	if status, _ := s.Status("mugs"); !errors.Is(status.Err, release.ErrCorrupt) || status.Canary != "" {
		t.Fatalf("got status %+v, want the canary's error", status)
	}
}

// A set that is closed in the middle of a load refuses no release: there is
// nothing wrong with it.
func TestClosedWhileItLoads(t *testing.T) {
	st := release.NewFolder(t.TempDir())
	promote(t, st, "mugs", publish(t, st, "mugs", 1))
	var j journal
	o := options(st, &j)
	loading := make(chan struct{})
	o.Build = func(ctx context.Context, _ *release.Release) (*engine, error) {
		close(loading)
		<-ctx.Done()
		return nil, ctx.Err()
	}
	s := newSet(t, o)
	got := make(chan error, 1)
	go func() {
		_, err := s.Acquire(context.Background(), "mugs", nil)
		got <- err
	}()
	<-loading
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err == nil {
		t.Error("got a release of a closed set")
	}
	if n := j.count(EventRefused); n != 0 {
		t.Errorf("got %d refusals, want none", n)
	}
}
