package hybrid

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
)

// ErrNothingToLearn is returned when no user shows which weights are good.
var ErrNothingToLearn = errors.New("nothing to learn weights from")

// LearnOptions bound the learning of weights. The zero value takes the
// defaults.
type LearnOptions struct {
	Users   int // cases at most, a seeded sample; 0: 4000
	Pool    int // candidates of each part for a case; 0: 100
	K       int // the length of the answer that is judged; 0: 20
	Seed    uint64
	Workers int
	// Prior is what the weights are expected to be, up to a common factor; they
	// are drawn towards it. nil: nothing is expected.
	Prior map[string]float64
	// Learner is Listwise or Linear; "": Listwise. Linear takes no prior.
	Learner string
}

func (o LearnOptions) filled() LearnOptions {
	if o.Users == 0 {
		o.Users = 4000
	}
	if o.Pool == 0 {
		o.Pool = 100
	}
	if o.K == 0 {
		o.K = 20
	}
	if o.Workers <= 0 {
		o.Workers = linalg.Workers()
	}
	return o
}

// Learnt is what Learn found.
type Learnt struct {
	Weights map[string]float64 // a part that does not help weighs 0
	Cases   int
	NDCG    float64            // at K, of the candidates, with these weights
	Alone   map[string]float64 // the same of each part by itself
	Formula string             // of the linear learner
	Why     string             // of few cases: why weights as plain as these
}

// Learn finds the weights of parts that were trained on history, so that what
// truth holds comes first: a listwise softmax over each user's best candidates
// (ListNet's top-one loss; Cao et al. 2007), which is convex, then a search for
// NDCG itself: along each weight on scant data or where nothing is expected, else
// along that of popularity only. Of few cases of scant data, popularity alone or
// the best part alone are taken unless others gain by what is learnt. history and truth share users and items.
// Parts are standardised by all their scores.
func Learn(ctx context.Context, parts []models.Part, history, truth *dataset.Dataset, o LearnOptions) (*Learnt, error) {
	return learnFolds(ctx, []fold{{parts, history, truth}}, o)
}

// learnFolds is Learn on the cases of several folds together, whose parts have
// the same names.
func learnFolds(ctx context.Context, folds []fold, o LearnOptions) (*Learnt, error) {
	o = o.filled()
	m, lists, cases, err := listsOf(ctx, folds, o, false)
	if err == nil && len(lists) == 0 {
		// A shop whose shoppers come back for what they know.
		m, lists, cases, err = listsOf(ctx, folds, o, true)
	}
	if err != nil {
		return nil, err
	}
	if len(lists) == 0 {
		return nil, fmt.Errorf("%w: no user has a history and something in the validation part", ErrNothingToLearn)
	}
	var prior []float64
	for _, part := range m.parts {
		if o.Prior != nil {
			prior = append(prior, o.Prior[part.Name])
		}
	}
	var w []float64
	formula, why := "", ""
	if o.Learner == Linear {
		names := make([]string, len(m.parts))
		for i, part := range m.parts {
			names[i] = part.Name
		}
		if w, formula, err = linearWeights(lists, names); err != nil {
			return nil, err
		}
	} else {
		popular := slices.IndexFunc(m.parts, func(part models.Part) bool { return part.Name == prefix+cold })
		search := func(lists []list) []float64 {
			return searchWeights(lists, softmaxWeights(lists, len(m.parts), towards(lists, prior)), o.K)
		}
		switch {
		case prior == nil:
			w = search(lists)
		case len(folds[0].history.Log) <= scant:
			w, why = sober(lists, len(m.parts), popular, o.K, search)
		default:
			p := towards(lists, prior)
			p.ridge *= firm
			w = raise(lists, softmaxWeights(lists, len(m.parts), p), popular, o.K)
		}
	}
	reach := float64(len(lists)) / float64(cases)
	out := &Learnt{Weights: map[string]float64{}, Alone: map[string]float64{}, Cases: cases, NDCG: ndcg(lists, w, o.K) * reach, Formula: formula, Why: why}
	for i, part := range m.parts {
		out.Weights[part.Name] = w[i]
		alone := make([]float64, len(w))
		alone[i] = 1
		out.Alone[part.Name] = ndcg(lists, alone, o.K) * reach
	}
	return out, nil
}

// listsOf gathers the lists of all folds; the model is that of the first one's
// parts.
func listsOf(ctx context.Context, folds []fold, o LearnOptions, known bool) (first *Model, lists []list, cases int, err error) {
	for _, f := range folds {
		rows := make([]features.Row, f.history.NumItems())
		for i := range rows {
			rows[i] = features.Row(i) // #nosec G115 -- rows are int32 by contract
		}
		m, err := build(f.parts, nil, rows, len(rows))
		if err != nil {
			return nil, nil, 0, err
		}
		own, n, err := m.lists(ctx, f.history, f.truth, o, known)
		if err != nil {
			return nil, nil, 0, err
		}
		if first == nil {
			first = m
		}
		lists, cases = append(lists, own...), cases+n
	}
	return first, lists, cases, nil
}

// list is one user's candidates.
type list struct {
	user  int
	x     []float32 // candidates x parts: standardised scores, 0 where a part cannot say
	good  []bool
	ideal float64
}

// lists gathers the candidates of a sample of users: of those for whom a part
// has something to be found among its best, out of so many cases.
func (m *Model) lists(ctx context.Context, history, truth *dataset.Dataset, o LearnOptions, known bool) (kept []list, cases int, err error) {
	var users []int
	for u := range history.Users {
		if len(history.History(u)) > 0 && len(truth.History(u)) > 0 {
			users = append(users, u)
		}
	}
	random := rand.New(rand.NewPCG(o.Seed, 0x1ea))
	random.Shuffle(len(users), func(i, j int) { users[i], users[j] = users[j], users[i] })
	users = users[:min(len(users), o.Users)]
	out := make([]list, len(users))
	batch := max(1, min(32, 4<<20/max(m.items, 1)))
	linalg.ParallelN(len(users), batch, o.Workers, func(_, lo, hi int) {
		if ctx.Err() == nil {
			m.gather(history, truth, users[lo:hi], o, known, out[lo:hi])
		}
	})
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	kept = out[:0]
	for _, l := range out {
		if l.ideal > 0 {
			cases++
		}
		if slices.Contains(l.good, true) {
			kept = append(kept, l)
		}
	}
	return kept, cases, nil
}

// gather fills out with the candidates of users; known items are among them
// only with known. What is to be found is a candidate only where a part has it
// among its best: the others are out of reach for any weights, and beside
// nothing but the best of all other items they would speak against every part.
func (m *Model) gather(history, truth *dataset.Dataset, users []int, o LearnOptions, known bool, out []list) {
	n, p := m.items, len(m.parts)
	rs := make([]*features.Request, len(users))
	for i, u := range users {
		rs[i] = request(history, truth, u)
	}
	scores := make([][]float32, p)
	moments := make([]float32, 2)
	for k, part := range m.parts {
		scores[k] = make([]float32, len(users)*n)
		many(part.Model, rs, m.anchors, scores[k])
		for i := range users {
			s := scores[k][i*n : (i+1)*n]
			ok := standard(s, moments)
			for j := range s {
				if ok {
					s[j] = (s[j] - moments[0]) / moments[1]
				} else {
					s[j] = float32(math.NaN())
				}
			}
		}
	}
	var top linalg.TopK
	var best []linalg.Scored
	for i, u := range users {
		seen := features.NewBitmap(n)
		if !known {
			for _, it := range history.History(u) {
				seen.Set(it.Row)
			}
		}
		good, pool := features.NewBitmap(n), features.NewBitmap(n)
		for _, it := range truth.History(u) {
			if !seen.Has(it.Row) {
				good.Set(it.Row)
			}
		}
		if good.Count() == 0 {
			continue
		}
		for k := range m.parts {
			s := scores[k][i*n : (i+1)*n]
			top.Reset(o.Pool)
			for row, v := range s {
				if !seen.Has(features.Row(row)) { // #nosec G115 -- rows are int32 by contract
					top.Push(int32(row), v) // #nosec G115
				}
			}
			best = top.Sorted(best[:0])
			for _, b := range best {
				pool.Set(features.Row(b.Index))
			}
		}
		l := &out[i]
		l.user = u
		pool.Each(func(row features.Row) bool {
			for k := range m.parts {
				v := scores[k][i*n+int(row)]
				if v != v {
					v = 0
				}
				l.x = append(l.x, v)
			}
			l.good = append(l.good, good.Has(row))
			return true
		})
		for rank := range min(good.Count(), o.K) {
			l.ideal += 1 / math.Log2(float64(rank)+2)
		}
	}
}

// request is what the user would have asked just before the truth happened.
func request(history, truth *dataset.Dataset, u int) *features.Request {
	return &features.Request{
		Query: features.Query{
			Shop: features.DefaultShop, Surface: features.SurfaceHome, Market: history.LastMarket(u), Now: startOf(truth, u), Limit: 10,
		},
		Shopper: &features.Shopper{Recent: newest(history.History(u)), Consent: features.AllPurposes},
		Item:    features.NoRow, Catalog: history.Catalog, Scratch: new(features.Scratch),
	}
}
