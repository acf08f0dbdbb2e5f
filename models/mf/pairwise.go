package mf

import (
	"math"
	"math/rand/v2"

	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/factor"
	"github.com/attune-rec/attune/models/linalg"
	"github.com/attune-rec/attune/models/taste"
)

// trainer is the state of one training. Users are split into as many shards as
// there are workers, and items, anew each epoch, into as many blocks. In each of
// as many phases a worker has a shard and a block to itself: it learns from the
// pairs that fall into both, and draws what was not chosen from its block.
type trainer struct {
	params  BPRParams
	seen    linalg.CSR
	seed    uint64
	workers int
	users   linalg.Matrix // the last column is 1
	items   linalg.Matrix // the last column is the item's bias
	chances chances
	met     []int32 // items that somebody met, ascending
	// whole: choices are ranked above every item of a block, since the catalogue is
	// too small for draws to be worth while. Then nothing is corrected.
	whole   bool
	cells   [][]choice // by shard and block
	blocks  []block
	benches []bench
}

// choice is a pair to learn from.
type choice struct {
	user, item int32
	weight     float32
}

func newTrainer(in models.FitInput, p BPRParams, seen linalg.CSR) *trainer {
	t := &trainer{
		params: p, seen: seen, seed: in.Seed, workers: in.Workers, chances: newChances(seen, p.Popularity, p.Correction),
		users: linalg.NewMatrix(seen.Rows, p.Factors+1), items: linalg.NewMatrix(seen.Cols, p.Factors+1),
	}
	if t.workers <= 0 {
		t.workers = linalg.Workers()
	}
	for i, w := range t.chances.weight {
		if w > 0 {
			t.met = append(t.met, int32(i))
		}
	}
	n := t.workers
	t.whole = p.Draws > 1 && len(t.met) <= n*p.Draws
	t.cells, t.blocks, t.benches = make([][]choice, n*n), make([]block, n), make([]bench, n)
	rng := rand.New(rand.NewPCG(in.Seed, 0xb9))
	deviation := p.Spread / math.Sqrt(float64(p.Factors))
	for _, m := range []linalg.Matrix{t.users, t.items} {
		for row := range m.Rows {
			x := m.Row(row)
			for k := range p.Factors {
				x[k] = float32(rng.NormFloat64() * deviation)
			}
		}
	}
	for u := range t.users.Rows {
		t.users.Row(u)[p.Factors] = 1
	}
	return t
}

// epoch passes over all pairs once and returns the mean loss.
func (t *trainer) epoch(number int) float64 {
	n := t.workers
	t.deal(rand.New(rand.NewPCG(t.seed, uint64(number))))
	rate := float32(t.params.Rate * (1 - float64(number-1)/float64(t.params.Epochs)))
	losses := make([]float64, n*n)
	for phase := range n {
		linalg.ParallelN(n, 1, n, func(_, shard, _ int) {
			cell := shard*n + (shard+phase)%n
			pairs, from := t.cells[cell], &t.blocks[cell%n]
			rng := rand.New(rand.NewPCG(t.seed^uint64(number)<<32, uint64(cell)))
			rng.Shuffle(len(pairs), func(i, j int) { pairs[i], pairs[j] = pairs[j], pairs[i] })
			if t.params.Draws == 1 {
				losses[cell] = t.single(pairs, from, rate, rng)
			} else {
				losses[cell] = t.shared(&t.benches[shard], pairs, from, rate, rng)
			}
		})
	}
	var sum float64
	for _, l := range losses {
		sum += l
	}
	return sum / float64(t.seen.NNZ())
}

// deal splits items into blocks and pairs into cells.
func (t *trainer) deal(rng *rand.Rand) {
	n := t.workers
	of, members := make([]int32, t.seen.Cols), make([][]int32, n)
	for i := range of {
		w := rng.IntN(n)
		of[i] = int32(w)
		if t.chances.weight[i] > 0 {
			members[w] = append(members[w], int32(i))
		}
	}
	for w := range t.blocks {
		t.blocks[w].fill(members[w], t.chances)
	}
	for c := range t.cells {
		t.cells[c] = t.cells[c][:0]
	}
	for u := range t.seen.Rows {
		cols, vals := t.seen.Row(u)
		for e, i := range cols {
			c := choice{int32(u), i, 1}
			if vals != nil {
				c.weight = vals[e]
			}
			cell := u%n*n + int(of[i])
			t.cells[cell] = append(t.cells[cell], c)
		}
	}
}

// single takes a step of gradient for each pair, against an item drawn for it
// alone.
func (t *trainer) single(pairs []choice, from *block, rate float32, rng *rand.Rand) float64 {
	dim := t.params.Factors
	old, apart := make([]float32, dim+1), make([]float32, dim+1)
	keep := 1 - rate*float32(t.params.Regularisation)
	var loss float64
	for _, c := range pairs {
		other, ok := t.unmet(c.user, from, rng)
		if !ok {
			continue
		}
		x, better, worse := t.users.Row(int(c.user)), t.items.Row(int(c.item)), t.items.Row(int(other))
		copy(apart, better)
		linalg.Axpy(-1, worse, apart)
		margin := float64(linalg.Dot(x, apart) - t.chances.lift[c.item] + t.chances.lift[other])
		miss := 1 / (1 + math.Exp(margin))
		loss -= math.Log(max(1-miss, 1e-12))
		step := rate * c.weight * float32(miss)
		copy(old, x)
		linalg.Scale(keep, x[:dim])
		linalg.Axpy(step, apart[:dim], x[:dim])
		linalg.Scale(keep, better)
		linalg.Axpy(step, old, better)
		linalg.Scale(keep, worse)
		linalg.Axpy(-step, old, worse)
	}
	return loss
}

// unmet draws an item that the user has not met; false when a few draws found
// none.
func (t *trainer) unmet(user int32, from *block, rng *rand.Rand) (int32, bool) {
	cols, _ := t.seen.Row(int(user))
	for range 16 {
		item := from.draw(rng)
		lo, hi := 0, len(cols)
		for lo < hi {
			if mid := (lo + hi) / 2; cols[mid] < item {
				lo = mid + 1
			} else {
				hi = mid
			}
		}
		if lo == len(cols) || cols[lo] != item {
			return item, true
		}
	}
	return 0, false
}

// model is the present state as a model of its own.
func (t *trainer) model(w *taste.Weigher) *Ranking {
	items := t.items.Clone()
	dim := t.params.Factors
	lowest := float32(math.Inf(1))
	for _, i := range t.met {
		lowest = min(lowest, items.Row(int(i))[dim])
	}
	// What nobody met was never ranked against anything: it comes last.
	for i := range items.Rows {
		if t.chances.weight[i] == 0 {
			clear(items.Row(i))
			items.Row(i)[dim] = lowest
		}
	}
	m := &Ranking{params: t.params, weigher: w, table: factor.Table{Items: items.Rows, Dim: items.Cols, Data: items.Data}}
	m.pool, m.offset = t.pool()
	m.lift = t.chances.lift
	if t.whole {
		m.lift = make([]float32, len(t.chances.lift))
	}
	m.gather()
	return m
}

// pool is what a history is ranked above when it is folded in, chosen once for
// good so that a history has one vector: every item that somebody met where they
// are few enough, else as many as asked for, at even distances along their summed
// chances. With offset on its score an item of the pool stands for its part of
// what a choice is ranked above in training.
func (t *trainer) pool() (rows []int32, offset []float32) {
	var sum float64
	for _, i := range t.met {
		sum += t.chances.weight[i]
	}
	part := func(i int32) float32 {
		if t.whole {
			return -float32(math.Log(float64(t.workers)))
		}
		return float32(math.Log(float64(t.params.Draws)*t.chances.weight[i]/sum)) - t.chances.lift[i]
	}
	if len(t.met) <= t.params.Pool {
		for _, i := range t.met {
			offset = append(offset, part(i))
		}
		return t.met, offset
	}
	rng := rand.New(rand.NewPCG(t.seed, 0x9001))
	next, upTo := rng.Float64(), 0.
	for _, i := range t.met {
		share := t.chances.weight[i] / sum * float64(t.params.Pool)
		for upTo += share; next < upTo; next++ {
			rows, offset = append(rows, i), append(offset, part(i)-float32(math.Log(share)))
		}
	}
	return rows, offset
}
