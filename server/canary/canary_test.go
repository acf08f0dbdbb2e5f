package canary

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/attune-rec/attune/features"
)

const shop = features.ShopID("default")

// sim is a shop with a clock of its own and releases that behave as a test says.
type sim struct {
	now  time.Time
	rng  *rand.Rand
	w    *Watcher
	back []Back
	fail error // of going back
}

func newSim(seed uint64) *sim {
	s := &sim{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), rng: rand.New(rand.NewPCG(seed, 1))}
	s.w = New(Options{
		Clock: func() time.Time { return s.now }, Logger: slog.New(slog.DiscardHandler),
		Roll: func(_ context.Context, b Back) error {
			if s.fail == nil {
				s.back = append(s.back, b)
			}
			return s.fail
		},
	})
	return s
}

// behaviour is how a release answers.
type behaviour struct {
	failed, empty float64
	took          time.Duration // the middle of a long-tailed distribution
}

var good = behaviour{failed: .002, empty: .01, took: 2 * time.Millisecond}

func (s *sim) answer(b behaviour) Outcome {
	took := time.Duration(float64(b.took) * (1 + s.rng.ExpFloat64()))
	return Outcome{Took: took, Failed: s.rng.Float64() < b.failed, Empty: s.rng.Float64() < b.empty}
}

// serve passes a while with a hundred questions a second, a share of them to
// the canary, and a look every second. It returns when something was gone back
// from.
func (s *sim) serve(d time.Duration, stable, canary string, share float64, of map[string]behaviour) time.Duration {
	began := s.now
	for s.now.Sub(began) < d {
		for range 100 {
			version := stable
			if s.rng.Float64() < share {
				version = canary
			}
			s.w.Observe(shop, version, s.answer(of[version]))
			s.now = s.now.Add(10 * time.Millisecond)
		}
		s.w.Look(context.Background())
		if len(s.back) > 0 {
			break
		}
	}
	return s.now.Sub(began)
}

// A planted bad canary is gone back from within a minute, whatever is wrong
// with it; a good one stays for a day of looks.
func TestBadCanaryGoesAndGoodOneStays(t *testing.T) {
	for cause, bad := range map[string]behaviour{
		CauseFailed: {failed: .3, empty: .01, took: 2 * time.Millisecond},
		CauseEmpty:  {failed: .002, empty: .4, took: 2 * time.Millisecond},
		CauseLate:   {failed: .002, empty: .01, took: 40 * time.Millisecond},
	} {
		for seed := range uint64(20) {
			s := newSim(seed)
			s.w.Serves(shop, State{Number: 1, Stable: "a"})
			s.w.Serves(shop, State{Number: 2, Stable: "a", Canary: "b"})
			took := s.serve(time.Hour, "a", "b", .1, map[string]behaviour{"a": good, "b": bad})
			if len(s.back) != 1 || s.back[0].Release != "b" || s.back[0].To != "" || s.back[0].State != 2 || s.back[0].Verdict.Cause != cause || took > time.Minute {
				t.Errorf("%s: got %+v after %v, want b gone within a minute", cause, s.back, took)
			}
		}
	}
	long := 2 * time.Hour
	if testing.Short() {
		long /= 8
	}
	for seed := range uint64(5) {
		s := newSim(seed)
		s.w.Serves(shop, State{Number: 2, Stable: "a", Canary: "b"})
		s.serve(long, "a", "b", .1, map[string]behaviour{"a": good, "b": good})
		if len(s.back) != 0 {
			t.Errorf("got %+v, want a good canary kept", s.back)
		}
	}
}

// What is wrong with both is nobody's fault.
func TestSharedTroubleIsNotTheCanarys(t *testing.T) {
	s := newSim(1)
	s.w.Serves(shop, State{Number: 2, Stable: "a", Canary: "b"})
	trouble := behaviour{failed: .5, empty: .3, took: 300 * time.Millisecond}
	s.serve(10*time.Minute, "a", "b", .2, map[string]behaviour{"a": trouble, "b": trouble})
	if len(s.back) != 0 {
		t.Errorf("got %+v, want it kept", s.back)
	}
}

// A release promoted to all is judged by the one before it, for the time of its
// trial, and what was gone back to is not judged again.
func TestBadPromotionGoesBack(t *testing.T) {
	s := newSim(1)
	bad := behaviour{empty: .5, took: 2 * time.Millisecond}
	of := map[string]behaviour{"a": good, "b": bad, "c": good}
	s.w.Serves(shop, State{Number: 1, Stable: "a"})
	s.serve(time.Minute, "a", "", 0, of)
	s.w.Serves(shop, State{Number: 2, Stable: "c", Before: "a"})
	s.serve(10*time.Minute, "c", "", 0, of)
	if len(s.back) != 0 {
		t.Fatalf("got %+v, want a good promotion kept", s.back)
	}
	s.w.Serves(shop, State{Number: 3, Stable: "b", Before: "c"})
	took := s.serve(time.Hour, "b", "", 0, of)
	if len(s.back) != 1 || s.back[0].To != "c" || s.back[0].State != 3 || took > time.Minute {
		t.Fatalf("got %+v after %v, want c again within a minute", s.back, took)
	}
	s.back = nil
	s.w.Serves(shop, State{Number: 4, Stable: "c", Before: "a"})
	s.serve(10*time.Minute, "c", "", 0, of)
	if len(s.back) != 0 {
		t.Errorf("got %+v, want it to stay", s.back)
	}
}

// After its trial a promoted release is what others are judged by.
func TestTrialEnds(t *testing.T) {
	s := newSim(1)
	s.w.Serves(shop, State{Number: 1, Stable: "a"})
	s.serve(time.Minute, "a", "", 0, map[string]behaviour{"a": good})
	s.w.Serves(shop, State{Number: 2, Stable: "b", Before: "a"})
	s.serve(6*time.Minute, "b", "", 0, map[string]behaviour{"b": good})
	s.serve(6*time.Minute, "b", "", 0, map[string]behaviour{"b": {failed: 1}})
	if len(s.back) != 0 {
		t.Errorf("got %+v, want nothing gone back from long after", s.back)
	}
}

// Too few answers say nothing; a failure to go back is tried again; a release
// is gone back from once.
func TestLooks(t *testing.T) {
	s := newSim(1)
	s.w.Serves(shop, State{Number: 2, Stable: "a", Canary: "b"})
	for range 99 {
		s.w.Observe(shop, "b", Outcome{Failed: true})
	}
	s.w.Look(context.Background())
	if len(s.back) != 0 {
		t.Errorf("got %+v after 99 answers, want nothing", s.back)
	}
	s.w.Observe(shop, "b", Outcome{Failed: true})
	s.fail = errors.New("disk")
	s.w.Look(context.Background())
	s.fail = nil
	s.w.Look(context.Background())
	s.w.Look(context.Background())
	if len(s.back) != 1 {
		t.Errorf("got %+v, want it gone back from once", s.back)
	}
	s.w.Observe("other", "b", Outcome{Failed: true}) // a shop nobody told of
}

// The first answers of a release may be slow, since nothing is in its caches yet.
// What they say of lateness is not heard, what they say of failures at once; and
// one that stays slow goes.
func TestSlowStartIsNoReasonToGo(t *testing.T) {
	of := map[string]behaviour{"a": good, "b": good}
	slow := behaviour{failed: good.failed, empty: good.empty, took: 40 * time.Millisecond}
	for _, how := range []struct {
		name  string
		state State
		share float64
		begin behaviour
		after behaviour
		cause string
		by    time.Duration // 0: not at all
	}{
		{"promoted", State{Number: 2, Stable: "b", Before: "a"}, 1, slow, good, "", 0},
		{"canary", State{Number: 2, Stable: "a", Canary: "b"}, .5, slow, good, "", 0},
		{"promoted, slow for good", State{Number: 2, Stable: "b", Before: "a"}, 1, slow, slow, CauseLate, 10 * time.Second},
		{"canary, slow for good", State{Number: 2, Stable: "a", Canary: "b"}, .5, slow, slow, CauseLate, 10 * time.Second},
		{"promoted, failing", State{Number: 2, Stable: "b", Before: "a"}, 1, behaviour{failed: .3, took: slow.took}, good, CauseFailed, 4 * time.Second},
	} {
		s := newSim(7)
		s.w.Serves(shop, State{Number: 1, Stable: "a"})
		s.serve(time.Minute, "a", "", 0, of)
		s.w.Serves(shop, how.state)
		took := s.serve(4*time.Second, how.state.Stable, "b", how.share, map[string]behaviour{"a": good, "b": how.begin})
		if len(s.back) == 0 {
			took += s.serve(10*time.Minute, how.state.Stable, "b", how.share, map[string]behaviour{"a": good, "b": how.after})
		}
		switch {
		case how.cause == "" && len(s.back) > 0:
			t.Errorf("%s: got %+v after %v, want it kept", how.name, s.back, took)
		case how.cause != "" && (len(s.back) != 1 || s.back[0].Verdict.Cause != how.cause || took > how.by):
			t.Errorf("%s: got %+v after %v, want it gone for %s within %v", how.name, s.back, took, how.cause, how.by)
		}
	}
}

// One shop's trouble is not another's.
func TestShopsAreApart(t *testing.T) {
	s := newSim(1)
	for _, id := range []features.ShopID{"x", "y"} {
		s.w.Serves(id, State{Number: 7, Stable: "a", Canary: "b"})
		for range 200 {
			s.w.Observe(id, "a", Outcome{})
			s.w.Observe(id, "b", Outcome{Failed: id == "y"})
		}
	}
	s.w.Look(context.Background())
	if len(s.back) != 1 || s.back[0].Shop != "y" {
		t.Errorf("got %+v, want y's canary alone", s.back)
	}
}

// The exact test is what counting all ways gives.
func TestChanceIsThatOfAllWays(t *testing.T) {
	over := func(n, k int) float64 {
		c := 1.
		for i := range k {
			c = c * float64(n-i) / float64(i+1)
		}
		return c
	}
	for n := 1; n <= 12; n++ {
		for m := 1; m <= 12; m++ {
			for got := range n + 1 {
				for had := range m + 1 {
					if got*m <= had*n {
						continue // no larger share
					}
					want := 0.
					for k := got; k <= min(n, got+had); k++ {
						want += over(n, k) * over(m, got+had-k) / over(n+m, got+had)
					}
					if c := chance(int64(got), int64(n), int64(had), int64(m)); math.Abs(c-want) > 1e-9 {
						t.Fatalf("%d of %d against %d of %d: got %v, want %v", got, n, had, m, c, want)
					}
				}
			}
		}
	}
	if c := chance(3, 109, 2, 1091); c < level {
		t.Errorf("3 of 109 against 2 of 1091: got a chance of %v, want one that may be", c)
	}
	if c := chance(30_000, 100_000, 20_000, 100_000); !(c >= 0 && c < 1e-12) {
		t.Errorf("a third against a fifth of 100,000: got a chance of %v, want none", c)
	}
}

func TestTallyKeepsTimesToATenth(t *testing.T) {
	var tally Tally
	for i := range 1000 {
		tally.Add(Outcome{Took: time.Duration(i+1) * 100 * time.Microsecond})
	}
	for share, want := range map[float64]time.Duration{.5: 50 * time.Millisecond, .95: 95 * time.Millisecond, .99: 99 * time.Millisecond} {
		if got := tally.percentile(share); got < want || got > want*11/10 {
			t.Errorf("percentile %v: got %v, want %v to a tenth", share, got, want)
		}
	}
	if got := tally.over(90 * time.Millisecond); got < 10 || got > 100 {
		t.Errorf("over 90ms: got %d, want 100 less a bucket at most", got)
	}
	for _, d := range []time.Duration{0, time.Microsecond, time.Hour} {
		if b := bucket(d); b < 0 || b >= buckets {
			t.Errorf("%v: got bucket %d of %d", d, b, buckets)
		}
	}
}

func TestMetrics(t *testing.T) {
	r := prometheus.NewRegistry()
	w := New(Options{Registerer: r, Roll: func(context.Context, Back) error { return nil }, Logger: slog.New(slog.DiscardHandler)})
	w.Serves(shop, State{Number: 2, Stable: "a", Canary: "b"})
	for range 200 {
		w.Observe(shop, "a", Outcome{})
		w.Observe(shop, "b", Outcome{Empty: true})
	}
	w.Look(context.Background())
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			got[f.GetName()] += m.GetCounter().GetValue()
		}
	}
	if got["attune_release_rolled_back_total"] != 1 || got["attune_release_judged_total"] != 400 {
		t.Errorf("got %v, want one gone back from and 400 judged", got)
	}
}
