package hybrid

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
)

// fadings are the half-lives, in days, that what sells is tried with; 0 is for
// ever.
var fadings = []float64{7, 14, 30, 60, 120, 0}

// fewest is how many newcomers a choice of half-life takes.
const fewest = 50

// fading chooses how fast old sales fade for shoppers of whom nothing is known:
// popularity of all but the newest tenth of d is asked for what those found who
// first came in that tenth. Nil where the data has no times or too few
// newcomers; the second result says why it is as it is.
func fading(ctx context.Context, in models.FitInput, f Facts, events *models.EventWeights) (json.RawMessage, string, error) {
	why := "speaks for shoppers of whom nothing is known"
	if !f.Timed {
		return nil, why, nil
	}
	d := in.Train
	times := make([]int64, len(d.Log))
	for i := range d.Log {
		times[i] = d.Log[i].TimeMS
	}
	slices.Sort(times)
	cut := times[len(times)*9/10]
	before := d.Keep(func(_ int, at int64) bool { return d.Log[at].TimeMS < cut })
	truth := d.Keep(func(u int, at int64) bool {
		return len(before.History(u)) == 0 && f.aim(&d.Log[at], events)
	})
	var users []int
	for u := range truth.Users {
		if len(truth.History(u)) > 0 {
			users = append(users, u)
		}
	}
	if len(users) < fewest || len(before.Log) == 0 {
		return nil, why, nil
	}
	k, err := in.Kinds(cold)
	if err != nil {
		return nil, why, err
	}
	var best json.RawMessage
	top, days := math.Inf(-1), 0.
	for _, h := range fadings {
		raw := json.RawMessage(fmt.Sprintf(`{"half_life_days":%g}`, h))
		m, err := k.Fit(ctx, models.FitInput{Train: before, Params: raw, Seed: in.Seed, Workers: in.Workers, Weights: in.Weights})
		if err != nil {
			return nil, why, err
		}
		if v := welcome(m, truth, users); v > top {
			best, top, days = raw, v, h
		}
	}
	return best, fmt.Sprintf("%s; sales count half after %g days: NDCG@20 %.4f for %d newcomers", why, days, top, len(users)), nil
}

// welcome is the mean NDCG@20 of what m answers the users without a history,
// each in the market of their first interaction.
func welcome(m models.Scorer, truth *dataset.Dataset, users []int) float64 {
	const length = 20
	rows := make([]features.Row, truth.NumItems())
	for i := range rows {
		rows[i] = features.Row(i) // #nosec G115 -- rows are int32 by contract
	}
	scores := make([]float32, len(rows))
	var order linalg.TopK
	answers := map[string][]linalg.Scored{} // by market: it is the same for everyone there
	total := 0.
	for _, u := range users {
		market := ""
		if truth.Market != nil {
			market = truth.Markets[truth.Market[truth.Ptr[u]]]
		}
		answer, ok := answers[market]
		if !ok {
			r := &features.Request{Query: features.Query{Shop: features.DefaultShop, Surface: features.SurfaceHome, Market: market, Limit: length}, Item: features.NoRow, Scratch: new(features.Scratch)}
			m.Score(r, rows, scores)
			order.Reset(length)
			order.PushBlock(0, scores)
			answer = order.Sorted(nil)
			answers[market] = answer
		}
		good := features.NewBitmap(len(rows))
		for _, it := range truth.History(u) {
			good.Set(it.Row)
		}
		gain, ideal := 0., 0.
		for place := range min(length, good.Count()) {
			ideal += 1 / math.Log2(float64(place)+2)
		}
		for place, a := range answer {
			if good.Has(features.Row(a.Index)) {
				gain += 1 / math.Log2(float64(place)+2)
			}
		}
		total += gain / ideal
	}
	return total / float64(len(users))
}
