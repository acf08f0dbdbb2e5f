package simulate

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/loadtest/shopper"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/kind"
	"github.com/attune-rec/attune/models/ltr"
)

// PositionOptions are a shop that shows lists in the order of what is popular,
// and learns a ranker from what is clicked in them.
type PositionOptions struct {
	World  shopper.Options
	Visits int // of each shopper, in the log that models are fitted on
	Lists  int // that are shown and clicked
	Shown  int // items of a list
	Look   int // candidates that a ranker has to order
}

// Positioned is what came of learning from the clicks with and without regard to
// the place at which an item stood: the clicks that the truth expects of an
// answer, over the same candidates of the same shoppers.
type Positioned struct {
	Seed    uint64  `json:"seed"`
	Lists   int     `json:"lists"`   // that were learnt from
	Shown   float64 `json:"shown"`   // clicks an answer in the order that was shown
	Without float64 `json:"without"` // by a ranker that takes every click for worth
	With    float64 `json:"with"`    // by one that knows of places
	Gain    float64 `json:"gain"`    // With less Without, paired by shopper
	Low     float64 `json:"low"`     // of the gain, 95 %
	High    float64 `json:"high"`
	// Gains are the differences by shopper, for an interval over several shops.
	Gains []float64 `json:"-"`
}

// Position fits models on the log of a simulated shop, shows lists of what they
// find in the order of popularity, learns two rankers from the clicks, and judges
// both by the truth.
func Position(ctx context.Context, o PositionOptions) (Positioned, error) {
	w, err := shopper.NewWorld(o.World)
	if err != nil {
		return Positioned{}, err
	}
	if o.Visits < 1 || o.Lists < 200 || o.Shown < 2 || o.Shown > w.Options().Limit || o.Look < o.Shown {
		return Positioned{}, fmt.Errorf("%w: expected visits, at least 200 lists of 2 items to as many as an answer has, and no fewer candidates", shopper.ErrOptions)
	}
	log := visits(w, ModelOptions{World: o.World, Visits: o.Visits})
	if log.Catalog, err = shelf(w); err != nil {
		return Positioned{}, err
	}
	p := &position{o: o, w: w, log: log, random: rand.New(rand.NewPCG(o.World.Seed, 81))} // #nosec G404 -- drawn again the same
	for _, name := range []string{"popular", "item-cf", "ials"} {
		k, err := kind.Of(name)
		if err != nil {
			return Positioned{}, err
		}
		m, err := k.Fit(ctx, models.FitInput{Train: log, Params: json.RawMessage(nil), Seed: o.World.Seed, Kinds: kind.Of})
		if err != nil {
			return Positioned{}, fmt.Errorf("fit %s: %w", name, err)
		}
		p.parts = append(p.parts, models.Part{Name: name, Model: m})
		p.params.Models = append(p.params.Models, name)
	}
	if p.inputs, err = ltr.NewInputs(p.params, p.parts); err != nil {
		return Positioned{}, err
	}
	var lists []ltr.List
	for range o.Lists {
		if l := p.show(p.random.IntN(w.Options().Shoppers)); l.Gain != nil {
			lists = append(lists, l)
		}
	}
	out := Positioned{Seed: w.Options().Seed, Lists: len(lists)}
	var rankers [2]*ltr.Model
	for i, blind := range []bool{true, false} {
		learnt, err := ltr.Learn(ctx, p.params, lists, ltr.LearnOptions{Seed: 1, Blind: blind})
		if err != nil {
			return out, err
		}
		if rankers[i], err = ltr.New(learnt.Params, p.parts); err != nil {
			return out, err
		}
	}
	for s := range w.Options().Shoppers {
		r, rows := p.candidates(s, o.Look)
		x := make([]float32, len(rows)*p.inputs.Width())
		p.inputs.Fill(r, rows, nil, x)
		without, with := p.worth(s, rows, rankers[0].ScoreInputs(x)), p.worth(s, rows, rankers[1].ScoreInputs(x))
		popular := make([]float32, len(rows))
		p.parts[0].Model.Score(r, rows, popular)
		out.Shown += p.worth(s, rows, popular)
		out.Without += without
		out.With += with
		out.Gains = append(out.Gains, with-without)
	}
	n := float64(len(out.Gains))
	out.Shown, out.Without, out.With = out.Shown/n, out.Without/n, out.With/n
	out.Gain, out.Low, out.High = Interval(out.Gains)
	return out, ctx.Err()
}

// Interval is the mean of differences and its 95 % interval.
func Interval(x []float64) (mean, low, high float64) {
	sum, square := 0., 0.
	for _, v := range x {
		sum += v
		square += v * v
	}
	n := float64(len(x))
	mean = sum / n
	half := 1.96 * math.Sqrt(max(0, square/n-mean*mean)/n)
	return mean, mean - half, mean + half
}

// position is a shop that shows lists.
type position struct {
	o      PositionOptions
	w      *shopper.World
	log    *dataset.Dataset
	random *rand.Rand
	parts  []models.Part // the first is what is popular
	params ltr.Params
	inputs *ltr.Inputs
}

// candidates is what the models find for a shopper, half by popularity and half
// by taste, of what is sold there and is new to them.
func (p *position) candidates(s, n int) (*features.Request, []features.Row) {
	opt := p.w.Options()
	h := p.log.History(s)
	had := map[features.Row]bool{}
	for _, it := range h {
		had[it.Row] = true
	}
	var all []features.Row
	for i := range features.Row(opt.Items) {
		if !had[i] && p.w.LikesItem(s, int(i), 0) > 0 {
			all = append(all, i)
		}
	}
	r := &features.Request{
		Query:   features.Query{Market: opt.Markets[p.w.Market(s)], Now: opening.AddDate(1, 0, 0), Limit: opt.Limit},
		Shopper: &features.Shopper{Recent: h, Consent: features.AllPurposes}, Item: features.NoRow, Catalog: p.log.Catalog, Scratch: new(features.Scratch),
	}
	var rows []features.Row
	for _, part := range []models.Part{p.parts[0], p.parts[2]} {
		scores := make([]float32, len(all))
		part.Model.Score(r, all, scores)
		taken := 0
		for _, at := range best(scores) {
			if taken == n/2 {
				break
			}
			if !slices.Contains(rows, all[at]) {
				rows = append(rows, all[at])
				taken++
			}
		}
	}
	return r, rows
}

// best is the order of descending scores; what cannot be scored is last.
func best(scores []float32) []int {
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	low := float32(math.Inf(-1))
	value := func(i int) float32 {
		if v := scores[i]; v == v {
			return v
		}
		return low
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(value(b), value(a)) })
	return order
}

// show shows a shopper some of the candidates, the popular ones first, and
// returns what was clicked; without gains where nothing was.
func (p *position) show(s int) ltr.List {
	r, rows := p.candidates(s, p.o.Look)
	p.random.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	rows = rows[:min(p.o.Shown, len(rows))]
	scores := make([]float32, len(rows))
	p.parts[0].Model.Score(r, rows, scores)
	l := ltr.List{X: make([]float32, len(rows)*p.inputs.Width()), Gain: make([]float32, len(rows)), Position: make([]int32, len(rows))}
	clicked := false
	for place, at := range best(scores) {
		l.Position[at] = int32(place) // #nosec G115 -- few
		if p.random.Float64() < p.w.Examine(place)*p.w.LikesItem(s, int(rows[at]), 0) {
			l.Gain[at], clicked = 1, true
		}
	}
	if !clicked {
		return ltr.List{}
	}
	p.inputs.Fill(r, rows, nil, l.X)
	return l
}

// worth is the clicks that the truth expects of an answer in the order of scores.
func (p *position) worth(s int, rows []features.Row, scores []float32) float64 {
	sum := 0.
	for place, at := range best(scores)[:min(p.w.Options().Limit, len(rows))] {
		sum += p.w.Examine(place) * p.w.LikesItem(s, int(rows[at]), 0)
	}
	return sum
}
