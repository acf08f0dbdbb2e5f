package hybrid

import (
	"math"
	"slices"
	"sort"
	"time"

	"gonum.org/v1/gonum/mat"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
)

func startOf(d *dataset.Dataset, u int) time.Time {
	return time.UnixMilli(d.History(u)[0].TimeMS).UTC()
}

func newest(h []features.Interaction) []features.Interaction {
	return h[max(0, len(h)-features.HistoryCap):]
}

// softmaxWeights minimises the mean over lists of -log softmax of the good
// candidates, plus a small ridge, by Newton's method; parts whose weight turns
// below 0 are left out one by one, the lowest first.
func softmaxWeights(lists []list, parts int) []float64 {
	active := make([]int, parts)
	for i := range active {
		active[i] = i
	}
	for {
		w := newton(lists, parts, active)
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

const ridge = 1e-3

func newton(lists []list, parts int, active []int) []float64 {
	w := make([]float64, parts)
	n := len(active)
	value := lossOf(lists, w)
	for range 30 {
		gradient, hessian := derivatives(lists, w, active)
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
			if v := lossOf(lists, next); v < value-1e-9*math.Abs(value) {
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
func lossOf(lists []list, w []float64) float64 {
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
	for _, v := range w {
		total += ridge / 2 * v * v
	}
	return total
}

// derivatives are the gradient and Hessian of lossOf in the active weights.
func derivatives(lists []list, w []float64, active []int) (*mat.VecDense, *mat.SymDense) {
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
		g[a] = g[a]*scale + ridge*w[active[a]]
		for b := a; b < n; b++ {
			v := h[a*n+b] * scale
			if a == b {
				v += ridge
			}
			sym.SetSym(a, b, v)
		}
	}
	return mat.NewVecDense(n, g), sym
}

// searchWeights moves one weight at a time by factors while NDCG rises.
func searchWeights(lists []list, w []float64, k int) []float64 {
	w = slices.Clone(w)
	largest := slices.Max(w)
	if largest <= 0 {
		for i := range w {
			w[i] = 1
		}
		largest = 1
	}
	best := ndcg(lists, w, k)
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
					if got := ndcg(lists, w, k); got > best+1e-6 {
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

// ndcg is the mean over lists of NDCG at k of the candidates by weighted score,
// ties by row.
func ndcg(lists []list, w []float64, k int) float64 {
	total := 0.
	var z []float64
	var order []int
	for i := range lists {
		l := &lists[i]
		z = l.scores(w, z)
		order = order[:0]
		for j := range z {
			order = append(order, j)
		}
		sort.SliceStable(order, func(a, b int) bool { return z[order[a]] > z[order[b]] })
		gain := 0.
		for rank, j := range order[:min(k, len(order))] {
			if l.good[j] {
				gain += 1 / math.Log2(float64(rank)+2)
			}
		}
		total += gain / l.ideal
	}
	return total / float64(len(lists))
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
