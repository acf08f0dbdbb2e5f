package load

import (
	"context"
	"time"
)

// Search is how the capacity is looked for: rates rise by Factor from Start
// until a step fails, then the span between is halved Refine times.
type Search struct {
	Start, Factor float64
	Steps, Refine int
	Step          Plan          // Rate is set by the search
	P99           time.Duration // a step holds when p99 is at most this
	OK            float64       // and at least this share is answered OK
}

// Step is one step of a search.
type Step struct {
	Rate   float64 `json:"rate"`
	Holds  bool    `json:"holds"`
	Result *Result `json:"result"`
}

// Holds reports whether a result is within the search's limits.
func (s Search) Holds(r *Result) bool {
	return r.OK() >= s.OK && r.All.P99 <= float64(s.P99.Microseconds())/1e3
}

// Capacity finds the highest rate that holds, 0 when none does, and returns
// every step; each is told to saw as it ends.
func Capacity(ctx context.Context, s Search, start Start, saw func(Step)) (float64, []Step, error) {
	var steps []Step
	try := func(rate float64) (bool, error) {
		plan := s.Step
		plan.Rate = rate
		r, err := Run(ctx, plan, start)
		if err != nil {
			return false, err
		}
		step := Step{Rate: rate, Holds: s.Holds(r), Result: r}
		steps = append(steps, step)
		if saw != nil {
			saw(step)
		}
		return step.Holds, ctx.Err()
	}
	best, worst := 0., 0.
	for i, rate := 0, s.Start; i < s.Steps; i, rate = i+1, rate*s.Factor {
		holds, err := try(rate)
		if err != nil {
			return best, steps, err
		}
		if !holds {
			worst = rate
			break
		}
		best = rate
	}
	for i := 0; i < s.Refine && worst > 0 && best > 0; i++ {
		rate := (best + worst) / 2
		holds, err := try(rate)
		if err != nil {
			return best, steps, err
		}
		if holds {
			best = rate
		} else {
			worst = rate
		}
	}
	return best, steps, nil
}
