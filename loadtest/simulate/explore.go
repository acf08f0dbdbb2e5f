// Package simulate asks the pipeline itself about a simulated shop whose truth
// is known, without a server: what exploration finds and costs, and which of
// the models fitted on the shop's own log comes nearest to the truth.
//
// It imports the simulator's world, features and models. Everything follows
// from the seed. Start reading at Explore.
package simulate

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
	"github.com/attune-rec/attune/loadtest/shopper"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/pipeline"
	"github.com/attune-rec/attune/models/pipeline/selector"
	"github.com/attune-rec/attune/models/pipeline/source"
)

// opening is when a simulated shop begins.
var opening = time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)

// ExploreOptions are a shop with new items and how they are explored.
type ExploreOptions struct {
	World    shopper.Options
	Sessions int     // answers in all
	Slots    []int   // places that explore, from 1
	Rate     float64 // share of answers that draw a new item at a place
	Bound    float64 // standard deviations until something counts as known
	Noise    float64 // standard deviation of what the ranker gets wrong, in logits
}

// Explored is what one run found and cost, beside the same shoppers without
// exploration.
type Explored struct {
	Seed     uint64  `json:"seed"`
	Planted  int     `json:"planted"`    // new items that almost everybody likes
	Found    int     `json:"found"`      // of those, known to be better than usual at the end
	Wrong    int     `json:"wrong"`      // of the other new ones, taken for better
	Looks    float64 `json:"looks"`      // that new items had
	Without  float64 `json:"without"`    // clicks an answer without exploration, by the truth
	With     float64 `json:"with"`       // and with it
	Loss     float64 `json:"loss"`       // share of the clicks given up, below 0: gained
	Deepest  float64 `json:"deepest"`    // the loss where it was largest, over the answers so far, from the first tenth on
	Half     int     `json:"half_found"` // answers until half of the planted were found; -1: never
	Explored float64 `json:"explored"`   // places that were drawn, an answer
}

// trials are looks and clicks by row.
type trials struct{ looks, clicks []float64 }

// Trial implements features.Trials.
func (t *trials) Trial(row features.Row) (looks, clicks float64) {
	return t.looks[row], t.clicks[row]
}

// oracle is a ranker and source that knows old items nearly and new ones not at
// all.
type oracle struct {
	w      *shopper.World
	scores [][]float32 // shoppers by items
	best   [][]features.Row
	who    int
}

func newOracle(w *shopper.World, noise float64) *oracle {
	o := w.Options()
	rng := rand.New(rand.NewPCG(o.Seed, 77))
	k := &oracle{w: w, scores: make([][]float32, o.Shoppers), best: make([][]features.Row, o.Shoppers)}
	for s := range k.scores {
		k.scores[s] = make([]float32, o.Items)
		var rows []features.Row
		sum, n := 0., 0.
		for i := range o.Items {
			if w.New(i) {
				continue
			}
			p := w.LikesItem(s, i, 0)
			if p <= 0 {
				k.scores[s][i] = -100 // not sold there
				continue
			}
			v := math.Log(p/(1-p)) + noise*rng.NormFloat64()
			k.scores[s][i] = float32(v)
			sum, n = sum+v, n+1
			rows = append(rows, features.Row(i))
		}
		for i := range o.Items {
			if w.New(i) {
				k.scores[s][i] = float32(sum / n) // an item like any other
			}
		}
		slices.SortFunc(rows, func(a, b features.Row) int {
			if k.scores[s][a] != k.scores[s][b] {
				return int(math.Copysign(1, float64(k.scores[s][b]-k.scores[s][a])))
			}
			return int(a - b)
		})
		k.best[s] = slices.Clone(rows[:min(len(rows), 60)])
	}
	return k
}

// Name implements pipeline.Source and pipeline.Ranker.
func (*oracle) Name() string { return "oracle" }

// Candidates implements pipeline.Source.
func (k *oracle) Candidates(_ context.Context, r *features.Request, n int, dst []pipeline.Candidate) ([]pipeline.Candidate, error) {
	for _, row := range k.best[k.who] {
		if n > 0 && r.Eligible.Has(row) {
			dst = append(dst, pipeline.Candidate{Row: row, Score: k.scores[k.who][row]})
			n--
		}
	}
	return dst, nil
}

// Rank implements pipeline.Ranker.
func (k *oracle) Rank(_ context.Context, _ *features.Request, cs []pipeline.Candidate) error {
	for i := range cs {
		cs[i].Score = k.scores[k.who][cs[i].Row]
	}
	return nil
}

// Explore sends the shoppers of one world through the shop twice, with
// exploration and without.
func Explore(ctx context.Context, o ExploreOptions) (Explored, error) {
	w, err := shopper.NewWorld(o.World)
	if err != nil {
		return Explored{}, err
	}
	if o.Sessions < 10 {
		return Explored{}, fmt.Errorf("%w: %d answers: expected at least 10", shopper.ErrOptions, o.Sessions)
	}
	items, err := shelf(w)
	if err != nil {
		return Explored{}, err
	}
	know := newOracle(w, o.Noise)
	plain, err := shopOf(know, nil)
	if err != nil {
		return Explored{}, err
	}
	exploring, err := shopOf(know, &models.ComponentSpec{
		Name: "explore", Params: map[string]any{"slots": o.Slots, "rate": o.Rate, "bound": o.Bound},
	})
	if err != nil {
		return Explored{}, err
	}
	run := &exploration{w: w, know: know, items: items, trials: &trials{looks: make([]float64, items.Len()), clicks: make([]float64, items.Len())}, random: rand.New(rand.NewPCG(w.Options().Seed, 78)), slots: o.Slots, bound: o.Bound}
	out := Explored{Seed: w.Options().Seed, Planted: w.Options().Good, Half: -1, Deepest: math.Inf(-1)}
	var with, without, chances float64
	for n := range o.Sessions {
		if err := ctx.Err(); err != nil {
			return out, err
		}
		who := run.random.IntN(w.Options().Shoppers)
		r := run.request(who, n)
		before, err := run.expected(ctx, plain, r)
		if err != nil {
			return out, err
		}
		without += before
		run.displaced()
		after, err := run.expected(ctx, exploring, r)
		if err != nil {
			return out, err
		}
		with += after
		run.click(who)
		for _, it := range run.ans.Items {
			if it.Propensity != 1 {
				chances++
			}
		}
		if n >= o.Sessions/10 {
			out.Deepest = max(out.Deepest, 1-with/without)
		}
		if n%100 == 99 && out.Half < 0 {
			if found, _ := run.found(); 2*found >= out.Planted && out.Planted > 0 {
				out.Half = n + 1
			}
		}
	}
	n := float64(o.Sessions)
	out.Found, out.Wrong = run.found()
	out.With, out.Without, out.Loss = with/n, without/n, 1-with/without
	out.Explored = chances / n
	for i := range items.Len() {
		if w.New(i) {
			out.Looks += run.trials.looks[i]
		}
	}
	return out, nil
}

// shelf is the world's items, new ones a day old.
func shelf(w *shopper.World) (*catalog.Snapshot, error) {
	o := w.Options()
	all := make([]features.Item, o.Items)
	for i := range all {
		all[i] = features.Item{ID: w.ItemID(i), Title: w.ItemID(i), Category: []string{w.Sort(i)}, Created: opening.AddDate(-1, 0, 0)}
		if w.New(i) {
			all[i].Created = opening.AddDate(0, 0, -1)
		}
		for m, market := range o.Markets {
			if w.LikesItem(m, i, 0) > 0 {
				all[i].Markets = append(all[i].Markets, market)
			}
		}
	}
	return catalog.Of(all)
}

// shopOf is a pipeline that ranks by what the oracle knows.
func shopOf(know *oracle, sel *models.ComponentSpec) (*pipeline.Pipeline, error) {
	recipe := models.Recipe{
		Surface: features.SurfaceHome, Ranker: models.RankerSpec{Ranker: "oracle"},
		Sources: []models.SourceSpec{{Name: "oracle", Source: "oracle", Limit: 60}, {Name: "new", Source: "new", Limit: 100}},
	}
	if sel != nil {
		recipe.Selectors = append(recipe.Selectors, *sel)
	}
	return pipeline.New(recipe, pipeline.Components{
		Source: func(s models.SourceSpec) (pipeline.Source, error) {
			if s.Source == "oracle" {
				return know, nil
			}
			return source.Build(s, pipeline.Env{})
		},
		Filter:   func(models.ComponentSpec) (pipeline.Filter, error) { return nil, errors.New("no filters here") },
		Ranker:   func(models.RankerSpec) (pipeline.Ranker, error) { return know, nil },
		Selector: func(s models.ComponentSpec) (pipeline.Selector, error) { return selector.Build(s, pipeline.Env{}) },
	}, pipeline.Options{})
}

// exploration is one run under way.
type exploration struct {
	w      *shopper.World
	know   *oracle
	items  *catalog.Snapshot
	trials *trials
	random *rand.Rand
	ans    pipeline.Answer
	bound  float64
	slots  []int   // that explore, from 1
	usual  float64 // of what stands there otherwise, by the truth: likes summed
	stood  float64 // and how many they are
}

func (e *exploration) request(who, n int) *features.Request {
	o := e.w.Options()
	e.know.who = who
	s := &features.Shopper{Consent: features.AllPurposes}
	s.Key[0], s.Key[1] = byte(who), byte(who>>8)
	return &features.Request{
		Query: features.Query{
			Surface: features.SurfaceHome, Market: o.Markets[e.w.Market(who)], Limit: o.Limit, Now: opening.Add(time.Duration(n) * time.Second),
		},
		Shopper: s, Item: features.NoRow, Catalog: e.items, Trials: e.trials,
	}
}

// expected is the clicks that the truth expects of an answer, which is kept.
func (e *exploration) expected(ctx context.Context, p *pipeline.Pipeline, r *features.Request) (sum float64, err error) {
	if err := p.Answer(ctx, r, &e.ans); err != nil {
		return 0, err
	}
	if len(e.ans.Degraded) > 0 {
		return 0, fmt.Errorf("answer degraded: %v", e.ans.Degraded)
	}
	for place, it := range e.ans.Items {
		sum += e.w.Examine(place) * e.w.LikesItem(e.know.who, int(it.Row), 0)
	}
	return sum, nil
}

// click lets the shopper look at the answer that is kept.
func (e *exploration) click(who int) {
	for place, it := range e.ans.Items {
		look := e.w.Examine(place)
		e.trials.looks[it.Row] += look
		if e.random.Float64() < look*e.w.LikesItem(who, int(it.Row), 0) {
			e.trials.clicks[it.Row]++
		}
	}
}

// displaced notes what would stand where the kept answer explores.
func (e *exploration) displaced() {
	for _, slot := range e.slots {
		if slot <= len(e.ans.Items) {
			e.usual += e.w.LikesItem(e.know.who, int(e.ans.Items[slot-1].Row), 0)
			e.stood++
		}
	}
}

// found counts the new items whose clicks say that they are better than what
// they displace: planted ones, and others.
func (e *exploration) found() (planted, wrong int) {
	usual := e.usual / max(1, e.stood)
	for i := range e.items.Len() {
		if !e.w.New(i) {
			continue
		}
		if low, _ := selector.Interval(e.trials.looks[i], e.trials.clicks[i], usual, e.bound); low > usual {
			if e.w.Planted(i) {
				planted++
			} else {
				wrong++
			}
		}
	}
	return planted, wrong
}
