package training

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"

	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/nn"
)

// Learner is what a family of networks brings. B is a batch, M the model.
type Learner[B any, M models.Model] interface {
	// Replicas are the parameters of the networks that learn side by side, in a
	// fixed order; the weights of the first are everybody's.
	Replicas() []nn.Params[float32]
	// Batches parts what is learnt from into the batches of an epoch, in an
	// order drawn from rng. Their number is about the same in every epoch.
	Batches(rng *rand.Rand) []B
	// Learn adds to the gradients of the replicas those of their shares of the
	// batch (see Each), and returns its losses, by name of Plan.Losses, and by
	// how much the batch weighs in their means. step counts from 1 over all
	// epochs; rng is the epoch's, after Batches.
	Learn(b B, step int, rng *rand.Rand) (losses []float64, weight float64)
	// Model is the present weights as a model that later steps do not change.
	Model() M
}

// Plan is how long to learn, and how fast.
type Plan struct {
	Kind     string   // whose checkpoint it is
	Params   any      // as resolved; a checkpoint of others is refused
	Losses   []string // names of what Learn returns
	Epochs   int
	Patience int     // epochs without a better judgement before stopping; 0: all epochs
	Rate     float64 // at its highest
	Warm     float64 // share of all steps in which the rate rises
	Clip     float64 // norm of gradients at most; 0: any
	Adam     nn.AdamOptions
	Workers  int
	Cases    int  // of validation, to judge by
	KeepSeen bool // validation ranks items of the history as well
}

// lowest is the share of the rate that is left at the end.
const lowest = .02

// run is the state of one training.
type run[B any, M models.Model] struct {
	in       models.FitInput
	plan     Plan
	learner  Learner[B, M]
	replicas []nn.Params[float32]
	adam     *nn.Adam[float32]
	rate     nn.Schedule
	stopper  nn.Stopper
	best     [][]float32
	epoch    int    // done
	fit      string // its name, in the checkpoint
	stopped  bool
}

// Run trains and returns the model of the weights that were best on
// in.Validate, of the last ones where there is no validation. The result
// depends on the input, the seed and the number of replicas, never on timing,
// nor on whether the run was cut short and taken up again from in.Checkpoint.
func Run[B any, M models.Model](ctx context.Context, in models.FitInput, p Plan, l Learner[B, M]) (M, error) {
	r := &run[B, M]{in: in, plan: p, learner: l, replicas: l.Replicas(), stopper: nn.Stopper{Patience: p.Patience}}
	r.adam = nn.NewAdam(r.replicas[0], p.Adam)
	var none M
	if err := r.restore(); err != nil {
		return none, err
	}
	judge := judge[M](in, p)
	for !r.stopped && r.epoch < p.Epochs {
		figures, err := r.learn(ctx)
		if err != nil {
			return none, err
		}
		if judge != nil {
			value, err := judge(ctx, l.Model())
			if err != nil {
				return none, err
			}
			figures[criterion] = value
			var better bool
			if better, r.stopped = r.stopper.Offer(value); better {
				r.best = r.replicas[0].Copy()
			}
		}
		if in.Progress != nil {
			in.Progress(models.Progress{Step: r.epoch, Steps: p.Epochs, Stage: "epoch", Figures: figures})
		}
		if err := r.save(); err != nil {
			return none, err
		}
	}
	if r.best != nil {
		r.replicas[0].Put(r.best)
	}
	return l.Model(), nil
}

// learn runs the next epoch and returns its mean losses.
func (r *run[B, M]) learn(ctx context.Context) (map[string]float64, error) {
	r.epoch++
	rng := rand.New(rand.NewPCG(r.in.Seed, uint64(r.epoch)))
	batches := r.learner.Batches(rng)
	if len(batches) == 0 {
		return nil, errors.New("nothing to learn from: no shopper did enough")
	}
	if r.rate.Steps == 0 {
		r.rate = nn.Schedule{Rate: r.plan.Rate, Steps: len(batches) * r.plan.Epochs, Warm: r.plan.Warm, Floor: lowest}
	}
	sums, total := make([]float64, len(r.plan.Losses)), 0.
	for _, b := range batches {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		step := r.adam.Steps() + 1
		losses, weight := r.learner.Learn(b, step, rng)
		r.replicas[0].Gather(r.replicas[1:], r.plan.Workers)
		if r.plan.Clip > 0 {
			r.replicas[0].Clip(r.plan.Clip)
		}
		r.adam.Step(r.rate.At(step), r.plan.Workers)
		for i, loss := range losses {
			sums[i] += loss
		}
		total += weight
	}
	figures := map[string]float64{}
	for i, name := range r.plan.Losses {
		if math.IsNaN(sums[i]) {
			return nil, fmt.Errorf("the loss is not a number in epoch %d: lower the rate of %v", r.epoch, r.plan.Rate)
		}
		figures[name] = sums[i] / max(total, 1e-300)
	}
	return figures, nil
}

// Each runs f for every replica, each on a goroutine of its own.
func Each(replicas int, f func(replica int)) {
	var wg sync.WaitGroup
	for i := range replicas {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}

// Replicas makes n networks that share the weights of the first. Each is built
// by the same draws, of which the replicas' are thrown away.
func Replicas[N interface{ Params() nn.Params[float32] }](n int, build func() N) ([]N, error) {
	nets := make([]N, n)
	for i := range nets {
		nets[i] = build()
		if i > 0 {
			if err := nets[0].Params().Share(nets[i].Params()); err != nil {
				return nil, err
			}
		}
	}
	return nets, nil
}
