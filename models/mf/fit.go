package mf

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime/debug"

	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/factor"
	"github.com/attune-rec/attune/models/linalg"
	"github.com/attune-rec/attune/models/taste"
)

// KindIALS is the name of implicit alternating least squares.
const KindIALS = "ials"

// IALS is the kind "ials": weighted least squares over all pairs, seen or not
// (Hu, Koren, Volinsky 2008, "Collaborative Filtering for Implicit Feedback
// Datasets"), with the regularisation by frequency of Rendle, Krichene, Zhang,
// Koren 2022, "Revisiting the Performance of iALS on Item Recommendation
// Benchmarks". The model is the same for any number of workers.
func IALS() models.Kind {
	return models.Kind{
		Name:     KindIALS,
		Summary:  "implicit alternating least squares: vectors of items, shoppers folded in",
		Defaults: Defaults(),
		Fit:      fitIALS,
		Open:     openIALS,
		Space: []models.Range{
			{Param: "factors", Values: []any{64, 128, 192, 256, 512}},
			{Param: "unobserved", Low: .005, High: .5, Log: true},
			{Param: "regularisation", Low: .001, High: .03, Log: true},
			{Param: "epochs", Low: 3, High: 16, Integer: true}, {Param: "content", Values: []any{ContentMap, ContentFuse}},
		},
	}
}

func fitIALS(ctx context.Context, in models.FitInput) (models.Model, error) {
	p := Defaults()
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
	f, err := newFitter(in, p, weigher)
	if err != nil {
		return nil, err
	}
	if err := f.read(ctx); err != nil {
		return nil, err
	}
	return f.run(ctx)
}

// fitter is the state of one training.
type fitter struct {
	in      models.FitInput
	params  Params
	weigher *taste.Weigher
	workers int
	scale   float32 // on every weight, so that their mean is 1
	lambda  float64 // λ scaled for the exponent
	users   side
	items   side
	words   words
}

func newFitter(in models.FitInput, p Params, weigher *taste.Weigher) (*fitter, error) {
	seen := weigher.Matrix(in.Train, true)
	if seen.NNZ() == 0 {
		return nil, fmt.Errorf("fit %s: the data has no interaction that speaks for or against an item", KindIALS)
	}
	p.resolve(seen.Rows, seen.Cols, seen.NNZ())
	f := &fitter{in: in, params: p, weigher: weigher, workers: in.Workers, scale: 1}
	if f.workers <= 0 {
		f.workers = linalg.Workers()
	}
	if seen.Val != nil {
		var sum float64
		for _, v := range seen.Val {
			sum += math.Abs(float64(v))
		}
		f.scale = float32(float64(len(seen.Val)) / sum)
		linalg.Scale(f.scale, seen.Val)
	}
	f.forget()
	f.users, f.items = newSide(seen, p.Factors), newSide(seen.Transpose(), p.Factors)
	f.regularise()
	f.start()
	return f, nil
}

// many is so many interactions that their memory is worth collecting at once.
const many = 1 << 20

// forget lets go of the interactions, which take more memory than all the rest,
// unless validation or a map for new shoppers needs them. They are freed when the
// caller holds them no longer either, and before there are vectors, so that the
// peak of memory is the larger of the two and not their sum.
func (f *fitter) forget() {
	d := f.in.Train
	if f.in.Validate != nil || d.Market != nil || d.Manners != nil {
		return
	}
	f.in.Train = &dataset.Dataset{Users: d.Users, Items: d.Items, Catalog: d.Catalog}
	if len(d.Log) >= many {
		debug.FreeOSMemory()
	}
}

// regularise sets each row's λ·(n + a0·N)^ν; n is the sum of the magnitudes of
// its weights.
func (f *fitter) regularise() {
	plain, powered := 0., 0.
	for _, s := range []*side{&f.users, &f.items} {
		for row := range s.seen.Rows {
			n := frequency(s.seen, row) + f.params.Unobserved*float64(s.seen.Cols)
			plain += n
			powered += math.Pow(n, f.params.Exponent)
		}
	}
	f.lambda = f.params.Regularisation * plain / powered
	for _, s := range []*side{&f.users, &f.items} {
		for row := range s.seen.Rows {
			s.reg[row] = regularisation(f.lambda, frequency(s.seen, row), f.params.Unobserved*float64(s.seen.Cols), f.params.Exponent)
		}
	}
}

func frequency(m linalg.CSR, row int) float64 {
	cols, vals := m.Row(row)
	if vals == nil {
		return float64(len(cols))
	}
	return magnitude(vals)
}

func magnitude(weights []float32) float64 {
	var n float64
	for _, w := range weights {
		n += math.Abs(float64(w))
	}
	return n
}

func regularisation(lambda, seen, unseen, exponent float64) float32 {
	return float32(lambda * math.Pow(seen+unseen, exponent))
}

// start draws the first vectors, or takes those of the model to start from.
func (f *fitter) start() {
	rng := rand.New(rand.NewPCG(f.in.Seed, 0x1a15))
	deviation := f.params.Spread / math.Sqrt(float64(f.params.Factors))
	for _, s := range []*side{&f.items, &f.users} {
		for i := range s.vectors.Data {
			s.vectors.Data[i] = float32(rng.NormFloat64() * deviation)
		}
	}
	if warm, ok := f.in.Warm.(*ALS); ok && warm.table.Dim == f.params.Factors {
		for row := range f.items.vectors.Rows {
			was := row
			if f.in.Was != nil {
				was = int(f.in.Was[row])
			}
			if was >= 0 && was < warm.table.Items {
				copy(f.items.vectors.Row(row), warm.table.Data[was*warm.table.Dim:][:warm.table.Dim])
			}
		}
	}
}

func (f *fitter) run(ctx context.Context) (models.Model, error) {
	p := f.params
	steps := 0
	if p.Solver == SolverCG {
		steps = p.Steps
	}
	weight := float32(p.Unobserved)
	best := stopper{patience: p.Patience}
	for epoch := 1; epoch <= p.Epochs; epoch++ {
		items, err := newSystem(f.items.vectors, weight, f.workers, f.users.vectors)
		if err == nil {
			_, err = f.users.solve(ctx, items, steps, f.workers)
		}
		if err != nil {
			return nil, fmt.Errorf("fit %s: epoch %d, users: %w", KindIALS, epoch, err)
		}
		users, err := newSystem(f.users.vectors, weight, f.workers, f.items.vectors)
		value := 0.
		if err == nil && p.Content == ContentFuse && epoch > 1 {
			err = f.draw()
		}
		if err == nil {
			value, err = f.items.solve(ctx, users, steps, f.workers)
		}
		if err != nil {
			return nil, fmt.Errorf("fit %s: epoch %d, items: %w", KindIALS, epoch, err)
		}
		figures := map[string]float64{"objective": (value + f.users.penalty()) / float64(f.users.seen.NNZ())}
		done := epoch == p.Epochs
		var m *ALS
		if f.in.Validate != nil && p.Patience > 0 {
			if m, err = f.model(f.items.vectors.Clone(), f.users.vectors.Clone()); err != nil {
				return nil, err
			}
			figures["ndcg@20"] = ndcg(m, f.in.Train, f.in.Validate, f.workers)
			done = best.offer(m, figures["ndcg@20"]) || done
		}
		if f.in.Progress != nil {
			f.in.Progress(models.Progress{Step: epoch, Steps: p.Epochs, Stage: "iteration", Figures: figures})
		}
		if done {
			break
		}
	}
	if best.model != nil {
		return best.model, nil
	}
	return f.model(f.items.vectors, f.users.vectors)
}

// model is a model of the vectors, which it takes over and turns.
func (f *fitter) model(items, users linalg.Matrix) (*ALS, error) {
	weight := float32(f.params.Unobserved)
	y, err := newSystem(items, weight, f.workers, users)
	if err != nil {
		return nil, err
	}
	// After the system is made: what the map says of items that nobody met is no
	// evidence against them.
	leads, err := f.lead(items, users)
	if err != nil {
		return nil, err
	}
	userGram := linalg.NewMatrix(f.params.Factors, f.params.Factors)
	linalg.SyrkParallel(weight, users, 0, userGram, f.workers)
	userGram.MirrorUpper()
	m := &ALS{
		mark: new(byte),
		meta: meta{
			Params: f.params, Scale: f.scale, Lambda: f.lambda, Items: items.Rows, Users: users.Rows, Map: leads != nil,
		},
		weigher: f.weigher, y: y, userGram: userGram, content: leads,
		table:   factor.Table{Items: items.Rows, Dim: f.params.Factors, Data: items.Data},
		welcome: newWelcome(f.in.Train, users, items, f.in.Seed),
	}
	if m.welcome != nil {
		m.Markets = m.welcome.markets
	}
	if m.manners, err = newManners(f.in.Train, m.welcome, users, items, f.in.Seed); err != nil {
		return nil, err
	}
	if m.manners != nil {
		m.Manners = m.manners.names
	}
	return m, nil
}
