package hybrid

import (
	"math"
	"slices"
	"time"

	"gonum.org/v1/gonum/mat"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models/linalg"
)

func startOf(d *dataset.Dataset, u int) time.Time {
	return time.UnixMilli(d.History(u)[0].TimeMS).UTC()
}

func newest(h []features.Interaction) []features.Interaction {
	return h[max(0, len(h)-features.HistoryCap):]
}

// pull draws weights towards what they were expected to be: it adds
// ridge/2·|w − centre|² to the loss.
type pull struct {
	centre []float64
	ridge  float64
}

// towards is the pull to the prior weights, on the scale that suits the lists
// best; nil prior: a slight pull to 0. Its strength is that of so many cases
// among the lists, and at least a hundredth part of a case each, since what is
// held out is not quite what will be asked.
func towards(lists []list, prior []float64) pull {
	if prior == nil {
		return pull{ridge: 1e-3}
	}
	value := func(log float64) float64 {
		w := make([]float64, len(prior))
		for k, v := range prior {
			w[k] = v * math.Exp(log)
		}
		return lossOf(lists, w, pull{})
	}
	lo, hi := -4., 4.
	const golden = .6180339887498949
	a, b := hi-golden*(hi-lo), lo+golden*(hi-lo)
	fa, fb := value(a), value(b)
	for range 20 {
		if fa < fb {
			hi, b, fb = b, a, fa
			a = hi - golden*(hi-lo)
			fa = value(a)
		} else {
			lo, a, fa = a, b, fb
			b = lo + golden*(hi-lo)
			fb = value(b)
		}
	}
	scale := math.Exp((lo + hi) / 2)
	p := pull{centre: make([]float64, len(prior)), ridge: math.Max(.01, 20/float64(len(lists))) / (scale * scale)}
	for k, v := range prior {
		p.centre[k] = v * scale
	}
	return p
}

// firm is how much stronger the pull is where data are not scant, in place of a
// search along each weight, which finds what is good for the cases alone.
const firm = 3

// raised are the weights, in the largest one, that popularity is tried with.
var raised = []float64{0, .025, .05, .1, .15, .2, .3}

// raise sets the weight at cold to that of the best NDCG, if it gains more than
// twice the standard error of the difference, case by case. The softmax holds it
// down: the best sellers are among everybody's candidates, and few are good.
func raise(lists []list, w []float64, cold, k int) []float64 {
	if cold < 0 {
		return w
	}
	had := gains(lists, w, k)
	best, value, largest := w, had, slices.Max(w)
	for _, share := range raised {
		tried := slices.Clone(w)
		tried[cold] = share * largest
		got := gains(lists, tried, k)
		if mean, _ := apart(got, value); mean > 0 {
			best, value = tried, got
		}
	}
	if better(value, had, 2) {
		return best
	}
	return w
}

func (p pull) from(w []float64, k int) float64 {
	if p.centre == nil {
		return w[k]
	}
	return w[k] - p.centre[k]
}

// softmaxWeights minimises the mean over lists of -log softmax of the good
// candidates, plus the pull, by Newton's method; parts whose weight turns below
// 0 are left out one by one, the lowest first.
func softmaxWeights(lists []list, parts int, p pull) []float64 {
	active := make([]int, parts)
	for i := range active {
		active[i] = i
	}
	for {
		w := newton(lists, parts, active, p)
		worst, at := 0., -1
		for i, k := range active {
			if w[k] < worst {
				worst, at = w[k], i
			}
		}
		if at < 0 || len(active) == 1 {
			for i := range w {
				w[i] = max(w[i], 0)
			}
			return w
		}
		active = slices.Delete(active, at, at+1)
	}
}

func newton(lists []list, parts int, active []int, p pull) []float64 {
	w := make([]float64, parts)
	n := len(active)
	value := lossOf(lists, w, p)
	for range 30 {
		gradient, hessian := derivatives(lists, w, active, p)
		var step mat.VecDense
		if err := step.SolveVec(hessian, gradient); err != nil {
			break
		}
		size, moved := 1., false
		for range 12 {
			next := slices.Clone(w)
			for i, k := range active {
				next[k] -= size * step.AtVec(i)
			}
			if v := lossOf(lists, next, p); v < value-1e-9*math.Abs(value) {
				w, value, moved = next, v, true
				break
			}
			size /= 2
		}
		if !moved {
			break
		}
	}
	if n == 0 {
		clear(w)
	}
	return w
}

// lossOf is the value that newton minimises.
func lossOf(lists []list, w []float64, p pull) float64 {
	total := 0.
	var z []float64
	for i := range lists {
		z = lists[i].scores(w, z)
		top := slices.Max(z)
		sum, good, count := 0., 0., 0
		for j, v := range z {
			sum += math.Exp(v - top)
			if lists[i].good[j] {
				good += v
				count++
			}
		}
		total += top + math.Log(sum) - good/float64(count)
	}
	total /= float64(len(lists))
	for k := range w {
		d := p.from(w, k)
		total += p.ridge / 2 * d * d
	}
	return total
}

// derivatives are the gradient and Hessian of lossOf in the active weights.
func derivatives(lists []list, w []float64, active []int, p pull) (*mat.VecDense, *mat.SymDense) {
	n, parts := len(active), len(w)
	g, h := make([]float64, n), make([]float64, n*n)
	mean, good := make([]float64, n), make([]float64, n)
	second := make([]float64, n*n)
	var z []float64
	for i := range lists {
		l := &lists[i]
		z = l.scores(w, z)
		top := slices.Max(z)
		sum, count := 0., 0
		clear(mean)
		clear(good)
		clear(second)
		for j, v := range z {
			e := math.Exp(v - top)
			sum += e
			x := l.x[j*parts : (j+1)*parts]
			for a, ka := range active {
				mean[a] += e * float64(x[ka])
				for b := a; b < n; b++ {
					second[a*n+b] += e * float64(x[ka]) * float64(x[active[b]])
				}
			}
			if l.good[j] {
				count++
				for a, ka := range active {
					good[a] += float64(x[ka])
				}
			}
		}
		for a := range n {
			g[a] += mean[a]/sum - good[a]/float64(count)
			for b := a; b < n; b++ {
				h[a*n+b] += second[a*n+b]/sum - mean[a]/sum*mean[b]/sum
			}
		}
	}
	scale := 1 / float64(len(lists))
	sym := mat.NewSymDense(n, nil)
	for a := range n {
		g[a] = g[a]*scale + p.ridge*p.from(w, active[a])
		for b := a; b < n; b++ {
			v := h[a*n+b] * scale
			if a == b {
				v += p.ridge
			}
			sym.SetSym(a, b, v)
		}
	}
	return mat.NewVecDense(n, g), sym
}

// searchWeights moves one weight at a time by factors while NDCG rises by more
// than chance: by half the standard error of the difference, case by case.
func searchWeights(lists []list, w []float64, k int) []float64 {
	w = slices.Clone(w)
	largest := slices.Max(w)
	if largest <= 0 {
		for i := range w {
			w[i] = 1
		}
		largest = 1
	}
	best := gains(lists, w, k)
	for _, factor := range []float64{2, 1.4, 1.15} {
		for range 4 {
			improved := false
			for i := range w {
				old := w[i]
				tries := []float64{old * factor, old / factor, 0}
				if old == 0 {
					tries = []float64{.1 * largest * factor}
				}
				for _, v := range tries {
					w[i] = v
					if got := gains(lists, w, k); better(got, best, .5) {
						best, old, improved = got, v, true
					}
				}
				w[i] = old
			}
			if !improved {
				break
			}
		}
	}
	return w
}

// better reports whether a is above b by more than so many standard errors of
// their mean difference.
func better(a, b []float64, errors float64) bool {
	mean, deviation := apart(a, b)
	return mean > 1e-6 && mean > errors*deviation
}

// apart is the mean of a less b, case by case, and its standard error.
func apart(a, b []float64) (mean, deviation float64) {
	var sum, squares float64
	for i := range a {
		d := a[i] - b[i]
		sum += d
		squares += d * d
	}
	n := float64(len(a))
	mean = sum / n
	return mean, math.Sqrt(math.Max(squares/n-mean*mean, 0) / n)
}

// ndcg is the mean over lists of NDCG at k of the candidates by weighted score.
func ndcg(lists []list, w []float64, k int) float64 {
	total := 0.
	for _, g := range gains(lists, w, k) {
		total += g
	}
	return total / float64(len(lists))
}

// gains is NDCG at k of each list, ties by row.
func gains(lists []list, w []float64, k int) []float64 {
	out := make([]float64, len(lists))
	linalg.ParallelN(len(lists), 64, linalg.Workers(), func(_, lo, hi int) {
		var z []float64
		for i := lo; i < hi; i++ {
			l := &lists[i]
			z = l.scores(w, z)
			gain := 0.
			for j, good := range l.good {
				if !good {
					continue
				}
				rank := 0
				for at, v := range z {
					if v > z[j] || v == z[j] && at < j {
						rank++
					}
				}
				if rank < k {
					gain += 1 / math.Log2(float64(rank)+2)
				}
			}
			out[i] = gain / l.ideal
		}
	})
	return out
}

func (l *list) scores(w []float64, dst []float64) []float64 {
	dst = dst[:0]
	parts := len(w)
	for j := range l.good {
		s := 0.
		for k, v := range l.x[j*parts : (j+1)*parts] {
			s += w[k] * float64(v)
		}
		dst = append(dst, s)
	}
	return dst
}
