package forecast

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// Options of Auto.
type Options struct {
	Loss    Loss // what a combination is chosen by
	Workers int  // goroutines; 0 means one for each processor
}

// Choice says what Auto chose for a group of series.
type Choice struct {
	Seasons      []int
	Intermittent bool
	Series       int
	Loss         float64            // of the choice at the latest back-test origins
	Weights      map[string]float64 // common weights by method, without zeros
	Own          float64            // share of weights by each series' own errors
	Power        float64
}

// Auto forecasts the next h values of every series, in their order. Series with
// the same seasons learn from one another: they share the weights of the
// combination and the shape of the intervals. Intermittent series, at least a
// third of whose values are zero and none negative, are a group of their own.
func Auto(ctx context.Context, series []Series, h int, o Options) ([]Forecast, []Choice, error) {
	if h < 1 {
		return nil, nil, errHorizon
	}
	groups := map[string][]int{}
	var order []string
	for i, s := range series {
		if err := s.check(); err != nil {
			return nil, nil, err
		}
		key := fmt.Sprint(s.Seasons, isIntermittent(s.Values))
		if groups[key] == nil {
			order = append(order, key)
		}
		groups[key] = append(groups[key], i)
	}
	slices.Sort(order)
	out := make([]Forecast, len(series))
	var choices []Choice
	for _, key := range order {
		choice, err := autoGroup(ctx, series, groups[key], h, o, out)
		if err != nil {
			return nil, nil, err
		}
		choices = append(choices, choice)
	}
	return out, choices, nil
}

// autoGroup forecasts the series of one group into out.
func autoGroup(ctx context.Context, series []Series, members []int, h int, o Options, out []Forecast) (Choice, error) {
	first := series[members[0]]
	intermittent := isIntermittent(first.Values)
	list := methods(first.Seasons, intermittent)
	group := make([]history, len(members))
	err := each(ctx, len(members), o.Workers, func(i int) {
		group[i] = runTrials(series[members[i]], h, list, o.Loss)
	})
	if err != nil {
		return Choice{}, err
	}
	c := choose(group, len(list), o.Loss)
	spreads := learnSpread(group, crossed(group, len(list), o.Loss), h)
	err = each(ctx, len(members), o.Workers, func(i int) {
		x := group[i]
		f := Forecast{Name: x.series.Name, Mean: x.now.mix(c.weights(x, -1))}
		spreads.bounds(&f, spreads.size(signs(x.now, x.series.Seasons)), slices.Min(x.series.Values) >= 0)
		out[members[i]] = f
	})
	choice := Choice{
		Seasons: first.Seasons, Intermittent: intermittent, Series: len(members),
		Loss: c.judge(group, o.Loss), Weights: map[string]float64{}, Own: c.own, Power: c.power,
	}
	for m, w := range c.common {
		if w > 0 {
			choice.Weights[list[m].name] = w
		}
	}
	return choice, err
}

// each runs work for 0..n-1 in several goroutines, until ctx ends.
func each(ctx context.Context, n, workers int, work func(i int)) error {
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	var next atomic.Int64
	var wait sync.WaitGroup
	for range min(workers, n) {
		wait.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				work(i)
			}
		})
	}
	wait.Wait()
	return ctx.Err()
}

// crossed chooses a combination for each half of a group on the other half; the
// halves are the series of even and of odd places.
func crossed(group []history, methods int, loss Loss) [2]combination {
	var half [2][]history
	for i, x := range group {
		half[1-i%2] = append(half[1-i%2], x)
	}
	return [2]combination{choose(half[0], methods, loss), choose(half[1], methods, loss)}
}
