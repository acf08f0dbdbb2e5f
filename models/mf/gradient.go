package mf

import (
	"math"

	"github.com/attune-rec/attune/models/linalg"
)

// gradient takes steps of conjugate gradient (Takács, Pilászy, Tikk 2011) from x
// and returns the value there: that at x, summed term by term, less what each
// step gains. In the basis of a system the pairs that nobody saw are a diagonal:
// they cost nothing, and as the preconditioner they leave the identity and one
// rank for each seen row, which few steps solve.
func (w *worker) gradient(y *system, rows []int32, weights []float32, reg float32, x, prior []float32, steps int) float64 {
	n, dim := len(rows), y.fixed.Cols
	magnitudes, scores := w.scratch.Floats(n), w.scratch.Floats(n)
	for i, v := range weights {
		magnitudes[i] = max(v, -v)
	}
	w.rows.Set(y.fixed, rows)
	diagonal, inverse := w.scratch.Floats(dim), w.scratch.Floats(dim)
	for k, v := range y.spectrum {
		diagonal[k] = v + reg
		inverse[k] = 1 / diagonal[k]
	}
	left, step, turned, product := w.scratch.Floats(dim), w.scratch.Floats(dim), w.scratch.Floats(dim), w.scratch.Floats(dim)
	// What is left at x: the liked rows and reg·prior, less A·x.
	w.rows.Dots(x, scores)
	value := y.value(scores, weights, reg, x, prior)
	for i, s := range scores {
		scores[i] = max(weights[i], 0) - magnitudes[i]*s
	}
	linalg.MulTo(left, diagonal, x)
	linalg.Scale(-1, left)
	w.rows.Sum(scores, left)
	if prior != nil {
		linalg.Axpy(reg, prior, left)
	}
	linalg.MulTo(turned, inverse, left)
	copy(step, turned)
	size := linalg.Dot(left, turned)
	for range steps {
		if !(size > 0) {
			break
		}
		w.rows.Dots(step, scores)
		linalg.MulTo(scores, magnitudes, scores)
		linalg.MulTo(product, diagonal, step)
		w.rows.Sum(scores, product)
		curve := linalg.Dot(step, product)
		if !(curve > 0) {
			break
		}
		linalg.Axpy(size/curve, step, x)
		value -= float64(size) * float64(size/curve)
		linalg.Axpy(-size/curve, product, left)
		linalg.MulTo(turned, inverse, left)
		next := linalg.Dot(left, turned)
		ratio := next / size
		for k, v := range turned {
			step[k] = v + ratio*step[k]
		}
		size = next
	}
	return value
}

// value is what x minimises, at x with the given scores of the observed rows.
func (s *system) value(scores, weights []float32, reg float32, x, prior []float32) float64 {
	var value float64
	for i, w := range weights {
		off := float64(scores[i])
		if w > 0 {
			off--
		}
		value += math.Abs(float64(w)) * off * off
	}
	for k, v := range x {
		off := v
		if prior != nil {
			off -= prior[k]
		}
		value += float64(s.spectrum[k])*float64(v)*float64(v) + float64(reg)*float64(off)*float64(off)
	}
	return value
}
