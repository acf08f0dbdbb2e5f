package rank

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/ltr"
	"github.com/attune-rec/attune/models/pipeline"
)

// learnt ranks by a ranker that was learnt from replayed requests: see
// models/ltr. It sees which of the sources it learnt with proposed a candidate.
type learnt struct {
	model  *ltr.Model
	bits   []int  // by source of the recipe: the bit the model knows it by; below 0: it does not
	same   uint64 // sources whose bit in the model is the recipe's
	direct bool   // those are all that the model knows
	pool   *sync.Pool
}

func newLearnt(spec models.RankerSpec, env pipeline.Env) (pipeline.Ranker, error) {
	if len(spec.Weights) > 0 {
		return nil, fmt.Errorf("ranker learnt takes no weights: they are the model's")
	}
	m, err := pipeline.ModelAs[*ltr.Model](env, spec.Model)
	if err != nil {
		return nil, err
	}
	return &learnt{model: m, pool: &sync.Pool{New: func() any { return new([]uint64) }}}, nil
}

// Name implements pipeline.Ranker.
func (*learnt) Name() string { return "learnt" }

// Among implements pipeline.Sourced.
func (k *learnt) Among(sources []string) pipeline.Ranker {
	known := k.model.Params().Sources
	bound := &learnt{model: k.model, pool: k.pool, direct: true}
	for i, name := range sources {
		bit := slices.Index(known, name)
		bound.bits = append(bound.bits, bit)
		if bit == i {
			bound.same |= 1 << i
		}
		bound.direct = bound.direct && (bit == i || bit < 0)
	}
	return bound
}

// Rank implements pipeline.Ranker. Candidates come in the order of retrieval.
func (k *learnt) Rank(_ context.Context, r *features.Request, cs []pipeline.Candidate) error {
	items, out := rows(r, cs), r.Scratch.Floats(len(cs))
	buf := k.pool.Get().(*[]uint64)
	defer k.pool.Put(buf)
	from := (*buf)[:0]
	for i := range cs {
		from = append(from, k.from(cs[i].From))
	}
	*buf = from
	k.model.ScoreFrom(r, items, from, out)
	for i := range cs {
		cs[i].Score = out[i]
	}
	return nil
}

// from is a candidate's sources as the model knows them.
func (k *learnt) from(bits uint64) uint64 {
	if k.direct {
		return bits & k.same
	}
	known := uint64(0)
	for i, bit := range k.bits {
		if bit >= 0 && bits&(1<<i) != 0 {
			known |= 1 << bit
		}
	}
	return known
}

// Reason implements pipeline.Reasoner.
func (k *learnt) Reason(r *features.Request, item features.Row) (pipeline.Reason, bool) {
	return pipeline.BecauseOfHistory(k.model, r, item)
}

// RestsOn implements pipeline.Judge.
func (k *learnt) RestsOn(r *features.Request, item, evidence features.Row) bool {
	return k.model.RestsOn(r, item, evidence)
}
