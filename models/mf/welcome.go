package mf

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
)

var _ models.ProfileEmbedder = (*ALS)(nil)

// welcome leads from the market of a shopper without history to a vector: ridge
// regression of shoppers' vectors on their markets, which for one market each
// is the market's mean drawn towards that of all.
type welcome struct {
	markets []string // ascending
	vectors linalg.Matrix
}

const (
	// crowd is the shoppers a market needs for a vector of its own, so that a
	// release tells nothing of one of them.
	crowd = 20
	// least is how many shoppers must be held out for the map to be judged.
	least = 50
)

// shrinkages are the strengths of the ridge that are tried, in shoppers.
var shrinkages = []float64{1, 10, 100, 1000}

// newWelcome fits the map and chooses its ridge on a seeded tenth of the
// shoppers, whom it does not see: by NDCG@20 of what their market's vector
// ranks first. Nil unless that beats the mean of all shoppers by more than two
// standard errors.
func newWelcome(d *dataset.Dataset, users, items linalg.Matrix, seed uint64) *welcome {
	if d.Market == nil {
		return nil
	}
	fit, held := holdOut(users, seed, 0x3e1c, func(u int) bool { return d.LastMarket(u) != "" })
	if len(held) < least {
		return nil
	}
	mean, markets := means(d, users, fit)
	base := greet(d, items, held, d.LastMarket, func(int) []float32 { return mean })
	ridge, _ := bestRidge(base, func(ridge float64) ([]float64, error) {
		w := shrink(mean, markets, ridge)
		return greet(d, items, held, d.LastMarket, func(u int) []float32 {
			if vec, ok := w.of(d.LastMarket(u)); ok {
				return vec
			}
			return mean
		}), nil
	})
	if ridge == 0 {
		return nil
	}
	mean, markets = means(d, users, append(fit, held...))
	if w := shrink(mean, markets, ridge); len(w.markets) > 0 {
		return w
	}
	return nil
}

// holdOut parts the known shoppers that have a vector: a seeded tenth is held.
func holdOut(users linalg.Matrix, seed, stream uint64, known func(u int) bool) (fit, held []int) {
	rng := rand.New(rand.NewPCG(seed, stream))
	for u := range users.Rows {
		switch {
		case !known(u) || linalg.Dot(users.Row(u), users.Row(u)) == 0:
		case rng.Float64() < .1:
			held = append(held, u)
		default:
			fit = append(fit, u)
		}
	}
	return fit, held
}

// bestRidge is the ridge whose values are farthest above base; 0 unless they are
// by more than two standard errors.
func bestRidge(base []float64, values func(ridge float64) ([]float64, error)) (float64, error) {
	best, ridge := 0., 0.
	for _, r := range shrinkages {
		v, err := values(r)
		if err != nil {
			return 0, err
		}
		if gain, deviation := ahead(v, base); gain > 2*deviation && gain > best {
			best, ridge = gain, r
		}
	}
	return ridge, nil
}

// group is the shoppers of one market.
type group struct {
	sum   []float32
	count int
}

func means(d *dataset.Dataset, users linalg.Matrix, of []int) ([]float32, map[string]*group) {
	mean, markets := make([]float32, users.Cols), map[string]*group{}
	for _, u := range of {
		g := markets[d.LastMarket(u)]
		if g == nil {
			g = &group{sum: make([]float32, users.Cols)}
			markets[d.LastMarket(u)] = g
		}
		linalg.Axpy(1, users.Row(u), g.sum)
		linalg.Axpy(1, users.Row(u), mean)
		g.count++
	}
	linalg.Scale(1/float32(max(len(of), 1)), mean)
	return mean, markets
}

func shrink(mean []float32, markets map[string]*group, ridge float64) *welcome {
	w := &welcome{}
	for name, g := range markets {
		if g.count >= crowd {
			w.markets = append(w.markets, name)
		}
	}
	slices.Sort(w.markets)
	w.vectors = linalg.NewMatrix(len(w.markets), len(mean))
	for i, name := range w.markets {
		g := markets[name]
		linalg.Axpy(1/float32(float64(g.count)+ridge), g.sum, w.vectors.Row(i))
		linalg.Axpy(float32(ridge/(float64(g.count)+ridge)), mean, w.vectors.Row(i))
	}
	return w
}

func (w *welcome) of(market string) ([]float32, bool) {
	at, ok := slices.BinarySearch(w.markets, market)
	if !ok {
		return nil, false
	}
	return w.vectors.Row(at), true
}

// greet is the NDCG@20 for each of the held shoppers of what their vec, the
// same for all of one kind, ranks first.
func greet[K comparable](d *dataset.Dataset, items linalg.Matrix, held []int, kind func(u int) K, vec func(u int) []float32) []float64 {
	const cut = 20
	scores, lists := make([]float32, items.Rows), map[K][]linalg.Scored{}
	var top linalg.TopK
	values := make([]float64, len(held))
	for i, u := range held {
		of := kind(u)
		list, ok := lists[of]
		if !ok {
			linalg.DotRows(vec(u), items.Data, scores)
			top.Reset(cut)
			top.PushBlock(0, scores)
			list = top.Sorted(nil)
			lists[of] = list
		}
		values[i] = gain(list, d.History(u), cut)
	}
	return values
}

// ahead is the mean of values less base, and its standard error.
func ahead(values, base []float64) (mean, deviation float64) {
	n := float64(len(values))
	for i, v := range values {
		mean += (v - base[i]) / n
	}
	for i, v := range values {
		off := v - base[i] - mean
		deviation += off * off / n
	}
	return mean, math.Sqrt(deviation / n)
}

// EmbedProfile implements models.ProfileEmbedder: the vector of the market of
// the request, where shoppers of one market are alike enough, and what its
// language, channel and device add to it, where they do.
func (m *ALS) EmbedProfile(r *features.Request, dst []float32) bool {
	if m.manners != nil && m.manners.embed(m.welcome, r.Market, dataset.MannerOf(r.Locale, r.Channel, r.Device), dst) {
		return true
	}
	if m.welcome == nil {
		return false
	}
	vec, ok := m.welcome.of(r.Market)
	copy(dst, vec)
	return ok
}

func openWelcome(r models.Reader, markets []string, dim int) (*welcome, error) {
	t, err := r.Tensor("markets")
	if err != nil {
		return nil, err
	}
	vectors, err := models.View[float32](t, len(markets), dim)
	if err != nil {
		return nil, fmt.Errorf("tensor %q: %w", "markets", err)
	}
	if !slices.IsSorted(markets) {
		return nil, fmt.Errorf("markets are %v: expected ascending names", markets)
	}
	return &welcome{markets: markets, vectors: linalg.MatrixOf(len(markets), dim, vectors)}, nil
}
