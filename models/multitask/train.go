package multitask

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
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
	params  Params
	weigher *taste.Weigher
	train   []*funnel
	held    []*funnel // to calibrate on
	items   int
	nets    []*Network[float32]
	adam    *nn.Adam[float32]
	rate    nn.Schedule
	workers int
}

func newTrainer(in models.FitInput) (*trainer, error) {
	p := Defaults()
	if err := models.DecodeParams(in.Params, &p); err != nil {
		return nil, err
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	weigher, err := taste.New(taste.Options{Events: p.Events}, in.Weights)
	if err != nil {
		return nil, err
	}
	p.Events = weigher.Options().Events
	t := &trainer{in: in, params: p, weigher: weigher, items: in.Train.NumItems(), workers: in.Workers}
	if t.workers <= 0 {
		t.workers = linalg.Workers()
	}
	rng := rand.New(rand.NewPCG(in.Seed, 0xca11))
	for _, f := range funnels(weigher, in.Train) {
		if rng.Float64() < p.Calibrate {
			t.held = append(t.held, f)
		} else {
			t.train = append(t.train, f)
		}
	}
	if len(t.train) == 0 {
		return nil, errors.New("the data has no interaction that speaks for an item")
	}
	for range t.workers {
		n := NewNetwork[float32](t.items, p.Shape, p.weights(), rand.New(rand.NewPCG(in.Seed, 0x317)))
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

// batches shuffles the shoppers into groups of about Batch candidates.
func (t *trainer) batches(rng *rand.Rand) [][]*funnel {
	order := append([]*funnel(nil), t.train...)
	rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	var out [][]*funnel
	from, n := 0, 0
	for i, f := range order {
		n += f.size(t.params.Negatives)
		if n >= t.params.Batch || i == len(order)-1 {
			out = append(out, order[from:i+1])
			from, n = i+1, 0
		}
	}
	return out
}

func (t *trainer) run(ctx context.Context) (*Model, error) {
	judge := t.judge()
	stopper, best := nn.Stopper{Patience: t.params.Patience}, (*Model)(nil)
	for epoch := 1; epoch <= t.params.Epochs; epoch++ {
		rng := rand.New(rand.NewPCG(t.in.Seed, uint64(epoch)))
		batches := t.batches(rng)
		if epoch == 1 {
			t.rate = nn.Schedule{Rate: t.params.Rate, Steps: len(batches) * t.params.Epochs, Warm: .02, Floor: .02}
		}
		var losses [Goals]float64
		for _, b := range batches {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			for g, l := range t.step(b, rng) {
				losses[g] += l / float64(len(batches))
			}
		}
		figures, stop := map[string]float64{}, false
		for g, name := range Names() {
			if math.IsNaN(losses[g]) {
				return nil, fmt.Errorf("the loss is not a number in epoch %d: lower the rate of %v", epoch, t.params.Rate)
			}
			figures[name] = losses[g]
		}
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
	if best == nil {
		best = t.model()
	}
	best.calibrate(t.held, t.params.Negatives, rand.New(rand.NewPCG(t.in.Seed, 0xca12)))
	return best, nil
}

// step learns from one batch and returns the goals' mean cross-entropies.
func (t *trainer) step(batch []*funnel, rng *rand.Rand) [Goals]float64 {
	shares := make([][]Visit, len(t.nets))
	counts, count := make([]int, len(t.nets)), 0
	for i, f := range batch {
		w := i % len(t.nets)
		v := f.visit(t.items, t.params.Negatives, rng)
		shares[w] = append(shares[w], v)
		counts[w] += len(v.Items)
		count += len(v.Items)
	}
	parts := make([][Goals]float64, len(t.nets))
	var wg sync.WaitGroup
	for w, n := range t.nets {
		wg.Go(func() { parts[w] = n.Step(shares[w], count, float64(counts[w])/float64(count)) })
	}
	wg.Wait()
	var others []nn.Params[float32]
	for _, n := range t.nets[1:] {
		others = append(others, n.Params())
	}
	t.nets[0].Params().Gather(others, t.workers)
	t.adam.Step(t.rate.At(t.adam.Steps()+1), t.workers)
	var losses [Goals]float64
	for _, p := range parts {
		for g, l := range p {
			losses[g] += l
		}
	}
	return losses
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
	options := eval.Options{Metrics: metrics, Workers: t.workers, MaxCases: 2000, Seed: t.in.Seed, KeepSeen: true}
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
