package selector

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/pipeline"
)

// fatigue holds down what the shopper was answered lately and did not take up:
// each answer costs an item weight standard deviations of the scores, half as
// much after each half life (impression discounting: Lee et al., KDD 2014).
// Something done with the item since then forgives what was shown before it.
type fatigue struct {
	weight   float64
	halfLife time.Duration
	drop     int
}

type fatigueParams struct {
	Weight   float64         `json:"weight"`    // standard deviations an answer
	HalfLife models.Duration `json:"half_life"` //
	Drop     int             `json:"drop"`      // an item answered so often is left out; 0: never
}

func newFatigue(spec models.ComponentSpec, _ pipeline.Env) (pipeline.Selector, error) {
	p := fatigueParams{Weight: .3, HalfLife: models.Duration(24 * time.Hour)}
	if err := pipeline.Params(spec.Params, &p); err != nil {
		return nil, err
	}
	if !(p.Weight >= 0) || p.HalfLife <= 0 || p.Drop < 0 {
		return nil, fmt.Errorf("parameters %+v: expected a weight and drop of 0 or more and a half life above 0", p)
	}
	return &fatigue{weight: p.Weight, halfLife: time.Duration(p.HalfLife), drop: p.Drop}, nil
}

// Name implements pipeline.Selector.
func (*fatigue) Name() string { return "fatigue" }

// Select implements pipeline.Selector. What is dropped comes back, last, when
// fewer than the limit would be left.
func (s *fatigue) Select(r *features.Request, cs []pipeline.Candidate) []pipeline.Candidate {
	if len(r.Shown) == 0 {
		return cs
	}
	spread := s.weight * pipeline.Spread(cs)
	now := r.Now.UnixMilli()
	kept, worn := cs[:0], []pipeline.Candidate(nil)
	for _, c := range cs {
		tired, times := s.tired(r, c.Row, now)
		c.Score -= float32(tired * spread)
		if s.drop > 0 && times >= s.drop {
			worn = append(worn, c)
			continue
		}
		kept = append(kept, c)
	}
	slices.SortFunc(kept, pipeline.ByScore)
	if lacking := r.Limit - len(kept); lacking > 0 && len(worn) > 0 {
		slices.SortFunc(worn, pipeline.ByScore)
		kept = append(kept, worn[:min(lacking, len(worn))]...)
	}
	return kept
}

// tired is how often the item was answered for nothing, the older the less, and
// the plain count.
func (s *fatigue) tired(r *features.Request, row features.Row, now int64) (sum float64, times int) {
	since := int64(math.MinInt64)
	for _, shown := range r.Shown {
		if shown.Row != row {
			continue
		}
		if since == math.MinInt64 {
			since = lastDone(r, row)
		}
		if shown.TimeMS > since {
			times++
			sum += math.Exp2(-float64(max(0, now-shown.TimeMS)) / float64(s.halfLife.Milliseconds()))
		}
	}
	return sum, times
}

// lastDone is when the shopper last did something with an item.
func lastDone(r *features.Request, row features.Row) int64 {
	h := r.History()
	for i := len(h) - 1; i >= 0; i-- {
		if h[i].Row == row {
			return h[i].TimeMS
		}
	}
	return math.MinInt64 + 1
}
