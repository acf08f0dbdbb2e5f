package simulate

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/loadtest/shopper"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/kind"
)

// ModelOptions are a shop with a log, and the models that are to learn from it.
type ModelOptions struct {
	World  shopper.Options
	Visits int      // of each shopper, in the log
	Lists  float64  // share of visits to a list of what is popular, the same for all and clicked by position; the others find something themselves
	Kinds  []string // of models, by their names in models/kind
}

// Judged is how near a model fitted on the shop's log comes to the truth: the
// clicks that the truth expects of its answers.
type Judged struct {
	Seed   uint64  `json:"seed"`
	Model  string  `json:"model"`
	Clicks float64 `json:"clicks"`        // expected, an answer
	Low    float64 `json:"low"`           // 95 % over shoppers
	High   float64 `json:"high"`          //
	Best   float64 `json:"best"`          // of the best answer there is
	Share  float64 `json:"share_of_best"` // Clicks over Best
}

// chance is the answer that is drawn, which every model has to beat.
const chance = "(chance)"

// Models fits models on the log of a simulated shop and judges their answers
// by the truth, which no log holds; first of all an answer that is drawn.
func Models(ctx context.Context, o ModelOptions) ([]Judged, error) {
	w, err := shopper.NewWorld(o.World)
	if err != nil {
		return nil, err
	}
	if o.Visits < 1 || !(o.Lists >= 0 && o.Lists <= 1) || len(o.Kinds) == 0 {
		return nil, fmt.Errorf("%w: expected visits, a share of lists from 0 to 1 and models", shopper.ErrOptions)
	}
	log := visits(w, o)
	if log.Catalog, err = shelf(w); err != nil {
		return nil, err
	}
	j := &judge{w: w, log: log, random: rand.New(rand.NewPCG(o.World.Seed, 80))}
	out := []Judged{j.of(chance, func(_ *features.Request, _ []features.Row, scores []float32) {
		for i := range scores {
			scores[i] = j.random.Float32()
		}
	})}
	for _, name := range o.Kinds {
		if err := ctx.Err(); err != nil {
			return out, err
		}
		k, err := kind.Of(name)
		if err != nil {
			return out, err
		}
		m, err := k.Fit(ctx, models.FitInput{Train: log, Params: json.RawMessage(nil), Seed: o.World.Seed, Kinds: kind.Of})
		if err != nil {
			return out, fmt.Errorf("fit %s: %w", name, err)
		}
		out = append(out, j.of(name, m.Score))
	}
	return out, nil
}

// visits is what the shoppers did: they come upon lists of what was clicked
// most so far, or look at a handful of items and take to the one they like
// best.
func visits(w *shopper.World, o ModelOptions) *dataset.Dataset {
	opt := w.Options()
	rng := rand.New(rand.NewPCG(opt.Seed, 79))
	var b dataset.Builder
	for i := range opt.Items {
		b.Item(w.ItemID(i))
	}
	for s := range opt.Shoppers {
		b.User(fmt.Sprint(s))
	}
	clicks := make([]int, opt.Items)
	popular := make([]int, opt.Items)
	for i := range popular {
		popular[i] = i
	}
	did := func(s, i, n int, kind features.EventType) {
		b.Add(fmt.Sprint(s), w.ItemID(i), opt.Markets[w.Market(s)], features.Interaction{
			Type: kind, Quantity: 1, TimeMS: opening.Add(time.Duration(n) * time.Minute).UnixMilli(),
		})
		clicks[i]++
	}
	for n := range o.Visits * opt.Shoppers {
		s := rng.IntN(opt.Shoppers)
		if n%opt.Shoppers == 0 {
			slices.SortStableFunc(popular, func(a, c int) int { return clicks[c] - clicks[a] })
		}
		if rng.Float64() < o.Lists {
			for place, i := range popular[:opt.Limit] {
				if rng.Float64() < w.Examine(place)*w.LikesItem(s, i, 0) {
					did(s, i, n, features.Click)
				}
			}
			continue
		}
		at := rng.IntN(opt.Items)
		for range 8 {
			if i := rng.IntN(opt.Items); w.LikesItem(s, i, 0) > w.LikesItem(s, at, 0) {
				at = i
			}
		}
		if rng.Float64() < w.LikesItem(s, at, 0) {
			did(s, at, n, []features.EventType{features.View, features.CartAdd, features.Purchase}[rng.IntN(3)])
		}
	}
	return b.Build()
}

// judge asks for the answer to every shopper with a history.
type judge struct {
	w      *shopper.World
	log    *dataset.Dataset
	random *rand.Rand
}

func (j *judge) of(name string, score func(r *features.Request, items []features.Row, out []float32)) Judged {
	opt := j.w.Options()
	rows, scores := make([]features.Row, 0, opt.Items), make([]float32, opt.Items)
	out := Judged{Seed: opt.Seed, Model: name}
	var n, sum, square float64
	for s := range opt.Shoppers {
		h := j.log.History(s)
		if len(h) == 0 {
			continue
		}
		had := map[string]bool{}
		for _, it := range h {
			had[j.log.Items[it.Row]] = true
		}
		rows = rows[:0]
		for i := range features.Row(opt.Items) {
			if !had[j.log.Items[i]] && j.w.LikesItem(s, int(i), 0) > 0 { // sold where they are
				rows = append(rows, i)
			}
		}
		r := &features.Request{
			Query:   features.Query{Market: opt.Markets[j.w.Market(s)], Now: opening.AddDate(1, 0, 0), Limit: opt.Limit},
			Shopper: &features.Shopper{Recent: h, Consent: features.AllPurposes}, Item: features.NoRow, Catalog: j.log.Catalog, Scratch: new(features.Scratch),
		}
		score(r, rows, scores[:len(rows)])
		order := make([]int, len(rows))
		for i := range order {
			order[i] = i
			if scores[i] != scores[i] {
				scores[i] = float32(math.Inf(-1))
			}
		}
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(scores[b], scores[a]) })
		got := 0.
		for place, at := range order[:min(opt.Limit, len(order))] {
			got += j.w.Examine(place) * j.w.LikesItem(s, int(rows[at]), 0)
		}
		n, sum, square = n+1, sum+got, square+got*got
		out.Best += j.w.Best(s, had, 0)
	}
	if n == 0 {
		return out
	}
	out.Clicks, out.Best = sum/n, out.Best/n
	half := 1.96 * math.Sqrt(max(0, square/n-out.Clicks*out.Clicks)/n)
	out.Low, out.High, out.Share = out.Clicks-half, out.Clicks+half, out.Clicks/out.Best
	return out
}
