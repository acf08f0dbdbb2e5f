package ltr

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/sajari/regression"

	"github.com/attune-rec/attune/models/linalg"
	"github.com/attune-rec/attune/models/nn"
)

// descend minimises the listwise softmax by Adam and returns the parameters of
// the epoch that was best on check.
func descend(ctx context.Context, p Params, train, check []List, hidden int, o LearnOptions) Params {
	width := len(p.Mean)
	random := rand.New(rand.NewPCG(o.Seed, uint64(hidden))) // #nosec G404 -- drawn again the same
	linear := nn.NewParam[float32]("linear", 1, width)
	params := nn.Params[float32]{linear}
	var inner, outer *nn.Dense[float32]
	var relu nn.ReLU[float32]
	if hidden > 0 {
		inner, outer = nn.NewDense[float32]("inner", width, hidden, random), nn.NewDense[float32]("outer", hidden, 1, random)
		clear(inner.W.Mat().Row(width - 1)) // position adds to the score and to nothing else
		inner.W.Decay, outer.W.Decay = true, true
		params = append(params, inner.Params()...)
		params = append(params, outer.W)
	}
	options := nn.DefaultAdam()
	options.Decay = .01
	adam := nn.NewAdam(params, options)
	p.Hidden, p.Slope, p.Shift = hidden, 1, 0
	best, bestNDCG := p, -1.
	const batch, rate = 16, .01
	order := random.Perm(len(train))
	steps := o.Epochs * (len(train)/batch + 1)
	for range o.Epochs {
		if ctx.Err() != nil {
			break
		}
		random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		for from := 0; from < len(order); from += batch {
			some := order[from:min(from+batch, len(order))]
			for _, at := range some {
				l := &train[at]
				n := len(l.Gain)
				scores := make([]float32, n)
				linalg.DotRows(linear.W, l.X, scores)
				x := nn.MatOf(n, width, l.X)
				if hidden > 0 {
					for i, v := range outer.Forward(relu.Forward(inner.Forward(x))).Data {
						scores[i] += v
					}
				}
				softmaxLoss(l, scores, 1/float32(len(some)))
				linalg.AxpyRows(scores, l.X, linear.G)
				if hidden > 0 {
					inner.Weights(relu.Backward(outer.Backward(nn.MatOf(n, 1, scores))))
				}
			}
			if hidden > 0 {
				clear(inner.W.Grad().Row(width - 1))
			}
			adam.Step(rate*.5*(1+math.Cos(math.Pi*float64(adam.Steps())/float64(steps))), 1)
		}
		p.Linear = slices.Clone(linear.W)
		if hidden > 0 {
			p.Inner, p.Bias, p.Outer = slices.Clone(inner.W.W), slices.Clone(inner.B.W), slices.Clone(outer.W.W)
		} else {
			p.Inner, p.Bias, p.Outer = nil, nil, nil
		}
		if v := p.judge(check); v > bestNDCG {
			best, bestNDCG = p, v
		}
	}
	return best
}

// softmaxLoss turns scores into the gradient of −Σ g·log softmax(scores), with
// gains g that sum to weight.
func softmaxLoss(l *List, scores []float32, weight float32) {
	most := slices.Max(scores)
	sum, gain := 0., float32(0)
	for i, s := range scores {
		e := math.Exp(float64(s - most))
		scores[i] = float32(e)
		sum += e
		gain += l.Gain[i]
	}
	for i := range scores {
		scores[i] = weight * (scores[i]/float32(sum) - l.Gain[i]/gain)
	}
}

// score applies the network to standardised inputs.
func (p *Params) score(x, out []float32) {
	m := Model{params: *p, inputs: &Inputs{names: make([]string, len(p.Mean))}}
	if p.Hidden > 0 {
		m.inner = linalg.MatrixOf(len(p.Mean), p.Hidden, p.Inner)
	}
	m.apply(x, make([]float32, len(out)*p.Hidden), out)
}

// judge is the mean NDCG at 10 of the lists; ties fall as they were retrieved.
func (p *Params) judge(lists []List) float64 {
	total := 0.
	for i := range lists {
		l := &lists[i]
		scores := make([]float32, len(l.Gain))
		p.score(l.X, scores)
		order := make([]int, len(scores))
		for k := range order {
			order[k] = k
		}
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(scores[b], scores[a]) })
		var got, ideal float64
		sorted := slices.Clone(l.Gain)
		slices.SortFunc(sorted, func(a, b float32) int { return cmp.Compare(b, a) })
		for k := range min(10, len(order)) {
			discount := 1 / math.Log2(float64(k)+2)
			got += float64(l.Gain[order[k]]) * discount
			ideal += float64(sorted[k]) * discount
		}
		total += got / ideal
	}
	return total / float64(len(lists))
}

// calibrate fits σ(slope·x + shift) to what was taken, by Newton's method.
func (p *Params) calibrate(lists []List) {
	a, b := 1., -4.
	var scores [][]float32
	for i := range lists {
		s := make([]float32, len(lists[i].Gain))
		p.score(lists[i].X, s)
		scores = append(scores, s)
	}
	for range 60 {
		ga, gb, haa, hab, hbb := 1e-3*(a-1), 0., 1e-3, 0., 1e-6
		for i, s := range scores {
			for k, v := range s {
				y, x := 0., float64(v)
				if lists[i].Gain[k] > 0 {
					y = 1
				}
				q := 1 / (1 + math.Exp(-a*x-b))
				w := q * (1 - q)
				ga, gb = ga+(q-y)*x, gb+q-y
				haa, hab, hbb = haa+w*x*x, hab+w*x, hbb+w
			}
		}
		det := haa*hbb - hab*hab
		if !(det > 0) {
			break
		}
		da, db := (hbb*ga-hab*gb)/det, (haa*gb-hab*ga)/det
		if size := math.Hypot(da, db); size > 1 {
			da, db = da/size, db/size
		}
		a, b = a-da, b-db
		if math.Abs(da)+math.Abs(db) < 1e-9 {
			break
		}
	}
	if !(a > 1e-6) || math.IsInf(a, 0) || b != b { // it would turn the order around
		a, b = 1, 0
	}
	p.Slope, p.Shift = a, b
}

// mostRows bounds the rows of a regression, whose memory grows with their
// square.
const mostRows = 1000

// regress is the linear fusion one can read: whether candidates were taken, by
// least squares on the models' scores and the place, over rows that are the
// means of many lists' taken and left candidates.
func regress(p Params, lists []List, names []string) (Params, string, error) {
	width, parts := len(p.Mean), len(names)
	groups := min(len(lists), mostRows/2)
	rows := make([][2][]float64, groups)
	sizes := make([]float64, groups)
	for i, l := range lists {
		at := i % groups
		if rows[at][0] == nil {
			rows[at] = [2][]float64{make([]float64, parts), make([]float64, parts)}
		}
		taken := 0.
		for _, g := range l.Gain {
			if g > 0 {
				taken++
			}
		}
		sizes[at]++
		for c, g := range l.Gain {
			to, n := rows[at][0], float64(len(l.Gain))-taken
			if g > 0 {
				to, n = rows[at][1], taken
			}
			for k := range to {
				to[k] += float64(l.X[c*width+k]) / n
			}
		}
	}
	var r regression.Regression
	r.SetObserved("taken")
	for k, name := range names {
		r.SetVar(k, name)
	}
	for at, pair := range rows {
		for y, x := range pair {
			for k := range x {
				x[k] /= sizes[at]
			}
			r.Train(regression.DataPoint(float64(y), x))
		}
	}
	if err := r.Run(); err != nil {
		return p, "", fmt.Errorf("regression on %d inputs: %w", parts, err)
	}
	p.Linear, p.Hidden, p.Inner, p.Bias, p.Outer, p.Slope = make([]float32, width), 0, nil, nil, nil, 1
	for k := range parts {
		c := r.Coeff(k + 1)
		if math.IsNaN(c) || math.Abs(c) > 1e4 {
			return p, "", fmt.Errorf("the coefficient of %s is %v: two inputs say the same", names[k], c)
		}
		p.Linear[k] = float32(c)
	}
	return p, r.Formula, nil
}
