package multitask

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"

	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
	"github.com/attune-rec/attune/models/nn"
	"github.com/attune-rec/attune/models/taste"
	"github.com/attune-rec/attune/models/training"
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
	t := &trainer{in: in, weigher: weigher, items: in.Train.NumItems(), workers: in.Workers}
	if t.workers <= 0 {
		t.workers = linalg.Workers()
	}
	all, meetings := funnels(weigher, in.Train), 0
	for _, f := range all {
		meetings += f.total() + len(f.shown)
	}
	p.resolve(meetings, t.items)
	t.params = p
	rng := rand.New(rand.NewPCG(in.Seed, 0xca11))
	for _, f := range all {
		if rng.Float64() < p.Calibrate {
			t.held = append(t.held, f)
		} else {
			t.train = append(t.train, f)
		}
	}
	if len(t.train) == 0 {
		return nil, errors.New("the data has no interaction that speaks for an item")
	}
	t.nets, err = training.Replicas(t.workers, func() *Network[float32] {
		return NewNetwork[float32](t.items, p.Shape, p.weights(), rand.New(rand.NewPCG(in.Seed, 0x317)))
	})
	if err != nil {
		return nil, err
	}
	t.start(t.nets[0].Bias.W)
	return t, nil
}

// start fills bias, items x goals, with the logits of the shares of an item's
// candidates that reach each goal, of a chain's goals among those that reached
// the one before, drawn towards the share of all items where it has few.
func (t *trainer) start(bias []float32) {
	const few = 5.
	reached, shown, drawn := make([][Goals]float64, t.items), make([]float64, t.items), 0.
	for _, f := range t.train {
		for g, met := range f.met {
			for _, row := range met {
				shown[row]++
				for k := range g + 1 {
					reached[row][k]++
				}
			}
		}
		for _, row := range f.shown {
			shown[row]++
		}
		if len(f.shown) == 0 {
			drawn += float64(t.params.Negatives * f.total())
		}
	}
	for g := range Goals {
		of := func(row int) float64 {
			if g > 0 && t.params.Chain {
				return reached[row][g-1]
			}
			return shown[row] + drawn/float64(t.items)
		}
		hits, all := 0., 0.
		for row := range t.items {
			hits, all = hits+reached[row][g], all+of(row)
		}
		share := min(max(hits/max(all, 1), 1e-6), 1-1e-6)
		for row := range t.items {
			p := (reached[row][g] + few*share) / (of(row) + few)
			bias[row*Goals+g] = float32(math.Log(p / (1 - p)))
		}
	}
}

// Batches implements training.Learner: it shuffles the shoppers into groups of about Batch candidates.
func (t *trainer) Batches(rng *rand.Rand) [][]*funnel {
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
	p, names := t.params, Names()
	adam := nn.DefaultAdam()
	adam.Decay = p.Decay
	m, err := training.Run(ctx, t.in, training.Plan{
		Kind: KindName, Params: p, Losses: names[:], Epochs: p.Epochs, Patience: p.Patience,
		Rate: p.Rate, Warm: .02, Adam: adam, Workers: t.workers, Cases: 2000, KeepSeen: true,
	}, t)
	if err != nil {
		return nil, err
	}
	m.calibrate(t.held, p.Negatives, rand.New(rand.NewPCG(t.in.Seed, 0xca12)))
	return m, nil
}

// Replicas implements training.Learner.
func (t *trainer) Replicas() []nn.Params[float32] {
	all := make([]nn.Params[float32], len(t.nets))
	for i, n := range t.nets {
		all[i] = n.Params()
	}
	return all
}

// Learn implements training.Learner: the losses are the goals' mean
// cross-entropies.
func (t *trainer) Learn(batch []*funnel, _ int, rng *rand.Rand) ([]float64, float64) {
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
	training.Each(len(t.nets), func(w int) {
		parts[w] = t.nets[w].Step(shares[w], count, float64(counts[w])/float64(count))
	})
	losses := make([]float64, Goals)
	for _, p := range parts {
		for g, l := range p {
			losses[g] += l
		}
	}
	return losses, 1
}

// Model implements training.Learner.
func (t *trainer) Model() *Model { return t.model() }
