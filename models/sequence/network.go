package sequence

import (
	"math"
	"math/rand/v2"

	"github.com/attune-rec/attune/models/attribute"
	"github.com/attune-rec/attune/models/nn"
)

// spread is the deviation of the first vectors.
const spread = .02

// network is one replica: vectors of the items in, a body, the softmax over
// the catalogue out, with the same vectors.
type network struct {
	items, bias *nn.Param[float32] // items: as they are read and compared with
	own, attrs  *nn.Param[float32] // what items are composed of; nil: they are weights themselves
	attributes  *attribute.Table
	kinds, gaps *nn.Param[float32] // nil: not read
	body        body
	factor      float32 // on item vectors as they are read

	in, inKinds, inGaps nn.Embedding[float32]
	catalogue           nn.Catalogue[float32]
	sampler             *sampler // nil: the whole catalogue
	sampled             nn.Sampled[float32]
	batch               packed
}

// newNetwork builds the family's network for n items, which are composed of
// attributes where there are any; without rng its weights are to be read.
func newNetwork(family string, p Params, n int, reads inputs, a *attribute.Table, rng *rand.Rand) *network {
	w := &network{
		items: nn.NewParam[float32]("items", n, p.Dim).Normal(rng, spread),
		bias:  nn.NewParam[float32]("bias", 1, n), factor: 1, attributes: a,
	}
	if a != nil {
		w.own, w.attrs = w.items, nn.NewParam[float32]("attributes", a.Names(), p.Dim).Normal(rng, spread)
		w.items = nn.NewParam[float32]("composed", n, p.Dim)
	}
	if reads.Types {
		w.kinds = nn.NewParam[float32]("types", typeRows, p.Dim).Normal(rng, spread)
	}
	if reads.Gaps {
		w.gaps = nn.NewParam[float32]("gaps", gapRows, p.Dim).Normal(rng, spread)
	}
	switch family {
	case KindSASRec:
		w.body, w.factor = newAttentive(p, rng), float32(math.Sqrt(float64(p.Dim)))
	default:
		w.body = newRecurrent(p, family == KindLSTM, rng)
	}
	return w
}

// inputs says what a network reads of an event besides its item.
type inputs struct {
	Types bool `json:"types"`
	Gaps  bool `json:"gaps"`
}

// Params are all weights.
func (w *network) Params() nn.Params[float32] {
	ps := nn.Params[float32]{w.items, w.bias}
	if w.attributes != nil {
		ps = nn.Params[float32]{w.own, w.bias, w.attrs}
	}
	return append(ps, w.rest()...)
}

// rest are the weights besides those of the items.
func (w *network) rest() nn.Params[float32] {
	var ps nn.Params[float32]
	for _, p := range []*nn.Param[float32]{w.kinds, w.gaps} {
		if p != nil {
			ps = append(ps, p)
		}
	}
	return append(ps, w.body.params()...)
}

// compose brings the items up to date with what they are composed of.
func (w *network) compose(workers int) {
	if w.attributes != nil {
		w.attributes.Compose(w.own, w.attrs, w.items, workers)
	}
}

// popularity sets the biases to the logarithms of the items' shares.
func (w *network) popularity(counts []int) {
	total := 0
	for _, n := range counts {
		total += n
	}
	for i, n := range counts {
		w.bias.W[i] = float32(math.Log(float64(n+1) / float64(total+len(counts))))
	}
}

// step adds to the gradients those of weight times the loss over the pieces,
// and returns the loss, not weighted.
func (w *network) step(pieces [][]token, seed uint64, weight float32) float64 {
	if len(pieces) == 0 {
		return 0
	}
	b := &w.batch
	b.lay(pieces, w.body.byTime())
	w.in.Table = w.items
	x := w.in.Forward(b.items, w.factor)
	w.also(&w.inKinds, w.kinds, b.kinds, x)
	w.also(&w.inGaps, w.gaps, b.gaps, x)
	loss, dh := w.loss(w.body.forward(x, b, seed), seed, weight)
	dx := w.body.backward(dh)
	w.in.Backward(dx, w.factor)
	if w.kinds != nil {
		w.inKinds.Backward(dx, w.factor)
	}
	if w.gaps != nil {
		w.inGaps.Backward(dx, w.factor)
	}
	if w.attributes != nil {
		w.attributes.Distribute(w.own, w.attrs, w.items)
	}
	return loss
}

// loss is that of what the body predicts, with the gradient of it.
func (w *network) loss(h nn.Mat[float32], seed uint64, weight float32) (float64, nn.Mat[float32]) {
	targets := w.batch.targets
	if w.sampler == nil {
		w.catalogue.Table, w.catalogue.Bias = w.items, w.bias
		return w.catalogue.Step(h, targets, weight)
	}
	w.sampled.Table, w.sampled.Bias = w.items, w.bias
	items, logQ := w.sampler.draw(targets, nn.Seed(seed, 1<<33))
	scores := w.sampled.Forward(h, items, w.sampler.n+1)
	w.sampler.spare(scores, items)
	loss := nn.SampledSoftmax(scores, logQ, weight)
	return loss, w.sampled.Backward(scores)
}

func (w *network) also(e *nn.Embedding[float32], table *nn.Param[float32], rows []int32, x nn.Mat[float32]) {
	if table == nil {
		return
	}
	e.Table = table
	y := e.Forward(rows, w.factor)
	x.Add(y)
}
