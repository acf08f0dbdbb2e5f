package content

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/text"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
	"github.com/attune-rec/attune/models/taste"
)

// KindSmooth is the name of the neighbourhood over histories smoothed by words.
const KindSmooth = "content-knn"

// SmoothParams are those of "content-knn". Each history is smoothed: an item
// met lends Blend of its weight to the Alike items whose contents are closest,
// in proportion to their cosine. On the smoothed histories items are compared
// by walks over users, as path-knn does it:
//
//	n_i^-From · Σ_u n_u^-User · n_j^-To
//
// so behaviour reaches items that nobody has met, and few interactions say as
// much as many.
type SmoothParams struct {
	taste.Options
	Alike      int     `json:"alike"`
	Blend      float64 `json:"blend"`
	User       float64 `json:"user"`
	From       float64 `json:"from"`
	To         float64 `json:"to"`
	Neighbours int     `json:"neighbours"` // that may vote on an item
	MinDocs    int     `json:"min_docs"`   // a term must be in so many items
	MaxShare   float64 `json:"max_share"`  // and in no more than this share of them
	MaxTerms   int     `json:"max_terms"`
}

// SmoothDefaults are the parameters of "content-knn" where none are given.
func SmoothDefaults() SmoothParams {
	return SmoothParams{Alike: 100, Blend: 2, User: .5, From: .5, To: .2, Neighbours: 500, MinDocs: 2, MaxShare: .3, MaxTerms: 50_000}
}

func (p *SmoothParams) check() error {
	for _, c := range []struct {
		name             string
		value, low, high float64
	}{
		{"alike", float64(p.Alike), 1, 10_000}, {"blend", p.Blend, 0, 1e3}, {"user", p.User, -2, 4}, {"from", p.From, -2, 4}, {"to", p.To, -2, 4},
		{"neighbours", float64(p.Neighbours), 1, 100_000}, {"min_docs", float64(p.MinDocs), 1, 1e9}, {"max_share", p.MaxShare, 0, 1},
		{"max_terms", float64(p.MaxTerms), 1, 1e7},
	} {
		if err := models.CheckRange(c.name, c.value, c.low, c.high); err != nil {
			return err
		}
	}
	return nil
}

// SmoothKind is the entry of models/kind.
func SmoothKind() models.Kind {
	return models.Kind{
		Name: KindSmooth, Summary: "items by common users, histories smoothed by what items are: reaches items nobody has met",
		Defaults: SmoothDefaults(), Fit: fitSmooth, Open: openSmooth,
		Space: []models.Range{
			{Param: "alike", Values: []any{20, 50, 100}}, {Param: "blend", Low: .3, High: 4, Log: true}, {Param: "user", Low: 0, High: 1.2},
			{Param: "from", Low: 0, High: 1}, {Param: "to", Low: 0, High: .6},
		},
	}
}

// Smooth is a fitted "content-knn". It implements models.Model, Explainer and
// Neighbourhood, is immutable and safe for concurrent use.
type Smooth struct {
	params  SmoothParams
	weigher *taste.Weigher
	alike   linalg.CSR // items by items: 1 on the diagonal and Blend spread over the closest
	votes   linalg.CSR // items by items: what one speaks for the other
	back    []float32  // what holds back a common item of the history
}

var (
	_ models.Model         = (*Smooth)(nil)
	_ models.Explainer     = (*Smooth)(nil)
	_ models.Neighbourhood = (*Smooth)(nil)
)

func fitSmooth(ctx context.Context, in models.FitInput) (models.Model, error) {
	p := SmoothDefaults()
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
	if in.Train.Catalog == nil {
		return nil, fmt.Errorf("%w: %s needs the items' catalogue, which this data set does not have", models.ErrParams, KindSmooth)
	}
	workers := in.Workers
	if workers <= 0 {
		workers = linalg.Workers()
	}
	words := sparseWords(in.Train.Catalog, in.Train.NumItems(), p)
	m := &Smooth{params: p, weigher: weigher, alike: alike(words, p, workers)}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	x := weigher.Matrix(in.Train, false)
	if x.NNZ() == 0 {
		return nil, fmt.Errorf("fit %s: the data has no interaction that speaks for an item", KindSmooth)
	}
	x = product(x, m.alike, workers)
	counts := make([]float64, x.Cols)
	for u := range x.Rows {
		cols, vals := x.Row(u)
		sum := linalg.Sum(vals)
		scale := float32(math.Pow(float64(max(sum, 1e-9)), -p.User/2))
		for e, col := range cols {
			counts[col] += float64(vals[e])
			vals[e] *= scale // x is this fit's own
		}
	}
	m.back = make([]float32, x.Cols)
	forth := make([]float32, x.Cols)
	for i, n := range counts {
		if n > 0 {
			m.back[i], forth[i] = float32(math.Pow(n, -p.From)), float32(math.Pow(n, -p.To))
		}
	}
	if m.votes, err = votes(ctx, x, forth, p.Neighbours, workers); err != nil {
		return nil, err
	}
	if in.Progress != nil {
		in.Progress(models.Progress{Step: 1, Steps: 1, Stage: "neighbours", Figures: map[string]float64{"smoothed": float64(x.NNZ()), "pairs": float64(m.votes.NNZ())}})
	}
	return m, nil
}

// sparseWords is the items' TF-IDF vectors of length 1, items by terms.
func sparseWords(catalog features.Catalog, n int, p SmoothParams) linalg.CSR {
	docs := make([][]string, n)
	for row := range docs {
		if it := catalog.Item(features.Row(row)); it != nil { // #nosec G115 -- rows are int32 by contract
			docs[row] = Terms(it, nil)
		}
	}
	words := text.Fit(docs, p.MinDocs, p.MaxTerms)
	out := linalg.CSR{Rows: n, Cols: len(words.Terms()), Ptr: make([]int64, 1, n+1), Idx: []int32{}, Val: []float32{}}
	common := make([]bool, out.Cols)
	most := math.Log(float64(1+n)/(1+p.MaxShare*float64(n))) + 1 // the idf of a term in that share of items
	for id, idf := range words.IDF() {
		common[id] = float64(idf) < most
	}
	for _, doc := range docs {
		ids, values := words.Vector(doc)
		from := len(out.Val)
		for k, id := range ids {
			if !common[id] {
				out.Idx, out.Val = append(out.Idx, id), append(out.Val, values[k])
			}
		}
		linalg.Normalise(out.Val[from:])
		out.Ptr = append(out.Ptr, int64(len(out.Idx)))
	}
	return out
}

// alike is the matrix that smooths a history.
func alike(words linalg.CSR, p SmoothParams, workers int) linalg.CSR {
	byTerm := words.Transpose()
	rows := make([][]linalg.Scored, words.Rows)
	accumulators := make([]linalg.Accumulator, workers)
	linalg.ParallelN(words.Rows, 32, workers, func(worker, lo, hi int) {
		var top linalg.TopK
		for item := lo; item < hi; item++ {
			top.Reset(p.Alike)
			others, sums := byTerm.GramRow(words, item, &accumulators[worker])
			for _, other := range others {
				if int(other) != item && sums[other] > 0 {
					top.Push(other, sums[other])
				}
			}
			best := top.Sorted(nil)
			total := float32(0)
			for _, b := range best {
				total += b.Score
			}
			for i := range best {
				best[i].Score *= float32(p.Blend) / total
			}
			rows[item] = append(best, linalg.Scored{Index: int32(item), Score: 1}) // #nosec G115 -- rows are int32
		}
	})
	return gather(rows)
}

func gather(rows [][]linalg.Scored) linalg.CSR {
	m := linalg.CSR{Rows: len(rows), Cols: len(rows), Ptr: make([]int64, 1, len(rows)+1), Idx: []int32{}, Val: []float32{}}
	for _, row := range rows {
		slices.SortFunc(row, func(a, b linalg.Scored) int { return int(a.Index) - int(b.Index) })
		for _, s := range row {
			m.Idx, m.Val = append(m.Idx, s.Index), append(m.Val, s.Score)
		}
		m.Ptr = append(m.Ptr, int64(len(m.Idx)))
	}
	return m
}

// product is a·b, both sparse.
func product(a, b linalg.CSR, workers int) linalg.CSR {
	cols, vals := make([][]int32, a.Rows), make([][]float32, a.Rows)
	sums := make([][]float32, workers)
	linalg.ParallelN(a.Rows, 32, workers, func(worker, lo, hi int) {
		if sums[worker] == nil {
			sums[worker] = make([]float32, b.Cols)
		}
		sum := sums[worker]
		var touched []int32
		for row := lo; row < hi; row++ {
			touched = touched[:0]
			mids, weights := a.Row(row)
			for e, mid := range mids {
				w := float32(1)
				if weights != nil {
					w = weights[e]
				}
				to, v := b.Row(int(mid))
				for k, col := range to {
					if sum[col] == 0 {
						touched = append(touched, col)
					}
					sum[col] += w * v[k]
				}
			}
			slices.Sort(touched)
			touched = slices.Compact(touched)
			cols[row], vals[row] = slices.Clone(touched), make([]float32, len(touched))
			for k, col := range touched {
				vals[row][k], sum[col] = sum[col], 0
			}
		}
	})
	out := linalg.CSR{Rows: a.Rows, Cols: b.Cols, Ptr: make([]int64, 1, a.Rows+1), Idx: []int32{}, Val: []float32{}}
	for row := range cols {
		out.Idx, out.Val = append(out.Idx, cols[row]...), append(out.Val, vals[row]...)
		out.Ptr = append(out.Ptr, int64(len(out.Idx)))
	}
	return out
}

// votes is for each item the k others whose smoothed users say most of it, as
// a matrix from the voter to what it votes on, diagonal left out. forth holds
// back common items.
func votes(ctx context.Context, x linalg.CSR, forth []float32, k, workers int) (linalg.CSR, error) {
	t := x.Transpose()
	columns := make([][]linalg.Scored, x.Cols)
	accumulators := make([]linalg.Accumulator, workers)
	linalg.ParallelN(x.Cols, 32, workers, func(worker, lo, hi int) {
		if ctx.Err() != nil {
			return
		}
		var top linalg.TopK
		for item := lo; item < hi; item++ {
			top.Reset(k)
			others, sums := x.GramRow(t, item, &accumulators[worker])
			for _, other := range others {
				top.Push(other, sums[other]*forth[item])
			}
			columns[item] = top.Sorted(nil)
		}
	})
	if err := ctx.Err(); err != nil {
		return linalg.CSR{}, err
	}
	return gather(columns).Transpose(), nil
}
