package neural

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"

	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/attribute"
	"github.com/attune-rec/attune/models/linalg"
	"github.com/attune-rec/attune/models/nn"
	"github.com/attune-rec/attune/models/taste"
	"github.com/attune-rec/attune/models/training"
)

// trainer is the state of one training.
type trainer struct {
	in      models.FitInput
	family  string
	params  Params
	weigher *taste.Weigher
	seen    linalg.CSR // what each user met, weighed; columns ascend
	nets    []*Pool[float32]
	workers int
}

func newTrainer(family string, in models.FitInput) (*trainer, error) {
	p := defaults(family)
	if err := models.DecodeParams(in.Params, &p); err != nil {
		return nil, err
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	weigher, err := taste.New(p.Options, in.Weights)
	if err != nil {
		return nil, err
	}
	p.Options = weigher.Options()
	t := &trainer{in: in, family: family, params: p, weigher: weigher, workers: in.Workers, seen: weigher.Profiles(in.Train, false)}
	if t.workers <= 0 {
		t.workers = linalg.Workers()
	}
	if t.seen.NNZ() == 0 {
		return nil, errors.New("the data has no interaction that speaks for an item")
	}
	var said *attribute.Table
	if p.ItemFeatures {
		said = attribute.Of(in.Train)
	}
	t.nets, err = training.Replicas(t.workers, func() *Pool[float32] {
		n := NewPool[float32](in.Train.NumItems(), p.Shape, p.Power, said, rand.New(rand.NewPCG(in.Seed, 0xcf)))
		n.Pairwise = p.Loss == Pairwise
		return n
	})
	if err != nil {
		return nil, err
	}
	return t, nil
}

// share is some of the items a user met, to be learnt from at a time.
type share struct {
	user  int
	items []int32 // positions in the user's row of seen
}

// plan parts what every user met into shares, in an order drawn from rng.
func (t *trainer) plan(rng *rand.Rand) []share {
	var all []share
	for u := range t.seen.Rows {
		cols, _ := t.seen.Row(u)
		if len(cols) < 2 || len(cols) == t.seen.Cols {
			continue // nothing is left of the history without the item, or nothing to draw
		}
		order := make([]int32, len(cols))
		for i := range order {
			order[i] = int32(i)
		}
		rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		for part := range slices.Chunk(order, t.params.Visit) {
			all = append(all, share{u, part})
		}
	}
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// cut groups shares into batches of about Batch candidates.
func (t *trainer) cut(all []share) [][]share {
	var out [][]share
	from, n := 0, 0
	for i := range all {
		n += len(all[i].items) * (1 + t.params.Negatives)
		if n >= t.params.Batch || i == len(all)-1 {
			out = append(out, all[from:i+1])
			from, n = i+1, 0
		}
	}
	return out
}

// visit draws the candidates of a share.
func (t *trainer) visit(s share, rng *rand.Rand) Visit {
	cols, vals := t.seen.Row(s.user)
	v := Visit{Rows: cols, Weights: vals}
	if vals == nil {
		v.Weights = ones(len(cols))
	}
	if t.params.Forget > 0 {
		v.Weights = slices.Clone(v.Weights)
		for i := range v.Weights {
			if rng.Float64() < t.params.Forget {
				v.Weights[i] = 0
			}
		}
	}
	for _, at := range s.items {
		v.Items, v.Own = append(v.Items, cols[at]), append(v.Own, at)
		for range t.params.Negatives {
			item := int32(rng.IntN(t.seen.Cols))
			for {
				if _, met := slices.BinarySearch(cols, item); !met {
					break
				}
				item = int32(rng.IntN(t.seen.Cols))
			}
			v.Items, v.Own = append(v.Items, item), append(v.Own, -1)
		}
	}
	return v
}

func ones(n int) []float32 {
	w := make([]float32, n)
	for i := range w {
		w[i] = 1
	}
	return w
}

func (t *trainer) run(ctx context.Context) (*Model, error) {
	p := t.params
	adam := nn.DefaultAdam()
	adam.Decay = p.Decay
	return training.Run(ctx, t.in, training.Plan{
		Kind: t.family, Params: p, Losses: []string{"loss"}, Epochs: p.Epochs, Patience: p.Patience,
		Rate: p.Rate, Warm: .02, Adam: adam, Workers: t.workers, Cases: 2000,
	}, t)
}

// Replicas implements training.Learner.
func (t *trainer) Replicas() []nn.Params[float32] {
	all := make([]nn.Params[float32], len(t.nets))
	for i, n := range t.nets {
		all[i] = n.Params()
	}
	return all
}

// Batches implements training.Learner.
func (t *trainer) Batches(rng *rand.Rand) [][]share { return t.cut(t.plan(rng)) }

// Learn implements training.Learner.
func (t *trainer) Learn(batch []share, step int, _ *rand.Rand) ([]float64, float64) {
	n := 0
	for _, s := range batch {
		n += len(s.items) * (1 + t.params.Negatives)
	}
	losses := make([]float64, len(t.nets))
	training.Each(len(t.nets), func(w int) {
		rng := rand.New(rand.NewPCG(nn.Seed(t.in.Seed, uint64(step)), uint64(w))) // #nosec G115 -- not negative
		var visits []Visit
		for i := w; i < len(batch); i += len(t.nets) {
			visits = append(visits, t.visit(batch[i], rng))
		}
		losses[w] = t.nets[w].Step(visits, 1/float32(n))
	})
	total := 0.
	for _, l := range losses {
		total += l
	}
	return []float64{total}, float64(n)
}

// Model implements training.Learner.
func (t *trainer) Model() *Model { return t.model() }
