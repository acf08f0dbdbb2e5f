package sequence

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/attribute"
	"github.com/attune-rec/attune/models/linalg"
	"github.com/attune-rec/attune/models/nn"
	"github.com/attune-rec/attune/models/training"
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
		Fit:  training.Fit(family, func(in models.FitInput) (*trainer, error) { return newTrainer(family, in) }, (*trainer).run),
		Open: func(r models.Reader) (models.Model, error) { return open(family, r) },
		Space: []models.Range{
			{Param: "dim", Values: []any{32, 64, 128}},
			{Param: "dropout", Low: .1, High: .6},
			{Param: "rate", Low: .001, High: .006, Log: true},
			{Param: "epochs", Low: 6, High: 40, Integer: true},
			{Param: "gaps", Values: []any{false, true}},
		},
	}
}

// trainer is the state of one training.
type trainer struct {
	in      models.FitInput
	family  string
	params  Params
	reader  *reader
	reads   inputs
	corpus  *corpus
	nets    []*network // replicas; the first one's weights are everybody's
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
	var said *attribute.Table
	if p.ItemFeatures {
		said = attribute.Of(in.Train)
	}
	t.nets, err = training.Replicas(t.workers, func() *network {
		n := newNetwork(family, p, t.reader.items, t.reads, said, rand.New(rand.NewPCG(in.Seed, 0x5e9)))
		if p.Negatives > 0 {
			n.sampler = newSampler(t.corpus.counts, p.Negatives)
		}
		return n
	})
	if err != nil {
		return nil, err
	}
	for _, n := range t.nets {
		n.items.W = t.nets[0].items.W // composed once for all
	}
	t.nets[0].popularity(t.corpus.counts)
	return t, nil
}

func (t *trainer) run(ctx context.Context) (*Model, error) {
	p := t.params
	adam := nn.DefaultAdam()
	adam.Beta2, adam.Decay = .99, p.Decay
	return training.Run(ctx, t.in, training.Plan{
		Kind: t.family, Params: p, Losses: []string{"loss"}, Epochs: p.Epochs, Patience: p.Patience,
		Rate: p.Rate, Warm: .05, Clip: p.Clip, Adam: adam, Workers: t.workers, Cases: 3000,
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
func (t *trainer) Batches(rng *rand.Rand) [][][]token {
	return batches(t.corpus.windows(t.params.Window, rng), t.params.Tokens, rng)
}

// Learn implements training.Learner.
func (t *trainer) Learn(pieces [][]token, step int, _ *rand.Rand) ([]float64, float64) {
	tokens := 0
	for _, p := range pieces {
		tokens += len(p) - 1
	}
	t.nets[0].compose(t.workers)
	shares, losses := deal(pieces, len(t.nets)), make([]float64, len(t.nets))
	training.Each(len(t.nets), func(i int) {
		losses[i] = t.nets[i].step(shares[i], nn.Seed(t.in.Seed, uint64(step), uint64(i)), 1/float32(tokens)) // #nosec G115 -- not negative
	})
	return []float64{sum(losses)}, float64(tokens)
}

func sum(values []float64) float64 {
	total := 0.
	for _, v := range values {
		total += v
	}
	return total
}

// Model implements training.Learner.
func (t *trainer) Model() *Model { return t.model() }
