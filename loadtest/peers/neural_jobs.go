package main

import (
	"errors"
	"math/rand/v2"
	"sync"

	"github.com/attune-rec/attune/models/linalg"
	"github.com/attune-rec/attune/models/neural"
	"github.com/attune-rec/attune/models/nn"
)

// The sizes that all jobs share, MovieLens's 1M.
const (
	neuralUsers, neuralItems, neuralBatches = 6040, 3706, 16
	neuralRate                              = 1e-3
)

// network is a replica that can learn from its share of a batch.
type network interface {
	Params() nn.Params[float32]
	learn(batch int)
}

// training is a job whose run is one step of Adam by replicas on so many
// threads, each of which learns from an equal share.
func training(threads int, build func(rng *rand.Rand, replica int) network) (job, error) {
	if threads <= 0 {
		return job{}, errors.New("want threads")
	}
	var nets []network
	var others []nn.Params[float32]
	for i := range threads {
		n := build(rand.New(rand.NewPCG(1, 2)), i)
		if i > 0 {
			if err := nets[0].Params().Share(n.Params()); err != nil {
				return job{}, err
			}
			others = append(others, n.Params())
		}
		nets = append(nets, n)
	}
	all := nets[0].Params()
	adam, batch := nn.NewAdam(all, nn.DefaultAdam()), 0
	return job{ops: 1, run: func() {
		var wg sync.WaitGroup
		for _, n := range nets[1:] {
			wg.Go(func() { n.learn(batch) })
		}
		nets[0].learn(batch)
		wg.Wait()
		all.Gather(others, threads)
		adam.Step(neuralRate, threads)
		batch = (batch + 1) % neuralBatches
	}}, nil
}

func neuralJobs() jobSet {
	return jobSet{linalg.ISA(), map[string]jobMaker{
		"neumf":  neumfJob,
		"gru":    sequenceJob(func(dim int, rng *rand.Rand) body { return &cellBody{nn.NewGRU[float32]("cell", dim, dim, rng)} }),
		"lstm":   sequenceJob(func(dim int, rng *rand.Rand) body { return &cellBody{nn.NewLSTM[float32]("cell", dim, dim, rng)} }),
		"sasrec": sequenceJob(func(dim int, rng *rand.Rand) body { return newBlocks(2, dim, rng) }),
	}}
}

// neumf is the published network and its batches.
type neumf struct {
	*neural.IDs[float32]
	users, items [][]int32
	labels       [][]float32
	weight       float32
}

func (n *neumf) learn(batch int) {
	n.Step(n.users[batch], n.items[batch], n.labels[batch], n.weight)
}

func neumfJob(p params) (job, error) {
	size, threads := p["batch"], p["threads"]
	if size <= 0 || threads <= 0 {
		return job{}, errors.New("want batch and threads")
	}
	return training(threads, func(rng *rand.Rand, replica int) network {
		n := &neumf{
			IDs:    neural.NewIDs[float32](neuralUsers, neuralItems, neural.Shape{GMF: 32, MLP: 32, Hidden: []int{64, 32, 16}}, rng),
			weight: 1 / float32(size),
		}
		draw := rand.New(rand.NewPCG(3, uint64(replica)))
		for range neuralBatches {
			n.users = append(n.users, drawRows(draw, size/threads, neuralUsers))
			n.items = append(n.items, drawRows(draw, size/threads, neuralItems))
			labels := make([]float32, size/threads)
			for i := range labels {
				labels[i] = float32(draw.IntN(2))
			}
			n.labels = append(n.labels, labels)
		}
		return n
	})
}

func drawRows(rng *rand.Rand, n, below int) []int32 {
	rows := make([]int32, n)
	for i := range rows {
		rows[i] = int32(rng.IntN(below))
	}
	return rows
}

// body is a network between item vectors and what they are compared with.
type body interface {
	Params() nn.Params[float32]
	forward(x nn.Mat[float32], sequences, length int) nn.Mat[float32]
	backward(dy nn.Mat[float32]) nn.Mat[float32]
}

// sequences learns by the binary cross-entropy of the target and one sample at
// every position.
type sequences struct {
	table       *nn.Param[float32]
	body        body
	in          nn.Embedding[float32]
	out         nn.Sampled[float32]
	read, score [][]int32
	count, size int
	weight      float32
}

func (s *sequences) Params() nn.Params[float32] {
	return append(nn.Params[float32]{s.table}, s.body.Params()...)
}

func (s *sequences) learn(batch int) {
	h := s.body.forward(s.in.Forward(s.read[batch], 8), s.count, s.size)
	scores := s.out.Forward(h, s.score[batch], 2)
	nn.GBCE(scores, 1, s.weight)
	s.in.Backward(s.body.backward(s.out.Backward(scores)), 8)
}

func sequenceJob(build func(dim int, rng *rand.Rand) body) jobMaker {
	return func(p params) (job, error) {
		dim, threads := p["dim"], p["threads"]
		if dim <= 0 || threads <= 0 || p["batch"] <= 0 || p["length"] <= 0 {
			return job{}, errors.New("want batch, length, dim and threads")
		}
		return training(threads, func(rng *rand.Rand, replica int) network {
			s := &sequences{
				table: nn.NewParam[float32]("items", neuralItems, dim).Normal(rng, .02), body: build(dim, rng),
				count: p["batch"] / threads, size: p["length"], weight: 1 / float32(p["batch"]*p["length"]),
			}
			s.in.Table, s.out.Table = s.table, s.table
			draw := rand.New(rand.NewPCG(3, uint64(replica)))
			for range neuralBatches {
				s.read = append(s.read, drawRows(draw, s.count*s.size, neuralItems))
				s.score = append(s.score, drawRows(draw, 2*s.count*s.size, neuralItems))
			}
			return s
		})
	}
}

// cellBody is one recurrent layer.
type cellBody struct {
	cell interface {
		Params() nn.Params[float32]
		Forward(x nn.Mat[float32], steps nn.Steps) nn.Mat[float32]
		Backward(dy nn.Mat[float32]) nn.Mat[float32]
	}
}

func (c *cellBody) Params() nn.Params[float32] { return c.cell.Params() }

func (c *cellBody) forward(x nn.Mat[float32], sequences, length int) nn.Mat[float32] {
	steps := make(nn.Steps, length)
	for i := range steps {
		steps[i] = sequences
	}
	return c.cell.Forward(x, steps)
}

func (c *cellBody) backward(dy nn.Mat[float32]) nn.Mat[float32] { return c.cell.Backward(dy) }

// blocks is SASRec's body with a bias by distance in the place of positions.
type blocks struct {
	list []*attentionBlock
	norm *nn.LayerNorm[float32]
}

type attentionBlock struct {
	before, middle *nn.LayerNorm[float32]
	attention      *nn.Attention[float32]
	widen, narrow  *nn.Dense[float32]
	bend           nn.GELU[float32]
}

func newBlocks(n, dim int, rng *rand.Rand) *blocks {
	b := &blocks{norm: nn.NewLayerNorm[float32]("norm", dim)}
	for range n {
		b.list = append(b.list, &attentionBlock{
			before: nn.NewLayerNorm[float32]("before", dim), middle: nn.NewLayerNorm[float32]("middle", dim),
			attention: nn.NewAttention[float32]("attention", dim, 2, 50, .02, rng),
			widen:     nn.NewDense[float32]("widen", dim, 4*dim, rng), narrow: nn.NewDense[float32]("narrow", 4*dim, dim, rng),
		})
	}
	return b
}

func (b *blocks) Params() nn.Params[float32] {
	ps := b.norm.Params()
	for _, l := range b.list {
		for _, more := range []nn.Params[float32]{l.before.Params(), l.attention.Params(), l.middle.Params(), l.widen.Params(), l.narrow.Params()} {
			ps = append(ps, more...)
		}
	}
	return ps
}

func (b *blocks) forward(x nn.Mat[float32], sequences, length int) nn.Mat[float32] {
	shape := make(nn.Lengths, sequences)
	for i := range shape {
		shape[i] = length
	}
	for _, l := range b.list {
		y := l.attention.Forward(l.before.Forward(x), shape)
		y.Add(x)
		z := l.narrow.Forward(l.bend.Forward(l.widen.Forward(l.middle.Forward(y))))
		z.Add(y)
		x = z
	}
	return b.norm.Forward(x)
}

func (b *blocks) backward(dy nn.Mat[float32]) nn.Mat[float32] {
	dy = b.norm.Backward(dy)
	for i := len(b.list) - 1; i >= 0; i-- {
		l := b.list[i]
		d := l.middle.Backward(l.widen.Backward(l.bend.Backward(l.narrow.Backward(dy))))
		d.Add(dy)
		e := l.before.Backward(l.attention.Backward(d))
		e.Add(d)
		dy = e
	}
	return dy
}
