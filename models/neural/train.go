package neural

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/eval"
	"github.com/attune-rec/attune/models/linalg"
	"github.com/attune-rec/attune/models/nn"
	"github.com/attune-rec/attune/models/taste"
)

// trainer is the state of one training.
type trainer struct {
	in      models.FitInput
	family  string
	params  Params
	weigher *taste.Weigher
	seen    linalg.CSR // what each user met, weighed; columns ascend
	nets    []*Pool[float32]
	adam    *nn.Adam[float32]
	rate    nn.Schedule
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
	for range t.workers {
		n := NewPool[float32](in.Train.NumItems(), p.Shape, p.Power, rand.New(rand.NewPCG(in.Seed, 0xcf)))
		if len(t.nets) > 0 {
			if err := t.nets[0].Params().Share(n.Params()); err != nil {
				return nil, err
			}
		}
		t.nets = append(t.nets, n)
	}
	options := nn.DefaultAdam()
	options.Decay = p.Decay
	t.adam = nn.NewAdam(t.nets[0].Params(), options)
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
	judge := t.judge()
	stopper, best := nn.Stopper{Patience: t.params.Patience}, (*Model)(nil)
	for epoch := 1; epoch <= t.params.Epochs; epoch++ {
		rng := rand.New(rand.NewPCG(t.in.Seed, uint64(epoch)))
		batches := t.cut(t.plan(rng))
		if len(batches) == 0 {
			return nil, errors.New("no user met two items: nothing goes together with anything")
		}
		if epoch == 1 {
			t.rate = nn.Schedule{Rate: t.params.Rate, Steps: len(batches) * t.params.Epochs, Warm: .02, Floor: .02}
		}
		loss, n := 0., 0
		for _, b := range batches {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			l, m := t.step(b)
			loss, n = loss+l, n+m
		}
		if math.IsNaN(loss) {
			return nil, fmt.Errorf("the loss is not a number in epoch %d: lower the rate of %v", epoch, t.params.Rate)
		}
		figures, stop := map[string]float64{"loss": loss / float64(n)}, false
		if judge != nil {
			m := t.model()
			value, err := judge(ctx, m)
			if err != nil {
				return nil, err
			}
			figures["ndcg@10"] = value
			var better bool
			if better, stop = stopper.Offer(value); better {
				best = m
			}
		}
		if t.in.Progress != nil {
			t.in.Progress(models.Progress{Step: epoch, Steps: t.params.Epochs, Stage: "epoch", Figures: figures})
		}
		if stop {
			break
		}
	}
	if best != nil {
		return best, nil
	}
	return t.model(), nil
}

// step learns from one batch and returns its loss and its number of candidates.
func (t *trainer) step(batch []share) (float64, int) {
	n := 0
	for _, s := range batch {
		n += len(s.items) * (1 + t.params.Negatives)
	}
	step := t.adam.Steps() + 1
	losses := make([]float64, len(t.nets))
	var wg sync.WaitGroup
	for w, net := range t.nets {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(nn.Seed(t.in.Seed, uint64(step)), uint64(w)))
			var visits []Visit
			for i := w; i < len(batch); i += len(t.nets) {
				visits = append(visits, t.visit(batch[i], rng))
			}
			losses[w] = net.Step(visits, 1/float32(n))
		})
	}
	wg.Wait()
	var others []nn.Params[float32]
	for _, net := range t.nets[1:] {
		others = append(others, net.Params())
	}
	t.nets[0].Params().Gather(others, t.workers)
	t.adam.Step(t.rate.At(step), t.workers)
	var loss float64
	for _, l := range losses {
		loss += l
	}
	return loss, n
}

// judge is NDCG@10 over a sample of the validation's cases; nil where there is
// none.
func (t *trainer) judge() func(context.Context, *Model) (float64, error) {
	if t.in.Validate == nil {
		return nil
	}
	metrics, err := eval.ParseMetrics([]string{"ndcg@10"})
	if err != nil {
		return nil
	}
	task := eval.Task{History: t.in.Train, Test: t.in.Validate}
	options := eval.Options{Metrics: metrics, Workers: t.workers, MaxCases: 2000, Seed: t.in.Seed}
	cases, err := eval.Plan(task, options)
	if err != nil || len(cases.User) == 0 {
		return nil
	}
	return func(ctx context.Context, m *Model) (float64, error) {
		res, err := eval.Run(ctx, m, task, cases, options)
		if err != nil {
			return 0, err
		}
		return res.Whole[0], nil
	}
}
