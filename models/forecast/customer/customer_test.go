package customer_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/attune-rec/attune/models/forecast/customer"
)

// shopper is a simulated customer: the history up to an age, and after it.
type shopper struct {
	history customer.History
	later   int  // purchases within the horizon
	alive   bool // at the end of the period
}

// simulate draws customers as the model tells their story.
func simulate(m customer.BGNBD, n int, age, horizon float64) []shopper {
	random := rand.New(rand.NewPCG(7, 11))
	gamma := func(shape float64) float64 { return drawGamma(random, shape) }
	out := make([]shopper, n)
	for i := range out {
		rate := gamma(m.R) / m.Alpha
		a, b := gamma(m.A), gamma(m.B)
		leave := a / (a + b)
		s := shopper{history: customer.History{Age: age}, alive: true}
		for now := random.ExpFloat64() / rate; now < age+horizon && rate > 0; now += random.ExpFloat64() / rate {
			if now < age {
				s.history.Repeats++
				s.history.Last = now
			} else {
				s.later++
			}
			if random.Float64() < leave {
				s.alive = now >= age
				break
			}
		}
		out[i] = s
	}
	return out
}

// drawGamma is the method of Marsaglia and Tsang (2000).
func drawGamma(random *rand.Rand, shape float64) float64 {
	if shape < 1 {
		return drawGamma(random, shape+1) * math.Pow(random.Float64(), 1/shape)
	}
	d := shape - 1.0/3
	for {
		x := random.NormFloat64()
		v := 1 + x/math.Sqrt(9*d)
		if v <= 0 {
			continue
		}
		v *= v * v
		if math.Log(random.Float64()) < x*x/2+d-d*v+d*math.Log(v) {
			return d * v
		}
	}
}

// What the formulas expect is what happens to simulated customers, in total and
// by the number of purchases so far.
func TestFormulasMatchSimulation(t *testing.T) {
	m := customer.BGNBD{R: 0.6, Alpha: 5, A: 0.8, B: 2.5}
	const age, horizon = 30, 20
	type sums struct{ n, alive, wantAlive, later, wantLater, square, again, wantAgain float64 }
	var by [4]sums
	for _, s := range simulate(m, 100_000, age, horizon) {
		g := &by[min(s.history.Repeats, 3)]
		g.n++
		if s.alive {
			g.alive++
		}
		if s.later > 0 {
			g.again++
		}
		g.later += float64(s.later)
		g.square += float64(s.later * s.later)
		g.wantAlive += m.Alive(s.history)
		g.wantLater += m.Purchases(s.history, horizon)
		g.wantAgain += m.Repurchase(s.history, horizon)
	}
	for repeats, g := range by {
		for _, c := range []struct {
			name      string
			got, want float64
			variance  float64
		}{
			{"alive", g.wantAlive, g.alive, g.n / 4},
			{"purchases", g.wantLater, g.later, g.square},
			{"buying again", g.wantAgain, g.again, g.n / 4},
		} {
			if math.Abs(c.got-c.want) > 4*math.Sqrt(c.variance) {
				t.Errorf("%d repeats, %s: formula %.1f, simulation %.1f of %.0f", repeats, c.name, c.got, c.want, g.n)
			}
		}
	}
}

func TestFitFindsTheTruth(t *testing.T) {
	truth := customer.BGNBD{R: 0.6, Alpha: 5, A: 0.8, B: 2.5}
	var histories []customer.History
	for _, s := range simulate(truth, 20_000, 30, 0) {
		histories = append(histories, s.history)
	}
	m, err := customer.FitBGNBD(histories)
	if err != nil {
		t.Fatal(err)
	}
	at := func(m customer.BGNBD) float64 {
		v, err := m.LogLikelihood(histories)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	if at(m) < at(truth) {
		t.Errorf("likelihood of the fit %+v: %.3f, below that of the truth, %.3f", m, at(m), at(truth))
	}
	if math.Abs(m.R-truth.R) > 0.05 || math.Abs(m.Alpha-truth.Alpha) > 0.6 {
		t.Errorf("got %+v, want near %+v", m, truth)
	}
}

// A unit of days instead of weeks changes alpha alone.
func TestFitInAnotherUnit(t *testing.T) {
	var weeks, days []customer.History
	for _, s := range simulate(customer.BGNBD{R: 0.6, Alpha: 5, A: 0.8, B: 2.5}, 3000, 30, 0) {
		h := s.history
		weeks = append(weeks, h)
		days = append(days, customer.History{Repeats: h.Repeats, Last: 7 * h.Last, Age: 7 * h.Age})
	}
	w, errW := customer.FitBGNBD(weeks)
	d, errD := customer.FitBGNBD(days)
	if err := errors.Join(errW, errD); err != nil {
		t.Fatal(err)
	}
	if math.Abs(d.Alpha/w.Alpha-7) > 1e-4 || math.Abs(d.R/w.R-1) > 1e-4 {
		t.Errorf("got %+v in weeks and %+v in days, want only alpha 7 times as large", w, d)
	}
}

func TestPurchasesNearSingularParameters(t *testing.T) {
	h := customer.History{Repeats: 2, Last: 10, Age: 30}
	low := customer.BGNBD{R: 0.5, Alpha: 5, A: 0.999, B: 2}
	at := customer.BGNBD{R: 0.5, Alpha: 5, A: 1, B: 2}
	high := customer.BGNBD{R: 0.5, Alpha: 5, A: 1.001, B: 2}
	between := (low.Purchases(h, 10) + high.Purchases(h, 10)) / 2
	if got := at.Purchases(h, 10); math.Abs(got-between) > 1e-4 {
		t.Errorf("at a = 1: got %v, want about %v", got, between)
	}
	if got := at.Purchases(h, 0); got != 0 {
		t.Errorf("within no time: got %v purchases, want 0", got)
	}
}

func TestSummariseJoinsDays(t *testing.T) {
	start := time.Date(2025, 3, 1, 9, 0, 0, 0, time.UTC)
	at := func(days int, value float64) customer.Purchase {
		return customer.Purchase{Time: start.AddDate(0, 0, days), Value: value}
	}
	h, s, ok := customer.Summarise([]customer.Purchase{at(14, 30), at(0, 5), at(0, 6), at(7, 10), at(14, 20), at(40, 99)},
		start.AddDate(0, 0, 21), 7*24*time.Hour)
	if want := (customer.History{Repeats: 2, Last: 2, Age: 3}); !ok || h != want {
		t.Errorf("got %+v, want %+v", h, want)
	}
	if want := (customer.Spend{Repeats: 2, Mean: 30}); s != want {
		t.Errorf("got %+v, want %+v", s, want)
	}
	if _, _, ok := customer.Summarise([]customer.Purchase{at(5, 1)}, start, time.Hour); ok {
		t.Error("a customer who has not begun has a history")
	}
}

func TestValueDiscountsAndSums(t *testing.T) {
	m, g := customer.BGNBD{R: 0.24, Alpha: 4.4, A: 0.8, B: 2.4}, customer.GammaGamma{P: 6.25, Q: 3.74, Gamma: 15.44}
	h, s := customer.History{Repeats: 3, Last: 20, Age: 30}, customer.Spend{Repeats: 3, Mean: 25}
	plain, err := customer.Value(m, g, h, s, 52, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	if want := m.Purchases(h, 52) * g.Mean(s); math.Abs(plain-want) > 1e-9 {
		t.Errorf("no discount: got %v, want purchases times spend, %v", plain, want)
	}
	less, err := customer.Value(m, g, h, s, 52, 0.5, 0.002)
	if err != nil {
		t.Fatal(err)
	}
	if less >= plain/2 || less < plain/2*math.Pow(1.002, -52) {
		t.Errorf("discounted at half the margin: got %v, want between the extremes", less)
	}
}

func TestRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		hs   []customer.History
		want string
	}{
		{"nobody", nil, "no customers"},
		{"no repeats", []customer.History{{Age: 3}, {Age: 4}}, "longer period"},
		{"last after age", []customer.History{{Repeats: 1, Last: 5, Age: 4}}, "customer 0: last purchase at 5"},
		{"not a number", []customer.History{{Age: math.NaN()}}, "want 0 <= last <= age"},
		{"last without repeats", []customer.History{{Last: 1, Age: 4}}, "with no repeat purchase"},
	} {
		if _, err := customer.FitBGNBD(c.hs); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got error %v, want %q in it", c.name, err, c.want)
		}
	}
	if _, err := customer.FitGammaGamma([]customer.Spend{{Repeats: 1, Mean: 4}}); !errors.Is(err, customer.ErrNoFit) {
		t.Errorf("spend of one customer: got error %v, want %v", err, customer.ErrNoFit)
	}
	if _, err := customer.Value(customer.BGNBD{}, customer.GammaGamma{}, customer.History{}, customer.Spend{}, -1, 1, 0); err == nil {
		t.Error("a horizon of -1 is accepted")
	}
}

// Where nobody leaves, or all leave alike, purchases are still a number, and
// the limit meets the series.
func TestPurchasesWhereLeavingIsTheSameForAll(t *testing.T) {
	h := customer.History{Repeats: 4, Last: 30, Age: 40}
	for _, scale := range []float64{1, 1e2, 1e4, 1e8, 1e12} {
		for _, share := range []float64{1e-9, 1e-3, .2, .9} {
			m := customer.BGNBD{R: .5, Alpha: 6, A: scale * share, B: scale * (1 - share)}
			v := m.Purchases(h, 60)
			if !(v >= 0 && v <= 4.5*60/46) {
				t.Errorf("a %g, b %g: got %v purchases, want at most those of who never leaves", m.A, m.B, v)
			}
		}
	}
	series := customer.BGNBD{R: .5, Alpha: 6, A: 100, B: 9800}.Purchases(h, 12)
	limit := customer.BGNBD{R: .5, Alpha: 6, A: 103, B: 10000}.Purchases(h, 12)
	if math.Abs(series/limit-1) > .01 {
		t.Errorf("got %v by the series and %v by the limit, want nearly the same", series, limit)
	}
}
