package demand

import (
	"context"

	"github.com/attune-rec/attune/models/forecast"
)

// Judged says how good forecasts were at earlier times, beside the seasonal
// naive forecast.
type Judged struct {
	Series int `json:"series"` // at the latest of the times
	Points int `json:"points"` // weeks that were forecast
	// Loss is the weighted quantile loss: the pinball losses of the 10 %, 50 %
	// and 90 % quantiles, twice their mean, by what was sold in all. The
	// quantiles are the bounds of the 80 % interval and the forecast itself.
	Loss      float64 `json:"loss"`
	NaiveLoss float64 `json:"naive_loss"` // of the naive forecast at each quantile
	// Error and NaiveError are absolute errors by what was sold: the loss of the
	// 50 % quantile alone.
	Error      float64 `json:"error"`
	NaiveError float64 `json:"naive_error"`
	Coverage   float64 `json:"coverage"` // of the 80 % interval
}

// Judge forecasts from times earlier by 1, 2 … rounds of so many weeks, each
// from what was known then, and compares with what was sold.
func (t *Table) Judge(ctx context.Context, weeks, rounds int, limits Limits, o forecast.Options) (Judged, error) {
	var j Judged
	sold, within := 0.0, 0
	for round := 1; round <= rounds; round++ {
		cut := round * weeks
		series, places := t.series(cut, limits)
		if len(series) == 0 {
			return j, t.tooLittle(cut, limits)
		}
		found, _, err := forecast.Auto(ctx, series, weeks, o)
		if err != nil {
			return j, err
		}
		if round == 1 {
			j.Series = len(series)
		}
		for i, f := range found {
			all := t.weeks[places[i]]
			from := len(all) - cut
			actual := all[from : from+weeks]
			naive := seasonalNaive(series[i], weeks)
			for _, v := range actual {
				sold += v
			}
			for _, q := range []struct {
				level float64
				of    []float64
			}{{.1, f.Low80}, {.5, f.Mean}, {.9, f.High80}} {
				j.Loss += 2 * forecast.QuantileLoss(actual, q.of, q.level) / 3
				j.NaiveLoss += 2 * forecast.QuantileLoss(actual, naive, q.level) / 3
			}
			j.Error += 2 * forecast.QuantileLoss(actual, f.Mean, .5)
			j.NaiveError += 2 * forecast.QuantileLoss(actual, naive, .5)
			in, n := forecast.Coverage(actual, f.Low80, f.High80)
			within, j.Points = within+in, j.Points+n
		}
	}
	j.Loss, j.NaiveLoss = j.Loss/sold, j.NaiveLoss/sold
	j.Error, j.NaiveError = j.Error/sold, j.NaiveError/sold
	j.Coverage = float64(within) / float64(j.Points)
	return j, nil
}

// seasonalNaive expects what was sold a year before, where that is known, and
// else what was sold last.
func seasonalNaive(s forecast.Series, weeks int) []float64 {
	n := len(s.Values)
	out := make([]float64, weeks)
	for k := range out {
		if n >= year {
			out[k] = s.Values[n+k-year]
		} else {
			out[k] = s.Values[n-1]
		}
	}
	return out
}
