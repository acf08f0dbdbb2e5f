package mf

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/factor"
	"github.com/attune-rec/attune/models/linalg"
	"github.com/attune-rec/attune/models/taste"
)

// KindBPR is the name of Bayesian personalised ranking.
const KindBPR = "bpr"

// BPRParams are those of "bpr".
type BPRParams struct {
	Factors        int     `json:"factors"`
	Epochs         int     `json:"epochs"`
	Rate           float64 `json:"rate"` // of learning, falling to 0 over the epochs
	Regularisation float64 `json:"regularisation"`
	// Popularity is the exponent with which an item's chance of being drawn as
	// what was not chosen grows with its number of users: 0 draws evenly, 1 as
	// often as it is met.
	Popularity float64 `json:"popularity"`
	// Draws is how many items are drawn for each choice; the one that ranks
	// highest at the time is learnt against.
	Draws    int     `json:"draws"`
	Spread   float64 `json:"spread"` // standard deviation of a first vector's length
	Patience int     `json:"patience"`
	Pool     int     `json:"pool"`  // items a history is ranked above when it is folded in
	Steps    int     `json:"steps"` // of folding in
	taste.Options
}

// BPRDefaults are the parameters of "bpr" where none are given.
func BPRDefaults() BPRParams {
	return BPRParams{Factors: 64, Epochs: 60, Rate: .1, Regularisation: .003, Popularity: .5, Draws: 1, Spread: .1, Patience: 5, Pool: 200, Steps: 20}
}

func (p *BPRParams) check() error {
	for _, c := range []struct {
		name             string
		value, low, high float64
	}{
		{"factors", float64(p.Factors), 1, 4096}, {"epochs", float64(p.Epochs), 1, 10_000}, {"rate", p.Rate, 1e-6, 10},
		{"regularisation", p.Regularisation, 0, 10}, {"popularity", p.Popularity, 0, 2}, {"draws", float64(p.Draws), 1, 1000}, {"spread", p.Spread, 1e-6, 100},
		{"patience", float64(p.Patience), 0, 10_000}, {"pool", float64(p.Pool), 1, 100_000}, {"steps", float64(p.Steps), 1, 1000},
	} {
		if err := models.CheckRange(c.name, c.value, c.low, c.high); err != nil {
			return err
		}
	}
	return nil
}

// BPR is the kind "bpr" (Rendle, Freudenthaler, Gantner, Schmidt-Thieme 2009,
// "BPR: Bayesian Personalized Ranking from Implicit Feedback"), with items not
// chosen drawn by popularity, and of several drawn the one that ranks highest
// learnt against (Zhang, Chen, Wang and Yu, SIGIR 2013: dynamic negative item
// sampling). Training is parallel without shared writes, so the model is the same
// for one seed and one number of workers.
func BPR() models.Kind {
	return models.Kind{
		Name:     KindBPR,
		Summary:  "vectors that rank what was chosen above what was not",
		Defaults: BPRDefaults(),
		Fit:      fitBPR,
		Open:     openBPR,
		Space: []models.Range{
			{Param: "factors", Values: []any{32, 64, 128}}, {Param: "rate", Low: .02, High: .4, Log: true},
			{Param: "regularisation", Low: .001, High: .05, Log: true}, {Param: "popularity", Low: 0, High: 1}, {Param: "draws", Values: []any{1, 3, 6, 12}},
		},
	}
}

func fitBPR(ctx context.Context, in models.FitInput) (models.Model, error) {
	p := BPRDefaults()
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
	seen := weigher.Matrix(in.Train, false)
	if seen.NNZ() == 0 {
		return nil, fmt.Errorf("fit %s: the data has no interaction that speaks for an item", KindBPR)
	}
	t := newTrainer(in, p, seen)
	best := stopper{patience: p.Patience}
	for epoch := 1; epoch <= p.Epochs; epoch++ {
		loss := t.epoch(epoch)
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		figures := map[string]float64{"objective": loss}
		done := false
		if in.Validate != nil && p.Patience > 0 {
			m := t.model(weigher)
			figures["ndcg@20"] = ndcg(m, in.Train, in.Validate, t.workers)
			done = best.offer(m, figures["ndcg@20"])
		}
		if in.Progress != nil {
			in.Progress(models.Progress{Step: epoch, Steps: p.Epochs, Stage: "iteration", Figures: figures})
		}
		if done {
			break
		}
	}
	if best.model != nil {
		return best.model, nil
	}
	return t.model(weigher), nil
}

// trainer is the state of one training. Users are split into as many shards as
// there are workers, and items, anew each epoch, into as many blocks. In each of
// as many phases a worker has a shard and a block to itself: it learns from the
// pairs that fall into both, and draws what was not chosen from its block.
type trainer struct {
	params  BPRParams
	seen    linalg.CSR
	seed    uint64
	workers int
	users   linalg.Matrix
	items   linalg.Matrix // the last column is the item's bias
	chance  []float64     // of being drawn, not normalised
}

func newTrainer(in models.FitInput, p BPRParams, seen linalg.CSR) *trainer {
	t := &trainer{
		params: p, seen: seen, seed: in.Seed, workers: in.Workers, chance: make([]float64, seen.Cols),
		users: linalg.NewMatrix(seen.Rows, p.Factors+1), items: linalg.NewMatrix(seen.Cols, p.Factors+1),
	}
	if t.workers <= 0 {
		t.workers = linalg.Workers()
	}
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
	for _, i := range seen.Idx {
		t.chance[i]++
	}
	for i, n := range t.chance {
		t.chance[i] = math.Pow(n, p.Popularity)
		if n == 0 {
			t.chance[i] = 0
		}
	}
	return t
}

// block is the items a worker has to itself, with their chances summed up.
type block struct {
	items []int32
	upTo  []float64
}

// draw is an item by its chance.
func (b *block) draw(rng *rand.Rand) int32 {
	at := rng.Float64() * b.upTo[len(b.upTo)-1]
	lo, hi := 0, len(b.upTo)-1
	for lo < hi {
		if mid := (lo + hi) / 2; b.upTo[mid] > at {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return b.items[lo]
}

type choice struct {
	user, item int32
	weight     float32
}

// epoch passes over all pairs once and returns the mean loss, −ln σ of the
// difference.
func (t *trainer) epoch(number int) float64 {
	n := t.workers
	rng := rand.New(rand.NewPCG(t.seed, uint64(number)))
	blocks, of := make([]block, n), make([]int32, t.seen.Cols)
	for i := range of {
		w := rng.IntN(n)
		of[i] = int32(w)
		if t.chance[i] > 0 {
			sum := t.chance[i]
			if m := len(blocks[w].upTo); m > 0 {
				sum += blocks[w].upTo[m-1]
			}
			blocks[w].items, blocks[w].upTo = append(blocks[w].items, int32(i)), append(blocks[w].upTo, sum)
		}
	}
	cells := make([][]choice, n*n)
	for u := range t.seen.Rows {
		cols, vals := t.seen.Row(u)
		for e, i := range cols {
			c := choice{int32(u), i, 1}
			if vals != nil {
				c.weight = vals[e]
			}
			cell := u%n*n + int(of[i])
			cells[cell] = append(cells[cell], c)
		}
	}
	rate := t.params.Rate * (1 - float64(number-1)/float64(t.params.Epochs))
	losses := make([]float64, n*n)
	for phase := range n {
		linalg.ParallelN(n, 1, n, func(_, shard, _ int) {
			cell := shard*n + (shard+phase)%n
			own := rand.New(rand.NewPCG(t.seed^uint64(number)<<32, uint64(cell)))
			losses[cell] = t.learn(cells[cell], &blocks[cell%n], float32(rate), own)
		})
	}
	var sum float64
	for _, l := range losses {
		sum += l
	}
	return sum / float64(t.seen.NNZ())
}

// learn takes a step of gradient for each pair, in random order.
func (t *trainer) learn(pairs []choice, from *block, rate float32, rng *rand.Rand) float64 {
	rng.Shuffle(len(pairs), func(i, j int) { pairs[i], pairs[j] = pairs[j], pairs[i] })
	dim := t.params.Factors
	old, apart := make([]float32, dim+1), make([]float32, dim+1)
	keep := 1 - rate*float32(t.params.Regularisation)
	var loss float64
	for _, c := range pairs {
		other, ok := t.rival(c.user, from, rng)
		if !ok {
			continue
		}
		x, better, worse := t.users.Row(int(c.user)), t.items.Row(int(c.item)), t.items.Row(int(other))
		copy(apart, better)
		linalg.Axpy(-1, worse, apart)
		margin := float64(linalg.Dot(x, apart))
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

// rival is the highest ranked of the items drawn that the user has not met.
func (t *trainer) rival(user int32, from *block, rng *rand.Rand) (int32, bool) {
	best, found := t.unmet(user, from, rng)
	if !found || t.params.Draws == 1 {
		return best, found
	}
	x := t.users.Row(int(user))
	high := linalg.Dot(x, t.items.Row(int(best)))
	for range t.params.Draws - 1 {
		item, ok := t.unmet(user, from, rng)
		if !ok {
			break
		}
		if s := linalg.Dot(x, t.items.Row(int(item))); s > high {
			best, high = item, s
		}
	}
	return best, true
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
	all := block{}
	var sum float64
	for i, c := range t.chance {
		if c > 0 {
			sum += c
			all.items, all.upTo = append(all.items, int32(i)), append(all.upTo, sum)
		}
	}
	// The pool is drawn once for good, so that a history has one vector.
	rng := rand.New(rand.NewPCG(t.seed, 0x9001))
	pool := make([]int32, t.params.Pool)
	for i := range pool {
		pool[i] = all.draw(rng)
	}
	return &Ranking{
		params: t.params, weigher: w, pool: pool,
		table: factor.Table{Items: t.items.Rows, Dim: t.items.Cols, Data: append([]float32(nil), t.items.Data...)},
	}
}

// Ranking is a fitted "bpr". A request without history has no vector and NaN
// for scores. It is immutable and safe for concurrent use.
type Ranking struct {
	params  BPRParams
	weigher *taste.Weigher
	table   factor.Table
	pool    []int32
}

// Kind implements models.Model.
func (m *Ranking) Kind() string { return KindBPR }

// Items implements models.Model.
func (m *Ranking) Items() int { return m.table.Items }

// Dim implements models.Embedder.
func (m *Ranking) Dim() int { return m.table.Dim }

// Vectors implements models.Embedder.
func (m *Ranking) Vectors() []float32 { return m.table.Data }

// Score implements models.Scorer.
func (m *Ranking) Score(r *features.Request, items []features.Row, out []float32) {
	m.table.Score(m, r, items, out)
}

// ScoreMany implements models.BatchScorer.
func (m *Ranking) ScoreMany(rs []*features.Request, items []features.Row, out []float32) {
	m.table.ScoreMany(m, rs, items, out)
}

// Embed implements models.Embedder: the vector that ranks the history above the
// pool by the loss of training, a convex problem, solved by accelerated
// gradient descent from 0. The last number is 1, the weight of items' biases.
func (m *Ranking) Embed(r *features.Request, dst []float32) bool {
	scratch := r.Scratch
	if scratch == nil {
		scratch = new(features.Scratch)
	}
	p := m.weigher.Profile(r.History(), m.table.Items, scratch)
	likes := p.Likes()
	if likes <= 0 {
		return false
	}
	n, dim := len(p.Rows), m.table.Dim
	// What the shopper has met is no evidence against itself.
	against := scratch.Floats(len(m.pool))
	count := float32(0)
	for j, row := range m.pool {
		against[j] = 1
		for i := range p.Rows {
			if p.Rows[i] == row {
				against[j] = 0
			}
		}
		count += against[j]
	}
	clear(dst)
	dst[dim-1] = 1
	if count == 0 {
		return true
	}
	ahead, last, gradient := scratch.Floats(dim), scratch.Floats(dim), scratch.Floats(dim)
	up, down := scratch.Floats(n), scratch.Floats(len(m.pool))
	mine, theirs := scratch.Floats(n), scratch.Floats(len(m.pool))
	copy(ahead, dst)
	reg := float32(m.params.Regularisation) * likes
	rate := 1 / (reg + likes*m.bend(p.Rows))
	for step := range m.params.Steps {
		linalg.DotGather(ahead, m.table.Data, p.Rows, mine)
		linalg.DotGather(ahead, m.table.Data, m.pool, theirs)
		// σ of a difference is a ratio of exponentials, one for each score.
		raise(mine)
		raise(theirs)
		clear(down)
		for i, own := range mine {
			up[i] = 0
			w := max(p.Weights[i], 0) / count
			if w == 0 {
				continue
			}
			for j, other := range theirs {
				miss := w * against[j] * other / (other + own)
				up[i] += miss
				down[j] -= miss
			}
		}
		clear(gradient)
		linalg.AxpyGather(up, m.table.Data, p.Rows, gradient)
		linalg.AxpyGather(down, m.table.Data, m.pool, gradient)
		copy(last, dst)
		momentum := float32(step) / float32(step+3)
		for k := range dim - 1 {
			dst[k] = ahead[k] + rate*(gradient[k]-reg*ahead[k])
			ahead[k] = dst[k] + momentum*(dst[k]-last[k])
		}
	}
	return true
}

// raise replaces scores by their exponentials, held within the range of float32.
func raise(scores []float32) {
	for i, s := range scores {
		scores[i] = float32(math.Exp(math.Min(math.Max(float64(s), -40), 40)))
	}
}

// bend bounds the curvature of the loss: a quarter of the largest squared
// length of the history's vectors, with room for the pool's.
func (m *Ranking) bend(rows []int32) float32 {
	var most float32
	for _, row := range rows {
		y := m.table.Row(features.Row(row))
		most = max(most, linalg.Dot(y, y))
	}
	return max(most, 1e-6)
}

// Explain implements models.Explainer: the history items whose vectors point
// most to the item's are put to the test.
func (m *Ranking) Explain(r *features.Request, item features.Row) (models.Evidence, bool) {
	if item < 0 || int(item) >= m.table.Items {
		return models.Evidence{Item: features.NoRow}, false
	}
	p := m.weigher.Profile(r.History(), m.table.Items, new(features.Scratch))
	terms := make([]float32, len(p.Rows))
	linalg.DotGather(m.table.Row(item), m.table.Data, p.Rows, terms)
	for i, w := range p.Weights {
		terms[i] *= max(w, 0)
	}
	var rows []features.Row
	for _, s := range linalg.SelectTop(terms, len(terms), nil) {
		if s.Score > 0 {
			rows = append(rows, features.Row(p.Rows[s.Index]))
		}
	}
	return m.weigher.Confirm(m, r, item, rows)
}

type bprMeta struct {
	Params BPRParams `json:"params"`
	Items  int       `json:"items"`
}

// Save implements models.Model.
func (m *Ranking) Save(w models.Writer) error {
	if err := w.Tensor("items", models.TensorOf(m.table.Data, m.table.Items, m.table.Dim)); err != nil {
		return err
	}
	if err := w.Tensor("pool", models.TensorOf(m.pool, len(m.pool))); err != nil {
		return err
	}
	return w.JSON("model", bprMeta{Params: m.params, Items: m.table.Items})
}

func openBPR(r models.Reader) (models.Model, error) {
	var meta bprMeta
	if err := r.JSON("model", &meta); err != nil {
		return nil, err
	}
	meta.Params.Draws = max(meta.Params.Draws, 1) // a model of before there were several
	if err := meta.Params.check(); err != nil {
		return nil, err
	}
	m := &Ranking{params: meta.Params, table: factor.Table{Items: meta.Items, Dim: meta.Params.Factors + 1}}
	var err error
	if m.weigher, err = taste.New(meta.Params.Options, nil); err != nil {
		return nil, err
	}
	items, err := r.Tensor("items")
	if err != nil {
		return nil, err
	}
	if m.table.Data, err = models.View[float32](items, meta.Items, m.table.Dim); err != nil {
		return nil, fmt.Errorf("items: %w", err)
	}
	pool, err := r.Tensor("pool")
	if err != nil {
		return nil, err
	}
	if m.pool, err = models.View[int32](pool, -1); err != nil {
		return nil, fmt.Errorf("pool: %w", err)
	}
	for _, row := range m.pool {
		if row < 0 || int(row) >= meta.Items {
			return nil, fmt.Errorf("pool: %d is not one of %d items", row, meta.Items)
		}
	}
	return m, nil
}
