package nn

import "math"

// Schedule is a learning rate over a planned number of steps: it rises evenly
// for the Warm share of them, and then falls along half a cosine to Floor times
// Rate (Loshchilov, Hutter 2017).
type Schedule struct {
	Rate  float64
	Steps int
	Warm  float64 // share of Steps, 0 to 1
	Floor float64 // share of Rate, 0 to 1
}

// At is the rate of step number step, from 1.
func (s Schedule) At(step int) float64 {
	warm := s.Warm * float64(s.Steps)
	if float64(step) < warm {
		return s.Rate * float64(step) / warm
	}
	rest := float64(s.Steps) - warm
	if rest <= 0 {
		return s.Rate
	}
	along := min((float64(step)-warm)/rest, 1)
	return s.Rate * (s.Floor + (1-s.Floor)*.5*(1+math.Cos(math.Pi*along)))
}

// Stopper stops early: it remembers the best value, the higher the better, and
// says when to stop looking. A Patience of 0 never stops.
type Stopper struct {
	Patience int
	Best     float64
	At       int // when Best was offered, from 1; 0: never
	offered  int
}

// Offer takes the next value and reports whether it is the best so far and
// whether patience has run out. A NaN is never the best.
func (s *Stopper) Offer(value float64) (best, stop bool) {
	s.offered++
	if value == value && (s.At == 0 || value > s.Best) {
		s.Best, s.At = value, s.offered
		return true, false
	}
	return false, s.Patience > 0 && s.offered-s.At >= s.Patience
}

// Offered is how many values were offered.
func (s *Stopper) Offered() int { return s.offered }

// Resume is s with so many values offered: s as it was when it was written down.
func (s Stopper) Resume(offered int) Stopper {
	s.offered = offered
	return s
}
