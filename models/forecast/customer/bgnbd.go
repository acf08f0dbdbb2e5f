package customer

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/attune-rec/attune/models/forecast/simplex"
)

// BGNBD is a fitted model: purchase rates are gamma distributed with shape R and
// rate Alpha, the probabilities of leaving after a purchase beta with A and B.
type BGNBD struct{ R, Alpha, A, B float64 }

// ErrNoFit marks data from which a model cannot be estimated.
var ErrNoFit = errors.New("cannot be estimated")

// FitBGNBD returns the parameters of greatest likelihood. It needs customers
// with repeat purchases; equal histories are counted once.
func FitBGNBD(histories []History) (BGNBD, error) {
	groups, err := group(histories)
	if err != nil {
		return BGNBD{}, err
	}
	repeats, age := 0.0, 0.0
	for _, g := range groups {
		repeats += float64(g.history.Repeats) * g.customers
		age += g.history.Age * g.customers
	}
	if repeats < 2 || age <= 0 {
		return BGNBD{}, fmt.Errorf("%w: %d customers with %.0f repeat purchases: take a longer period", ErrNoFit, len(histories), repeats)
	}
	mean := age / float64(len(histories)) // makes the fit the same in any unit of time
	loss := func(logs []float64) float64 {
		for _, v := range logs {
			if math.Abs(v) > 30 {
				return math.Inf(1)
			}
		}
		m := BGNBD{math.Exp(logs[0]), mean * math.Exp(logs[1]), math.Exp(logs[2]), math.Exp(logs[3])}
		return -m.logLikelihood(groups) / float64(len(histories))
	}
	logs, value := simplex.Minimize(loss, []float64{0, 0, 0, 0},
		simplex.Options{Tolerance: 1e-13, MaxEvals: 3000, Restarts: 6})
	if math.IsInf(value, 0) {
		return BGNBD{}, fmt.Errorf("%w: the likelihood is not finite", ErrNoFit)
	}
	return BGNBD{math.Exp(logs[0]), mean * math.Exp(logs[1]), math.Exp(logs[2]), math.Exp(logs[3])}, nil
}

// LogLikelihood is the sum over customers of the logarithm of equation 6 of the
// paper.
func (m BGNBD) LogLikelihood(histories []History) (float64, error) {
	groups, err := group(histories)
	if err != nil {
		return 0, err
	}
	return m.logLikelihood(groups), nil
}

func (m BGNBD) logLikelihood(groups []equal) (sum float64) {
	gammaR, gammaB, gammaAB := lgamma(m.R), lgamma(m.B), lgamma(m.A+m.B)
	logAlpha, logA := math.Log(m.Alpha), math.Log(m.A)
	for _, g := range groups {
		x := float64(g.history.Repeats)
		rate := lgamma(m.R+x) - gammaR + m.R*logAlpha
		leave := gammaAB + lgamma(m.B+x) - gammaB - lgamma(m.A+m.B+x)
		term := -(m.R + x) * math.Log(m.Alpha+g.history.Age)
		if x > 0 {
			left := logA - math.Log(m.B+x-1) - (m.R+x)*math.Log(m.Alpha+g.history.Last)
			term = logSum(term, left)
		}
		sum += g.customers * (rate + leave + term)
	}
	return sum
}

// Alive is the probability that a customer has not left by the end of the
// period: 1 for one who bought once, since customers leave only after repeats.
func (m BGNBD) Alive(h History) float64 {
	if h.Repeats == 0 {
		return 1
	}
	x := float64(h.Repeats)
	odds := math.Log(m.A) - math.Log(m.B+x-1) + (m.R+x)*math.Log((m.Alpha+h.Age)/(m.Alpha+h.Last))
	return 1 / (1 + math.Exp(odds))
}

// Churn is the probability that a customer has left.
func (m BGNBD) Churn(h History) float64 { return 1 - m.Alive(h) }

// Repurchase is the probability of at least one purchase within t after the end
// of the period.
func (m BGNBD) Repurchase(h History, t float64) float64 {
	x := float64(h.Repeats)
	return m.Alive(h) * -math.Expm1((m.R+x)*math.Log((m.Alpha+h.Age)/(m.Alpha+h.Age+t)))
}

// Purchases is the expected number of purchases within t after the end of the
// period, equation 10 of the paper.
func (m BGNBD) Purchases(h History, t float64) float64 {
	if t <= 0 {
		return 0
	}
	x := float64(h.Repeats)
	if m.A+m.B > spike {
		return m.steady(h, t) * m.Alive(h)
	}
	a := m.A
	if math.Abs(a-1) < 1e-6 { // a removable singularity
		a = 1 + 1e-6
	}
	z := t / (m.Alpha + h.Age + t)
	c := a + m.B + x - 1
	if math.Abs(c) < 1e-6 {
		c = 1e-6
	}
	// (1-z)^(r+x) F(r+x, b+x; c; z), through Euler's transformation of F, whose
	// series then has terms that fall faster.
	series := math.Exp((a-1)*math.Log1p(-z)) * hyper(c-m.R-x, a-1, c, z)
	expected := c / (a - 1) * (1 - series)
	if expected-expected != 0 { // the series is beyond what floats hold
		expected = m.steady(h, t)
	}
	return max(0, expected) * m.Alive(h)
}

// spike is from which sum of A and B on the probability of leaving is as good as
// the same for all. Customers who hardly ever leave are fitted so.
const spike = 1e4

// steady is what Purchases expects of who is alive where the probability p of
// leaving after a purchase is known: the mean of (1 - exp(-λpt)) / p over the
// rates λ.
func (m BGNBD) steady(h History, t float64) float64 {
	x := float64(h.Repeats)
	p := m.A / (m.A + m.B + x)
	return -math.Expm1(-(m.R+x)*math.Log1p(p*t/(m.Alpha+h.Age))) / p
}

// Mean is the expected number of repeat purchases of a new customer within t of
// the first, equation 9 of the paper.
func (m BGNBD) Mean(t float64) float64 { return m.Purchases(History{}, t) }

// equal is a number of customers of the same history.
type equal struct {
	history   History
	customers float64
}

// group checks the histories and counts equal ones, in a fixed order.
func group(histories []History) ([]equal, error) {
	if len(histories) == 0 {
		return nil, fmt.Errorf("%w: no customers", ErrNoFit)
	}
	counts := make(map[History]float64, len(histories))
	for i, h := range histories {
		if err := h.check(); err != nil {
			return nil, fmt.Errorf("customer %d: %w", i, err)
		}
		counts[h]++
	}
	groups := make([]equal, 0, len(counts))
	for h, n := range counts {
		groups = append(groups, equal{h, n})
	}
	slices.SortFunc(groups, func(a, b equal) int {
		return cmp.Or(
			cmp.Compare(a.history.Repeats, b.history.Repeats),
			cmp.Compare(a.history.Last, b.history.Last),
			cmp.Compare(a.history.Age, b.history.Age))
	})
	return groups, nil
}

func lgamma(x float64) float64 {
	v, _ := math.Lgamma(x)
	return v
}

// logSum is log(exp(a)+exp(b)).
func logSum(a, b float64) float64 {
	if a < b {
		a, b = b, a
	}
	return a + math.Log1p(math.Exp(b-a))
}

// hyper is Gauss's hypergeometric function F(a, b; c; z) by its series, for
// 0 <= z < 1 and a c that is not zero or a negative integer.
func hyper(a, b, c, z float64) float64 {
	sum, term := 1.0, 1.0
	for n := 0.0; n < 100_000; n++ {
		term *= (a + n) * (b + n) / ((c + n) * (n + 1)) * z
		sum += term
		if math.Abs(term) <= 1e-16*math.Abs(sum) {
			break
		}
	}
	return sum
}
