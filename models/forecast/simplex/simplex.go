// Package simplex finds the minimum of a function of a few variables without
// derivatives, by the method of Nelder and Mead ("A simplex method for function
// minimization", Computer Journal 7, 1965). It imports the standard library
// alone. The fits of models/forecast use it: their likelihoods are smooth, have
// up to five variables, and are cheap.
package simplex

import (
	"math"
	"slices"
)

// Options end a search. The zero value takes the defaults.
type Options struct {
	Step      float64 // size of the first simplex along each variable; 0 means 0.5
	Tolerance float64 // spread of values and of points that ends it; 0 means 1e-10
	MaxEvals  int     // evaluations at most; 0 means 400 a variable
	Restarts  int     // new simplices about the best point, to leave a collapsed one
}

// Minimize returns the point with the least value found from start, and the
// value. NaN counts as +Inf, so f may refuse points. The search is deterministic.
func Minimize(f func(x []float64) float64, start []float64, o Options) (best []float64, value float64) {
	if o.Step == 0 {
		o.Step = 0.5
	}
	if o.Tolerance == 0 {
		o.Tolerance = 1e-10
	}
	if o.MaxEvals == 0 {
		o.MaxEvals = 400 * max(1, len(start))
	}
	s := newState(f, start)
	best, value = s.descend(start, o)
	for range o.Restarts {
		again, lower := s.descend(best, o)
		if !(lower < value) {
			break
		}
		gain := value - lower
		best, value = again, lower
		if gain <= o.Tolerance*(math.Abs(value)+o.Tolerance) {
			break
		}
	}
	return best, value
}

// state holds the simplex and its scratch.
type state struct {
	f      func(x []float64) float64
	points [][]float64 // one more than variables
	values []float64
	centre []float64
	trial  []float64
	second []float64
	evals  int
}

func newState(f func(x []float64) float64, start []float64) *state {
	n := len(start)
	flat := make([]float64, (n+1)*n+3*n)
	s := &state{f: f, values: make([]float64, n+1)}
	for range n + 1 {
		s.points = append(s.points, flat[:n:n])
		flat = flat[n:]
	}
	s.centre, s.trial, s.second = flat[:n:n], flat[n:2*n:2*n], flat[2*n:]
	return s
}

func (s *state) eval(x []float64) float64 {
	s.evals++
	if v := s.f(x); !math.IsNaN(v) {
		return v
	}
	return math.Inf(1)
}

// descend runs one simplex until it has shrunk or the evaluations are spent.
func (s *state) descend(start []float64, o Options) ([]float64, float64) {
	s.evals = 0
	n := len(start)
	for i, p := range s.points {
		copy(p, start)
		if i > 0 {
			p[i-1] += o.Step
		}
		s.values[i] = s.eval(p)
	}
	for s.evals < o.MaxEvals && n > 0 {
		s.sort()
		if s.small(o.Tolerance) {
			break
		}
		s.step()
	}
	s.sort()
	return slices.Clone(s.points[0]), s.values[0]
}

// sort orders the corners by value; there are few.
func (s *state) sort() {
	for i := 1; i < len(s.values); i++ {
		for j := i; j > 0 && s.values[j] < s.values[j-1]; j-- {
			s.values[j], s.values[j-1] = s.values[j-1], s.values[j]
			s.points[j], s.points[j-1] = s.points[j-1], s.points[j]
		}
	}
}

// small reports whether values and corners are all within the tolerance.
func (s *state) small(tolerance float64) bool {
	low, high := s.values[0], s.values[len(s.values)-1]
	if high-low > tolerance*(math.Abs(low)+tolerance) {
		return false
	}
	near := math.Sqrt(tolerance)
	for _, p := range s.points[1:] {
		for i, v := range p {
			if math.Abs(v-s.points[0][i]) > near*(math.Abs(v)+near) {
				return false
			}
		}
	}
	return true
}

// step replaces the worst corner, by reflection, expansion or contraction, or
// shrinks all towards the best.
func (s *state) step() {
	last := len(s.points) - 1
	for i := range s.centre {
		sum := 0.0
		for _, p := range s.points[:last] {
			sum += p[i]
		}
		s.centre[i] = sum / float64(last)
	}
	reflected := s.toward(s.trial, -1)
	switch {
	case reflected < s.values[0]:
		if expanded := s.toward(s.second, -2); expanded < reflected {
			s.replace(s.second, expanded)
			return
		}
		s.replace(s.trial, reflected)
		return
	case reflected < s.values[last-1] || last == 1 && reflected < s.values[last]:
		s.replace(s.trial, reflected)
		return
	}
	along := 0.5
	if reflected < s.values[last] {
		along = -0.5
	}
	if contracted := s.toward(s.second, along); contracted < min(reflected, s.values[last]) {
		s.replace(s.second, contracted)
		return
	}
	for k := 1; k <= last; k++ {
		for i := range s.points[k] {
			s.points[k][i] = (s.points[k][i] + s.points[0][i]) / 2
		}
		s.values[k] = s.eval(s.points[k])
	}
}

// toward sets dst to the centre plus a share of the way to the worst corner.
func (s *state) toward(dst []float64, share float64) float64 {
	worst := s.points[len(s.points)-1]
	for i := range dst {
		dst[i] = s.centre[i] + share*(worst[i]-s.centre[i])
	}
	return s.eval(dst)
}

func (s *state) replace(x []float64, value float64) {
	last := len(s.points) - 1
	copy(s.points[last], x)
	s.values[last] = value
}
