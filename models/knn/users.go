package knn

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
	"github.com/attune-rec/attune/models/taste"
)

// KindUser is the name of user-based collaborative filtering.
const KindUser = "user-cf"

// UserParams are those of "user-cf".
type UserParams struct {
	Similarity string  `json:"similarity"` // Cosine or Pearson
	Weighting  string  `json:"weighting"`
	Shrink     float64 `json:"shrink"`
	Neighbours int     `json:"neighbours"`
	// Reverse lets those shoppers vote who would count the one who asks among
	// their own Neighbours nearest. Else the Neighbours nearest to the one who
	// asks vote (all that are as near as the last of them), who are as a rule those
	// with the longest histories.
	Reverse bool `json:"reverse"`
	// Sample is the number of shoppers from whom each one's reach, the
	// similarity of the last of the nearest, is estimated.
	Sample int `json:"sample"`
	taste.Options
}

// UserDefaults are the parameters of "user-cf" where none are given.
func UserDefaults() UserParams {
	return UserParams{Similarity: Pearson, Weighting: BM25, Neighbours: 800, Reverse: true, Sample: 10_000}
}

func (p *UserParams) check() error {
	if err := models.CheckRange("shrink", p.Shrink, 0, 1e9); err != nil {
		return err
	}
	if err := models.CheckRange("neighbours", float64(p.Neighbours), 1, 100_000); err != nil {
		return err
	}
	if err := models.CheckRange("sample", float64(p.Sample), 100, 1e9); err != nil {
		return err
	}
	if p.Similarity != Cosine && p.Similarity != Pearson {
		return fmt.Errorf("%w: similarity is %q: expected %s or %s", models.ErrParams, p.Similarity, Cosine, Pearson)
	}
	return checkWeighting(p.Weighting)
}

// User is the kind "user-cf" (Resnick et al. 1994; Herlocker, Konstan, Riedl
// 2002).
func User() models.Kind {
	return models.Kind{
		Name:     KindUser,
		Summary:  "what the shoppers with the most similar histories have met",
		Defaults: UserDefaults(),
		Fit:      fitUser,
		Open:     openUser,
		Space: []models.Range{
			{Param: "similarity", Values: []any{Cosine, Pearson}}, {Param: "weighting", Values: []any{Plain, TFIDF, BM25}},
			{Param: "shrink", Low: .1, High: 100, Log: true}, {Param: "neighbours", Values: []any{100, 300, 800, 2000}},
		},
	}
}

// Users is a fitted "user-cf". It keeps the weighed histories of the shoppers it
// was trained on, in an order of its own and under no name: a request finds its
// neighbours by its history, whether it is one of them or not. It is immutable
// and safe for concurrent use.
type Users struct {
	meta    userMeta
	weigher *taste.Weigher
	rows    linalg.CSR // shoppers by items, weighed
	columns linalg.CSR // its transpose
	idf     []float32  // by item
	sums    []float32  // Σ v of each row
	lengths []float32  // of each row, centred for Pearson
	reach   []float32  // similarity from which on each shopper votes; nil unless reverse
}

type userMeta struct {
	Items  int        `json:"items"`
	Users  int        `json:"users"`
	Mean   float64    `json:"mean"` // length of a history in training
	Params UserParams `json:"params"`
}

func fitUser(ctx context.Context, in models.FitInput) (models.Model, error) {
	p := UserDefaults()
	if err := models.DecodeParams(in.Params, &p); err != nil {
		return nil, err
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	w, err := taste.New(p.Options, in.Weights)
	if err != nil {
		return nil, err
	}
	p.Options = w.Options()
	x := shuffled(w.Matrix(in.Train, false), in.Seed)
	if x.NNZ() == 0 {
		return nil, errEmpty(KindUser)
	}
	m := &Users{weigher: w, meta: userMeta{Items: x.Cols, Users: x.Rows, Params: p}, idf: rarity(x, p.Weighting)}
	for _, s := range rowSums(x) {
		m.meta.Mean += s / float64(x.Rows)
	}
	m.rows = scaled(x, nil, nil)
	for row := range x.Rows {
		cols, vals := m.rows.Row(row)
		m.reweigh(cols, vals)
	}
	m.prepare()
	if p.Reverse {
		m.measureReach(ctx, in.Workers)
	}
	return m, ctx.Err()
}

// rounding is by how much two shoppers' similarity may differ by who of them is
// asked about: the last of the nearest is to be one of them from both sides.
const rounding = 1e-5

// measureReach sets each shopper's reach from the first shoppers of the
// shuffled rows.
func (m *Users) measureReach(ctx context.Context, workers int) {
	if workers <= 0 {
		workers = linalg.Workers()
	}
	m.reach = make([]float32, m.rows.Rows)
	sample := m.rows
	sample.Rows = min(m.rows.Rows, m.meta.Params.Sample)
	sample.Ptr = m.rows.Ptr[:sample.Rows+1]
	sample.Idx, sample.Val = m.rows.Idx[:sample.Ptr[sample.Rows]], m.rows.Val[:sample.Ptr[sample.Rows]]
	columns := sample.Transpose()
	// The shopper counts as the nearest to itself.
	place := int(math.Ceil(float64(m.meta.Params.Neighbours) * float64(sample.Rows) / float64(m.rows.Rows)))
	type memory struct {
		near []float32
		top  linalg.TopK
	}
	pool := make([]memory, workers)
	linalg.ParallelN(m.rows.Rows, 32, workers, func(worker, lo, hi int) {
		mem := &pool[worker]
		if mem.near == nil {
			mem.near = make([]float32, sample.Rows)
		}
		for row := lo; row < hi && ctx.Err() == nil; row++ {
			cols, vals := m.rows.Row(row)
			m.similar(columns, taste.Profile{Rows: cols, Weights: vals}, mem.near)
			mem.top.Reset(place + 1)
			mem.top.PushBlock(0, mem.near)
			m.reach[row] = max(mem.top.Threshold(), 0) * (1 - rounding)
		}
	})
}

// shuffled is x with its rows that are not empty in an order that only seed
// knows.
func shuffled(x linalg.CSR, seed uint64) linalg.CSR {
	out := linalg.CSR{Cols: x.Cols, Ptr: []int64{0}, Idx: make([]int32, 0, len(x.Idx)), Val: make([]float32, 0, len(x.Val))}
	for _, row := range rand.New(rand.NewPCG(seed, 0x5eed)).Perm(x.Rows) {
		cols, vals := x.Row(row)
		if len(cols) == 0 {
			continue
		}
		out.Idx, out.Val = append(out.Idx, cols...), append(out.Val, vals...)
		out.Ptr = append(out.Ptr, int64(len(out.Idx)))
		out.Rows++
	}
	if x.Val == nil {
		out.Val = nil
	}
	return out
}

// rarity is the weight of each item as a word of histories.
func rarity(x linalg.CSR, weighting string) []float32 {
	idf := make([]float32, x.Cols)
	for i, n := range columnSums(linalg.CSR{Rows: x.Rows, Cols: x.Cols, Ptr: x.Ptr, Idx: x.Idx}) {
		switch {
		case weighting == Plain:
			idf[i] = 1
		case n > 0:
			idf[i] = float32(math.Max(math.Log(float64(x.Rows)/(1+n)), .01))
		}
	}
	return idf
}

// reweigh weighs a history in place: one definition for those that are kept
// and those that are asked for.
func (m *Users) reweigh(cols []int32, vals []float32) {
	norm := float32(0)
	if m.meta.Params.Weighting == BM25 {
		var sum float32
		for _, v := range vals {
			sum += max(v, -v)
		}
		norm = k1 * (1 - b + b*sum/float32(m.meta.Mean))
	}
	for i, v := range vals {
		if m.meta.Params.Weighting == BM25 {
			v *= (k1 + 1) / (norm + max(v, -v))
		}
		vals[i] = v * m.idf[cols[i]]
	}
}

// prepare makes what follows from the rows.
func (m *Users) prepare() {
	m.columns = m.rows.Transpose()
	m.sums, m.lengths = make([]float32, m.rows.Rows), make([]float32, m.rows.Rows)
	for row := range m.rows.Rows {
		_, vals := m.rows.Row(row)
		m.sums[row], m.lengths[row] = m.measure(vals)
	}
}

// measure is the sum and the length of a weighed history, of its difference
// from its mean over all items with Pearson.
func (m *Users) measure(vals []float32) (sum, length float32) {
	sum = linalg.Sum(vals)
	square := float64(linalg.Dot(vals, vals))
	if m.meta.Params.Similarity == Pearson {
		square -= float64(sum) * float64(sum) / float64(m.meta.Items)
	}
	return sum, float32(math.Sqrt(math.Max(square, 0)))
}

// Kind implements models.Model.
func (m *Users) Kind() string { return KindUser }

// Items implements models.Model.
func (m *Users) Items() int { return m.meta.Items }

// similar fills dst, a number for each of the first shoppers, with how similar
// they are to a weighed history; columns are those shoppers by item.
func (m *Users) similar(columns linalg.CSR, p taste.Profile, dst []float32) {
	clear(dst)
	for i, item := range p.Rows {
		w := p.Weights[i]
		users, vals := columns.Row(int(item))
		for j, u := range users {
			dst[u] += w * vals[j]
		}
	}
	sum, length := m.measure(p.Weights)
	centre := float32(0)
	if m.meta.Params.Similarity == Pearson {
		centre = sum / float32(m.meta.Items)
	}
	shrink := float32(m.meta.Params.Shrink)
	for u, dot := range dst {
		if dot != 0 {
			dst[u] = (dot - centre*m.sums[u]) / (length*m.lengths[u] + shrink + 1e-6)
		}
	}
}

// Score implements models.Scorer: an item's score is the sum, over the most
// similar shoppers, of similarity times the weight of the item in their
// history. NaN without history.
func (m *Users) Score(r *features.Request, items []features.Row, out []float32) {
	scratch := r.Workspace()
	sums, ok := scratch.Vector(m, m.meta.Items, func(dst []float32) bool { return m.vote(r, dst, scratch) })
	pick(sums, ok, items, out)
}

func (m *Users) vote(r *features.Request, dst []float32, scratch *features.Scratch) bool {
	p := m.weigher.Profile(r.History(), m.meta.Items, scratch)
	if len(p.Rows) == 0 {
		return false
	}
	m.reweigh(p.Rows, p.Weights)
	near := scratch.Floats(m.rows.Rows)
	m.similar(m.columns, p, near)
	clear(dst)
	if m.reach != nil {
		for u, v := range near {
			if v > 0 && v >= m.reach[u] {
				m.add(u, v, dst)
			}
		}
		return true
	}
	k := m.meta.Params.Neighbours
	least := float32(0)
	if k < len(near) {
		copied := scratch.Floats(len(near))
		copy(copied, near)
		leading(copied, k)
		least = copied[k-1]
	}
	for u, v := range near {
		if v > 0 && v >= least {
			m.add(u, v, dst)
		}
	}
	return true
}

// add adds a shopper's vote.
func (m *Users) add(u int, similarity float32, dst []float32) {
	cols, vals := m.rows.Row(u)
	for j, col := range cols {
		dst[col] += similarity * vals[j]
	}
}

// ScoreMany implements models.BatchScorer.
func (m *Users) ScoreMany(rs []*features.Request, items []features.Row, out []float32) {
	for i, r := range rs {
		m.Score(r, items, out[i*len(items):][:len(items)])
	}
}

// Explain implements models.Explainer: the history items that the shoppers who
// met item share most are put to the test.
func (m *Users) Explain(r *features.Request, item features.Row) (models.Evidence, bool) {
	if item < 0 || int(item) >= m.meta.Items {
		return models.Evidence{Item: features.NoRow}, false
	}
	p := m.weigher.Profile(r.History(), m.meta.Items, new(features.Scratch))
	weights := make(map[int32]float32, len(p.Rows))
	for i, row := range p.Rows {
		weights[row] = p.Weights[i]
	}
	terms := make(map[int32]float32, len(p.Rows))
	users, theirs := m.columns.Row(int(item))
	for i, u := range users {
		cols, vals := m.rows.Row(int(u))
		for j, col := range cols {
			if w := weights[col]; w > 0 {
				terms[col] += w * vals[j] * theirs[i] / (m.lengths[u] + 1e-6)
			}
		}
	}
	var list []linalg.Scored
	for _, row := range p.Rows {
		if terms[row] > 0 {
			list = append(list, linalg.Scored{Index: row, Score: terms[row]})
		}
	}
	return m.weigher.Confirm(m, r, item, ranked(list))
}

// Save implements models.Model.
func (m *Users) Save(w models.Writer) error {
	type part struct {
		name string
		t    models.Tensor
	}
	parts := []part{
		{"starts", models.TensorOf(m.rows.Ptr, len(m.rows.Ptr))},
		{"items", models.TensorOf(m.rows.Idx, len(m.rows.Idx))},
		{"weights", models.TensorOf(m.rows.Val, len(m.rows.Val))},
		{"rarity", models.TensorOf(m.idf, len(m.idf))},
	}
	if m.reach != nil {
		parts = append(parts, part{"reach", models.TensorOf(m.reach, len(m.reach))})
	}
	for _, part := range parts {
		if err := w.Tensor(part.name, part.t); err != nil {
			return err
		}
	}
	meta := m.meta
	meta.Users = m.rows.Rows
	return w.JSON("model", meta)
}

func openUser(r models.Reader) (models.Model, error) {
	m := &Users{}
	if err := r.JSON("model", &m.meta); err != nil {
		return nil, err
	}
	if err := m.meta.Params.check(); err != nil {
		return nil, err
	}
	var err error
	if m.weigher, err = taste.New(m.meta.Params.Options, nil); err != nil {
		return nil, err
	}
	starts, err := r.Tensor("starts")
	if err != nil {
		return nil, err
	}
	items, err := r.Tensor("items")
	if err != nil {
		return nil, err
	}
	weights, err := r.Tensor("weights")
	if err != nil {
		return nil, err
	}
	idf, err := r.Tensor("rarity")
	if err != nil {
		return nil, err
	}
	if m.meta.Params.Reverse {
		reach, err := r.Tensor("reach")
		if err != nil {
			return nil, err
		}
		if m.reach, err = models.View[float32](reach, m.meta.Users); err != nil {
			return nil, fmt.Errorf("reach: %w", err)
		}
	}
	m.rows = linalg.CSR{Rows: m.meta.Users, Cols: m.meta.Items}
	if m.rows.Ptr, err = models.View[int64](starts, m.meta.Users+1); err != nil {
		return nil, fmt.Errorf("starts: %w", err)
	}
	if m.rows.Idx, err = models.View[int32](items, -1); err != nil {
		return nil, fmt.Errorf("items: %w", err)
	}
	if m.rows.Val, err = models.View[float32](weights, len(m.rows.Idx)); err != nil {
		return nil, fmt.Errorf("weights: %w", err)
	}
	if m.idf, err = models.View[float32](idf, m.meta.Items); err != nil {
		return nil, fmt.Errorf("rarity: %w", err)
	}
	if err := m.rows.Validate(); err != nil {
		return nil, err
	}
	m.prepare()
	return m, nil
}
