// Package demand predicts what a shop will sell, week by week: by item, by
// category, by market, or by any name that a sale can be given. It sums sales
// into series, forecasts them together with models/forecast, and judges such
// forecasts at earlier times of the same sales.
//
// Weeks end with the latest full week; a series begins with its first sale. The
// package holds no state and does no I/O. Start reading at demand.go.
package demand

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"time"

	"github.com/attune-rec/attune/models/forecast"
)

// Week is the step of all series.
const Week = 7 * 24 * time.Hour

// Sale is a line of an order.
type Sale struct {
	Time   time.Time
	Name   string // of the series it belongs to
	Amount float64
}

// Table is sales by name and week.
type Table struct {
	End   time.Time // of the latest week, exclusive
	names []string  // rising
	weeks [][]float64
}

// Collect sums sales by week; those at or after end are left out.
func Collect(sales iter.Seq[Sale], end time.Time) *Table {
	type cell struct {
		name string
		ago  int
	}
	sums, oldest := map[cell]float64{}, map[string]int{}
	for s := range sales {
		if !s.Time.Before(end) {
			continue
		}
		ago := int((end.Sub(s.Time) - 1) / Week)
		sums[cell{s.Name, ago}] += s.Amount
		oldest[s.Name] = max(oldest[s.Name], ago)
	}
	t := &Table{End: end}
	for name := range oldest {
		t.names = append(t.names, name)
	}
	slices.Sort(t.names)
	for _, name := range t.names {
		t.weeks = append(t.weeks, make([]float64, oldest[name]+1))
	}
	for c, sum := range sums {
		at, _ := slices.BinarySearch(t.names, c.name)
		t.weeks[at][oldest[c.name]-c.ago] = sum
	}
	return t
}

// Len is the number of series.
func (t *Table) Len() int { return len(t.names) }

// Limits say which series are forecast: those known for long enough and sold
// often enough.
type Limits struct {
	Weeks int // since the first sale, at least
	Sold  int // weeks with a sale, at least
}

// Standard is 8 weeks, with sales in 4.
func Standard() Limits { return Limits{Weeks: 8, Sold: 4} }

// ErrTooLittle marks sales of which no series reaches the limits.
var ErrTooLittle = errors.New("too few sales to forecast")

// series are those within the limits, without the latest cut weeks.
func (t *Table) series(cut int, limits Limits) (out []forecast.Series, places []int) {
	for i, weeks := range t.weeks {
		n := len(weeks) - cut
		if n < limits.Weeks {
			continue
		}
		sold := 0
		for _, v := range weeks[:n] {
			if v > 0 {
				sold++
			}
		}
		if sold < limits.Sold {
			continue
		}
		s := forecast.Series{Name: t.names[i], Values: weeks[:n:n]}
		if n >= 2*year {
			s.Seasons = []int{year}
		}
		out, places = append(out, s), append(places, i)
	}
	return out, places
}

// year is the season of weekly sales, told only by two of them or more.
const year = 52

// Forecast is what to expect of one series.
type Forecast struct {
	forecast.Forecast
	Past    float64 // mean a week over the latest weeks, as many as are forecast
	YearAgo float64 // the same of the same weeks a year before; NaN when the series is younger
	Growth  float64 // expected over past, less 1; NaN when past is 0
}

// Expected is the mean of what is forecast, a week.
func (f *Forecast) Expected() float64 { return mean(f.Mean) }

// Predict forecasts the next weeks of every series within the limits, those of
// most expected sales first.
func (t *Table) Predict(ctx context.Context, weeks int, limits Limits, o forecast.Options) ([]Forecast, error) {
	series, places := t.series(0, limits)
	if len(series) == 0 {
		return nil, t.tooLittle(0, limits)
	}
	found, _, err := forecast.Auto(ctx, series, weeks, o)
	if err != nil {
		return nil, err
	}
	out := make([]Forecast, len(found))
	for i, f := range found {
		known := t.weeks[places[i]]
		past := mean(known[max(0, len(known)-weeks):])
		out[i] = Forecast{Forecast: f, Past: past, YearAgo: math.NaN(), Growth: mean(f.Mean)/past - 1}
		if at := len(known) - year - weeks; at >= 0 {
			out[i].YearAgo = mean(known[at : at+weeks])
		}
	}
	slices.SortStableFunc(out, func(a, b Forecast) int { return cmp.Compare(mean(b.Mean), mean(a.Mean)) })
	return out, nil
}

func (t *Table) tooLittle(cut int, limits Limits) error {
	return fmt.Errorf("%w: of %d series none is known for %d weeks with sales in %d, %d weeks before the end",
		ErrTooLittle, len(t.names), limits.Weeks, limits.Sold, cut)
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}
