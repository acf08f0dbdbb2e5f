package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/assign"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/release"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// flat is a model whose every score is the same number, kept in the mapped file.
type flat struct{ scores []float32 }

func (m *flat) Kind() string { return "flat" }
func (m *flat) Items() int   { return len(m.scores) }
func (m *flat) Score(_ *features.Request, items []features.Row, out []float32) {
	for i, row := range items {
		out[i] = m.scores[row]
	}
}
func (m *flat) Save(w models.Writer) error {
	return w.Tensor("scores", models.TensorOf(m.scores, len(m.scores)))
}

func kinds(name string) (models.Kind, bool) {
	return models.Kind{Name: "flat", Open: func(r models.Reader) (models.Model, error) {
		t, err := r.Tensor("scores")
		if err != nil {
			return nil, err
		}
		s, err := models.View[float32](t, -1)
		return &flat{s}, err
	}}, name == "flat"
}

// engine is what the tests build from a release.
type engine struct {
	model models.Model
	freed atomic.Bool
}

const rows = 2048 // two pages of scores

func publish(t *testing.T, st release.Store, shop features.ShopID, value float32) string {
	t.Helper()
	d := release.Draft{Shop: shop, Now: time.Unix(1_700_000_000+int64(value), 0)}
	m := &flat{make([]float32, rows)}
	for i := range m.scores {
		m.scores[i] = value
		d.Items = append(d.Items, features.Item{ID: fmt.Sprintf("%v/%d", value, i)})
	}
	d.Models = []models.Part{{Name: "flat", Model: m}}
	man, err := release.Publish(context.Background(), st, d)
	if err != nil {
		t.Fatal(err)
	}
	return man.Version
}

func promote(t *testing.T, st release.Store, shop features.ShopID, version string) {
	t.Helper()
	if _, err := release.Promote(context.Background(), st, shop, version, release.Change{By: "test"}); err != nil {
		t.Fatal(err)
	}
}

type journal struct {
	mu     sync.Mutex
	events []Event
}

func (j *journal) add(e Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events = append(j.events, e)
}

func (j *journal) count(what string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := 0
	for _, e := range j.events {
		if e.What == what {
			n++
		}
	}
	return n
}

func options(st release.Store, j *journal) Options[*engine] {
	return Options[*engine]{
		Store: st, Kinds: kinds, Every: time.Hour, Observe: j.add, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Build: func(_ context.Context, r *release.Release) (*engine, error) {
			m, ok := r.Model("flat")
			if !ok {
				return nil, errors.New("no model flat")
			}
			return &engine{model: m}, nil
		},
		Free: func(e *engine) error {
			if e.freed.Swap(true) {
				return errors.New("freed twice")
			}
			return nil
		},
	}
}

func newSet(t *testing.T, o Options[*engine]) *Set[*engine] {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// answer scores some rows and returns the version it was made by.
func answer(s *Set[*engine], shop features.ShopID, key []byte) (version string, value float32, err error) {
	l, err := s.Acquire(context.Background(), shop, key)
	if err != nil {
		return "", 0, err
	}
	defer l.Done()
	items := []features.Row{0, rows / 2, rows - 1}
	out := make([]float32, len(items))
	l.Value.model.Score(nil, items, out)
	if out[0] != out[1] || out[1] != out[2] {
		return "", 0, fmt.Errorf("answer %v mixes releases", out)
	}
	if row, ok := l.Release.Row(fmt.Sprintf("%v/7", out[0])); !ok || row != 7 {
		return "", 0, fmt.Errorf("items of %s are not those of its model", l.Version())
	}
	if l.Value.freed.Load() {
		return "", 0, fmt.Errorf("release %s was freed under a request", l.Version())
	}
	return l.Version(), out[0], nil
}

func wants(t *testing.T, s *Set[*engine], shop features.ShopID, want string) {
	t.Helper()
	if got, _, err := answer(s, shop, nil); err != nil || got != want {
		t.Fatalf("got release %s, %v, want %s", got, err, want)
	}
}

func TestSwapsUnderRequests(t *testing.T) {
	swaps := 1000
	if testing.Short() {
		swaps = 100
	}
	st := release.NewFolder(t.TempDir())
	versions := []string{publish(t, st, "mugs", 1), publish(t, st, "mugs", 2), publish(t, st, "mugs", 3)}
	value := map[string]float32{versions[0]: 1, versions[1]: 2, versions[2]: 3}
	promote(t, st, "mugs", versions[0])
	var j journal
	o := options(st, &j)
	o.Probe = func(_ context.Context, l *Loaded[*engine]) error {
		out := []float32{0}
		l.Value.model.Score(nil, []features.Row{0}, out)
		if out[0] != value[l.Version()] {
			return fmt.Errorf("got score %v", out[0])
		}
		return nil
	}
	s := newSet(t, o)
	ctx := context.Background()
	if err := s.Load(ctx, "mugs"); err != nil {
		t.Fatal(err)
	}
	var stop atomic.Bool
	var answers atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for n := 1; !stop.Load(); n++ {
				if n%50 == 0 {
					time.Sleep(100 * time.Microsecond) // leave the cores to the swaps
				}
				v, got, err := answer(s, "mugs", nil)
				if err != nil || got != value[v] {
					t.Errorf("got %v of release %s, %v, want %v", got, v, err, value[v])
					return
				}
				answers.Add(1)
			}
		}()
	}
	for i := 1; i <= swaps; i++ {
		promote(t, st, "mugs", versions[i%3])
		if err := s.Load(ctx, "mugs"); err != nil {
			t.Fatal(err)
		}
		if i%100 == 0 {
			wants(t, s, "mugs", versions[i%3])
		}
	}
	stop.Store(true)
	wg.Wait()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if loaded, freed := j.count(EventLoaded), j.count(EventFreed); loaded != freed || loaded < swaps {
		t.Errorf("got %d releases loaded and %d freed over %d swaps, want as many, at least one a swap", loaded, freed, swaps)
	}
	if n := j.count(EventRefused); n != 0 {
		t.Errorf("got %d refusals, want none", n)
	}
	t.Logf("%d swaps, %d answers, %d loads", swaps, answers.Load(), j.count(EventLoaded))
}

func TestWatchFollowsTheState(t *testing.T) {
	st := release.NewFolder(t.TempDir())
	a, b := publish(t, st, "mugs", 1), publish(t, st, "mugs", 2)
	promote(t, st, "mugs", a)
	var j journal
	o := options(st, &j)
	o.Every = time.Millisecond
	swapped := make(chan string, 8)
	o.Observe = func(e Event) {
		if j.add(e); e.What == EventSwapped {
			swapped <- e.Version
		}
	}
	s := newSet(t, o)
	wants(t, s, "mugs", a) // loaded when first asked for
	if got := <-swapped; got != a {
		t.Fatalf("got %s, want %s", got, a)
	}
	promote(t, st, "mugs", b)
	if got := <-swapped; got != b {
		t.Fatalf("got %s, want %s", got, b)
	}
	wants(t, s, "mugs", b)
	if got, _ := s.Status("mugs"); got.Stable != b || got.Previous != a || got.Err != nil || got.State.Number != 2 {
		t.Fatalf("got status %+v, want %s with %s before it", got, b, a)
	}
	if _, err := release.Rollback(context.Background(), st, "mugs", "", release.Change{}); err != nil {
		t.Fatal(err)
	}
	if got := <-swapped; got != a {
		t.Fatalf("got %s after the rollback, want %s", got, a)
	}
	if n := j.count(EventLoaded); n != 2 {
		t.Errorf("got %d loads, want 2: the previous release stays loaded", n)
	}
}

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

func TestShopsAreApart(t *testing.T) {
	st := release.NewFolder(t.TempDir())
	want := map[features.ShopID]string{}
	for i := range 5 {
		shop := features.ShopID(fmt.Sprintf("shop-%d", i))
		want[shop] = publish(t, st, shop, float32(i+1))
		promote(t, st, shop, want[shop])
	}
	var j journal
	s := newSet(t, options(st, &j))
	for shop, v := range want {
		wants(t, s, shop, v)
	}
	if got := s.Shops(); len(got) != 5 {
		t.Errorf("got shops %v, want 5", got)
	}
	for _, id := range []features.ShopID{"nowhere", "", "../x"} {
		if _, err := s.Acquire(context.Background(), id, nil); err == nil {
			t.Errorf("shop %q: got a release, want an error", id)
		}
		if _, ok := s.Status(id); ok {
			t.Errorf("shop %q: got a status", id)
		}
	}
	if _, err := s.Acquire(context.Background(), "nowhere", nil); !errors.Is(err, ErrNotServed) {
		t.Errorf("got error %v, want ErrNotServed", err)
	}
}

func TestIdleShopsUnload(t *testing.T) {
	st := release.NewFolder(t.TempDir())
	v := publish(t, st, "mugs", 1)
	promote(t, st, "mugs", v)
	var j journal
	var clock atomic.Int64
	o := options(st, &j)
	o.Idle = 40 * time.Millisecond // looked at every 11 ms of real time, by a clock of ours
	o.Now = func() time.Time { return time.Unix(0, clock.Load()) }
	unloaded := make(chan struct{}, 8)
	o.Observe = func(e Event) {
		if j.add(e); e.What == EventUnloaded {
			unloaded <- struct{}{}
		}
	}
	s := newSet(t, o)
	for range 3 {
		l, err := s.Acquire(context.Background(), "mugs", nil)
		if err != nil {
			t.Fatal(err)
		}
		clock.Add(int64(time.Hour))
		<-unloaded
		if l.Value.freed.Load() {
			t.Fatal("was freed while a request held it")
		}
		l.Done()
		if !l.Value.freed.Load() {
			t.Fatal("was not freed after the last request")
		}
	}
	if got := j.count(EventLoaded); got != 3 {
		t.Errorf("got %d loads, want one after each idle time", got)
	}
}

func TestIdleUnderRequests(t *testing.T) {
	st := release.NewFolder(t.TempDir())
	promote(t, st, "mugs", publish(t, st, "mugs", 1))
	var j journal
	var clock atomic.Int64
	o := options(st, &j)
	o.Idle = 4 * time.Millisecond
	o.Now = func() time.Time { return time.Unix(0, clock.Load()) }
	s := newSet(t, o)
	var wg sync.WaitGroup
	for range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 200 {
				if _, _, err := answer(s, "mugs", nil); err != nil {
					t.Errorf("answer: %v", err)
					return
				}
				clock.Add(int64(time.Second))
				time.Sleep(100 * time.Microsecond)
			}
		}()
	}
	wg.Wait()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if loaded, freed := j.count(EventLoaded), j.count(EventFreed); loaded != freed {
		t.Errorf("got %d loaded and %d freed, want as many", loaded, freed)
	}
}

func TestClosed(t *testing.T) {
	st := release.NewFolder(t.TempDir())
	promote(t, st, "mugs", publish(t, st, "mugs", 1))
	var j journal
	s := newSet(t, options(st, &j))
	l, err := s.Acquire(context.Background(), "mugs", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, shop := range []features.ShopID{"mugs", "plates"} {
		if _, err := s.Acquire(context.Background(), shop, nil); err == nil {
			t.Errorf("shop %s: got a release of a closed set", shop)
		}
	}
	if l.Value.freed.Load() {
		t.Fatal("Close freed a release that a request holds")
	}
	l.Done()
	if j.count(EventFreed) != 1 {
		t.Fatal("was not freed after the last request")
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

func BenchmarkAcquire(b *testing.B) {
	st := release.NewFolder(b.TempDir())
	d := release.Draft{Shop: "mugs", Items: []features.Item{{ID: "a"}}}
	m, err := release.Publish(context.Background(), st, d)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := release.Promote(context.Background(), st, "mugs", m.Version, release.Change{}); err != nil {
		b.Fatal(err)
	}
	var j journal
	o := options(st, &j)
	o.Build = func(context.Context, *release.Release) (*engine, error) { return &engine{}, nil }
	s, err := New(o)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	key := []byte("0123456789abcdef")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			l, err := s.Acquire(context.Background(), "mugs", key)
			if err != nil {
				b.Error(err)
				return
			}
			l.Done()
		}
	})
}
