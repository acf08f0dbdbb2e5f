package sequence

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"

	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/eval"
	"github.com/attune-rec/attune/models/linalg"
	"github.com/attune-rec/attune/models/nn"
)

// The names of the kinds.
const (
	KindGRU    = "gru"
	KindLSTM   = "lstm"
	KindSASRec = "sasrec"
)

// GRU is the kind "gru": a gated recurrent network over the shopper's events
// (Hidasi et al. 2016, "Session-based Recommendations with Recurrent Neural
// Networks"), trained with the softmax over the whole catalogue at every
// event, item vectors tied.
func GRU() models.Kind {
	return kindOf(KindGRU, "what comes next, by a gated recurrent network over the history")
}

// LSTM is the kind "lstm": GRU with long short-term memory cells.
func LSTM() models.Kind {
	return kindOf(KindLSTM, "what comes next, by a long short-term memory over the history")
}

// SASRec is the kind "sasrec": self-attention over the shopper's events (Kang,
// McAuley 2018, "Self-Attentive Sequential Recommendation"), with position by
// distance and the loss of GRU.
func SASRec() models.Kind {
	return kindOf(KindSASRec, "what comes next, by self-attention over the history")
}

func kindOf(family, summary string) models.Kind {
	return models.Kind{
		Name: family, Summary: summary, Defaults: defaults(family),
		Fit: func(ctx context.Context, in models.FitInput) (models.Model, error) {
			t, err := newTrainer(family, in)
			if err != nil {
				return nil, fmt.Errorf("fit %s: %w", family, err)
			}
			m, err := t.run(ctx)
			if err != nil {
				return nil, fmt.Errorf("fit %s: %w", family, err)
			}
			return m, nil
		},
		Open: func(r models.Reader) (models.Model, error) { return open(family, r) },
		Space: []models.Range{
			{Param: "dim", Values: []any{32, 64, 128}},
			{Param: "dropout", Low: .1, High: .6},
			{Param: "rate", Low: .001, High: .006, Log: true},
			{Param: "epochs", Low: 6, High: 40, Integer: true},
		},
	}
}

// trainer is the state of one training.
type trainer struct {
	in       models.FitInput
	family   string
	params   Params
	reader   *reader
	reads    inputs
	corpus   *corpus
	nets     []*network // replicas; the first one's weights are everybody's
	adam     *nn.Adam[float32]
	schedule nn.Schedule
	workers  int
}

func newTrainer(family string, in models.FitInput) (*trainer, error) {
	p := defaults(family)
	if err := models.DecodeParams(in.Params, &p); err != nil {
		return nil, err
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	weigher, err := p.weigher(in.Weights)
	if err != nil {
		return nil, err
	}
	p.Events = weigher.Options().Events
	t := &trainer{in: in, family: family, workers: in.Workers, reader: &reader{weigher: weigher, items: in.Train.NumItems()}}
	if t.workers <= 0 {
		t.workers = linalg.Workers()
	}
	t.corpus = newCorpus(in.Train, t.reader)
	if len(t.corpus.seqs) == 0 {
		return nil, fmt.Errorf("no history has two events that speak for an item: nothing follows anything")
	}
	p.resolve(family, t.corpus.events, t.reader.items, t.corpus.long)
	if err := p.check(); err != nil {
		return nil, err
	}
	t.params = p
	t.reads = inputs{Types: p.EventTypes && t.corpus.types, Gaps: p.Gaps && t.corpus.gaps}
	for range t.workers {
		// The same seed for each: a replica's own draws are thrown away.
		n := newNetwork(family, p, t.reader.items, t.reads, rand.New(rand.NewPCG(in.Seed, 0x5e9)))
		if len(t.nets) > 0 {
			if err := t.nets[0].params().Share(n.params()); err != nil {
				return nil, err
			}
		}
		if p.Negatives > 0 {
			n.sampler = newSampler(t.corpus.counts, p.Negatives)
		}
		t.nets = append(t.nets, n)
	}
	t.nets[0].popularity(t.corpus.counts)
	options := nn.DefaultAdam()
	options.Beta2, options.Decay = .99, p.Decay
	t.adam = nn.NewAdam(t.nets[0].params(), options)
	return t, nil
}

func (t *trainer) run(ctx context.Context) (*Model, error) {
	judge, err := t.judge()
	if err != nil {
		return nil, err
	}
	stopper, best := nn.Stopper{Patience: t.params.Patience}, (*Model)(nil)
	for epoch := 1; epoch <= t.params.Epochs; epoch++ {
		rng := rand.New(rand.NewPCG(t.in.Seed, uint64(epoch)))
		plan := batches(t.corpus.windows(t.params.Window, rng), t.params.Tokens, rng)
		if epoch == 1 {
			t.schedule = nn.Schedule{Rate: t.params.Rate, Steps: len(plan) * t.params.Epochs, Warm: .05, Floor: .02}
		}
		loss, tokens := 0., 0
		for _, pieces := range plan {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			l, n := t.step(pieces)
			loss, tokens = loss+l, tokens+n
		}
		figures := map[string]float64{"loss": loss / float64(max(tokens, 1))}
		if math.IsNaN(loss) {
			return nil, fmt.Errorf("the loss is not a number in epoch %d: lower the rate of %v", epoch, t.params.Rate)
		}
		stop := false
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

// step learns from one batch and returns its loss and its number of tokens. The
// result depends on the number of workers, never on their timing.
func (t *trainer) step(pieces [][]token) (float64, int) {
	tokens := 0
	for _, p := range pieces {
		tokens += len(p) - 1
	}
	n := t.adam.Steps() + 1
	shares, losses := deal(pieces, len(t.nets)), make([]float64, len(t.nets))
	var wg sync.WaitGroup
	for i, net := range t.nets {
		wg.Go(func() {
			losses[i] = net.step(shares[i], nn.Seed(t.in.Seed, uint64(n), uint64(i)), 1/float32(tokens))
		})
	}
	wg.Wait()
	params := t.nets[0].params()
	var others []nn.Params[float32]
	for _, net := range t.nets[1:] {
		others = append(others, net.params())
	}
	params.Gather(others, t.workers)
	params.Clip(t.params.Clip)
	t.adam.Step(t.schedule.At(n), t.workers)
	var loss float64
	for _, l := range losses {
		loss += l
	}
	return loss, tokens
}

// judge is NDCG@10 over a sample of the validation's cases; nil where there is
// no validation.
func (t *trainer) judge() (func(context.Context, *Model) (float64, error), error) {
	if t.in.Validate == nil {
		return nil, nil
	}
	metrics, err := eval.ParseMetrics([]string{"ndcg@10"})
	if err != nil {
		return nil, err
	}
	task := eval.Task{History: t.in.Train, Test: t.in.Validate}
	options := eval.Options{Metrics: metrics, Workers: t.workers, MaxCases: 3000, Seed: t.in.Seed}
	cases, err := eval.Plan(task, options)
	if err != nil || len(cases.User) == 0 {
		return nil, nil //nolint:nilerr // a validation without a case to judge is none
	}
	return func(ctx context.Context, m *Model) (float64, error) {
		res, err := eval.Run(ctx, m, task, cases, options)
		if err != nil {
			return 0, err
		}
		return res.Whole[0], nil
	}, nil
}
