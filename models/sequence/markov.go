package sequence

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
	"github.com/attune-rec/attune/models/place"
	"github.com/attune-rec/attune/models/taste"
)

// KindMarkov is the name of the chain.
const KindMarkov = "markov"

// ChainParams are the parameters of "markov".
type ChainParams struct {
	Reach      int     `json:"reach"`      // events before an event that lead to it
	Fade       float64 `json:"fade"`       // factor a step further back, in counting and in scoring
	Neighbours int     `json:"neighbours"` // followers kept of each item
	Popularity float64 `json:"popularity"` // weight of the logarithm of the item's own count

	Events map[string]float64 `json:"events,omitempty"` // event weights as resolved at training
}

// Markov is the kind "markov": how often an item followed another within a few
// events, by logarithm. With the counts c fading by distance, item i's score is
// Σ over the latest events j of fade^age·log(1 + c(j→i)), and a little of the
// logarithm of i's own count. Simple, and a good partner for a network, which
// knows the exact pairs of a sparse log less well.
func Markov() models.Kind {
	return models.Kind{
		Name: KindMarkov, Summary: "what followed the latest events before, by the logarithm of counts",
		Defaults: ChainParams{Reach: 5, Fade: .6, Neighbours: 500, Popularity: .01},
		Fit:      fitMarkov, Open: openMarkov,
		Space: []models.Range{
			{Param: "reach", Low: 1, High: 10, Integer: true},
			{Param: "fade", Low: .2, High: .9},
			{Param: "popularity", Low: .001, High: .3, Log: true},
		},
	}
}

func (p *ChainParams) check() error {
	for _, c := range []struct {
		name             string
		value, low, high float64
	}{
		{"reach", float64(p.Reach), 1, 50}, {"fade", p.Fade, 0, 1},
		{"neighbours", float64(p.Neighbours), 1, 1e6}, {"popularity", p.Popularity, 0, 100},
	} {
		if err := models.CheckRange(c.name, c.value, c.low, c.high); err != nil {
			return err
		}
	}
	return nil
}

// Chain is a fitted "markov". It is immutable and safe for concurrent use.
type Chain struct {
	params ChainParams
	reader *reader
	ptr    []int64   // of each item's followers
	to     []int32   // by descending weight
	weight []float32 // log(1+count)
	own    []float32 // log(1+count) of each item
}

func fitMarkov(ctx context.Context, in models.FitInput) (models.Model, error) {
	p := Markov().Defaults.(ChainParams)
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
	m := &Chain{params: p, reader: &reader{weigher: weigher, items: in.Train.NumItems()}}
	c := newCorpus(in.Train, m.reader)
	if len(c.seqs) == 0 {
		return nil, fmt.Errorf("fit %s: no history has two events that speak for an item: nothing follows anything", KindMarkov)
	}
	m.own = make([]float32, m.reader.items)
	for i, n := range c.counts {
		m.own[i] = float32(math.Log1p(float64(n)))
	}
	if err := m.count(ctx, c); err != nil {
		return nil, err
	}
	if in.Progress != nil {
		in.Progress(models.Progress{Step: 1, Steps: 1, Stage: "pairs", Figures: map[string]float64{"pairs": float64(len(m.to))}})
	}
	return m, nil
}

// count fills the followers. Where each item occurs is sorted out first, so
// that one row of counts is enough memory.
func (m *Chain) count(ctx context.Context, c *corpus) error {
	type place struct{ seq, at int32 }
	places := make([][]place, m.reader.items)
	for s, seq := range c.seqs {
		for at, t := range seq {
			places[t.item] = append(places[t.item], place{int32(s), int32(at)})
		}
	}
	counts, met := make([]float32, m.reader.items), []int32(nil)
	m.ptr = append(m.ptr, 0)
	for item, where := range places {
		if item&1023 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		for _, p := range where {
			seq, w := c.seqs[p.seq], float32(1)
			for d := 1; d <= m.params.Reach && int(p.at)+d < len(seq); d++ {
				to := seq[int(p.at)+d].item
				if counts[to] == 0 {
					met = append(met, to)
				}
				counts[to] += w
				w *= float32(m.params.Fade)
			}
		}
		slices.SortFunc(met, func(a, b int32) int {
			return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
		})
		for i, to := range met {
			if i < m.params.Neighbours && counts[to] > 0 {
				m.to = append(m.to, to)
				m.weight = append(m.weight, float32(math.Log1p(float64(counts[to]))))
			}
			counts[to] = 0
		}
		met = met[:0]
		m.ptr = append(m.ptr, int64(len(m.to)))
	}
	return nil
}

// Kind implements models.Model.
func (m *Chain) Kind() string { return KindMarkov }

// Items implements models.Model.
func (m *Chain) Items() int { return m.reader.items }

// Score implements models.Scorer: NaN for all where there is no event to go on
// from.
func (m *Chain) Score(r *features.Request, items []features.Row, out []float32) {
	scratch := r.Workspace()
	if place.Few(len(items), m.reader.items) && scratch.Kept(m) == nil {
		m.some(r, scratch, items, out)
		return
	}
	scores, ok := scratch.Vector(m, m.reader.items, func(dst []float32) bool { return m.all(r, dst) })
	for i, row := range items {
		if !ok || row < 0 || int(row) >= m.reader.items {
			out[i] = float32(math.NaN())
			continue
		}
		out[i] = scores[row]
	}
}

// all scores every item into dst.
func (m *Chain) all(r *features.Request, dst []float32) bool {
	copy(dst, m.own)
	linalg.Scale(float32(m.params.Popularity), dst)
	return m.each(r, func(row features.Row, w float32) {
		lo, hi := m.ptr[row], m.ptr[row+1]
		weights := m.weight[lo:hi]
		for k, to := range m.to[lo:hi] {
			dst[to] += w * weights[k]
		}
	})
}

// some is Score without the scores of all other items: those of a large
// catalogue would drive everything else out of the processor's nearest memory.
func (m *Chain) some(r *features.Request, scratch *features.Scratch, items []features.Row, out []float32) {
	places := place.Of(items, scratch)
	for i, row := range items {
		if row >= 0 && int(row) < m.reader.items {
			out[i] = m.own[row] * float32(m.params.Popularity)
		}
	}
	ok := m.each(r, func(row features.Row, w float32) {
		lo, hi := m.ptr[row], m.ptr[row+1]
		weights := m.weight[lo:hi]
		for k, to := range m.to[lo:hi] {
			if at := places.Find(features.Row(to)); at >= 0 {
				out[at] += w * weights[k]
			}
		}
	})
	for i, row := range items {
		if !ok || row < 0 || int(row) >= m.reader.items {
			out[i] = float32(math.NaN())
		} else if at := places.Find(row); at != i { // asked for twice
			out[i] = out[at]
		}
	}
}

// each passes the latest items to follow, newest first, each with what its
// followers weigh; false when there are none.
func (m *Chain) each(r *features.Request, f func(row features.Row, w float32)) bool {
	history := r.History()
	w, left := float32(1), m.params.Reach
	before := features.NoRow
	for i := len(history) - 1; i >= 0 && left > 0; i-- {
		it := &history[i]
		if !m.reader.follows(it, before) {
			continue
		}
		before = it.Row
		f(before, w)
		w *= float32(m.params.Fade)
		left--
	}
	return left < m.params.Reach
}

// Explain implements models.Explainer: the latest events that the item followed
// most, put to the test.
func (m *Chain) Explain(r *features.Request, item features.Row) (models.Evidence, bool) {
	history := r.History()
	if item < 0 || int(item) >= m.reader.items || len(history) == 0 {
		return models.Evidence{Item: features.NoRow}, false
	}
	leads := func(row features.Row) float32 {
		lo, hi := m.ptr[row], m.ptr[row+1]
		if at := slices.Index(m.to[lo:hi], int32(item)); at >= 0 {
			return m.weight[int(lo)+at]
		}
		return 0
	}
	var candidates []features.Row
	for i := len(history) - 1; i >= 0 && len(candidates) < m.params.Reach; i-- {
		if it := &history[i]; m.reader.follows(it, features.NoRow) && !slices.Contains(candidates, it.Row) {
			candidates = append(candidates, it.Row)
		}
	}
	slices.SortStableFunc(candidates, func(a, b features.Row) int { return cmp.Compare(leads(b), leads(a)) })
	return m.reader.weigher.Confirm(m, r, item, candidates)
}

// Neighbours implements models.Neighbourhood: what follows item most.
func (m *Chain) Neighbours(item features.Row, k int, allow *features.Bitmap, dst []models.Neighbour) []models.Neighbour {
	if item < 0 || int(item) >= m.reader.items {
		return dst
	}
	lo, hi := m.ptr[item], m.ptr[item+1]
	for i := lo; i < hi && k > 0; i++ {
		if row := features.Row(m.to[i]); row != item && (allow == nil || allow.Has(row)) {
			dst = append(dst, models.Neighbour{Row: row, Score: m.weight[i]})
			k--
		}
	}
	return dst
}

// chainHeader is what a release keeps beside the tensors.
type chainHeader struct {
	Params ChainParams `json:"params"`
	Items  int         `json:"items"`
}

// Save implements models.Model.
func (m *Chain) Save(w models.Writer) error {
	if err := w.Tensor("from", models.TensorOf(m.ptr, len(m.ptr))); err != nil {
		return err
	}
	if err := w.Tensor("to", models.TensorOf(m.to, len(m.to))); err != nil {
		return err
	}
	if err := w.Tensor("weight", models.TensorOf(m.weight, len(m.weight))); err != nil {
		return err
	}
	if err := w.Tensor("own", models.TensorOf(m.own, len(m.own))); err != nil {
		return err
	}
	return w.JSON("model", chainHeader{m.params, m.reader.items})
}

func openMarkov(r models.Reader) (models.Model, error) {
	var h chainHeader
	if err := r.JSON("model", &h); err != nil {
		return nil, err
	}
	if err := h.Params.check(); err != nil {
		return nil, err
	}
	weigher, err := taste.New(taste.Options{Events: h.Params.Events}, nil)
	if err != nil {
		return nil, err
	}
	m := &Chain{params: h.Params, reader: &reader{weigher: weigher, items: h.Items}}
	if m.ptr, err = tensor[int64](r, "from", h.Items+1); err != nil {
		return nil, err
	}
	if m.to, err = tensor[int32](r, "to", -1); err != nil {
		return nil, err
	}
	if m.weight, err = tensor[float32](r, "weight", len(m.to)); err != nil {
		return nil, err
	}
	if m.own, err = tensor[float32](r, "own", h.Items); err != nil {
		return nil, err
	}
	for i, p := range m.ptr {
		if p < 0 || p > int64(len(m.to)) || i > 0 && p < m.ptr[i-1] {
			return nil, fmt.Errorf("tensor \"from\": element %d is %d: expected to ascend to %d", i, p, len(m.to))
		}
	}
	for i, to := range m.to {
		if to < 0 || int(to) >= h.Items {
			return nil, fmt.Errorf("tensor \"to\": element %d is %d: expected below %d", i, to, h.Items)
		}
	}
	return m, nil
}

func tensor[T models.Element](r models.Reader, name string, shape ...int) ([]T, error) {
	t, err := r.Tensor(name)
	if err != nil {
		return nil, err
	}
	v, err := models.View[T](t, shape...)
	if err != nil {
		return nil, fmt.Errorf("tensor %q: %w", name, err)
	}
	return v, nil
}
