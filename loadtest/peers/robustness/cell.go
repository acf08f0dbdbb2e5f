package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/attune-rec/attune/loadtest/peers/shape"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/eval"
	"github.com/attune-rec/attune/models/hybrid"
	"github.com/attune-rec/attune/models/kind"
)

// whole is the name of the default recipe.
const whole = "hybrid"

// singles are tried beside the parts, at their defaults.
var singles = []string{"popular", "item-cf", "path-knn", "ials"}

// cell is the draws of one shape and size.
type cell struct {
	shape  *shape.Shape
	size   int
	draws  int
	cases  int
	half   []int                // by case: whether its draw is an even or an odd one
	within []int                // by case: whether it is an even or an odd one of its draw
	values map[string][]float64 // NDCG@20 by model, case by case; NaN where a model was not to be had
}

func newCell(s *shape.Shape, size int) *cell {
	return &cell{shape: s, size: size, values: map[string][]float64{}}
}

// draw fits the recipe and each part it tried on one draw, and judges them.
func (c *cell) draw(ctx context.Context, source *shape.Source, seed uint64, workers int) error {
	d, err := source.Draw(c.size, seed)
	if err != nil {
		return err
	}
	train, test := c.shape.Ask.Part(d, seed)
	if len(train.Log) == 0 || len(test.Log) == 0 {
		return nil
	}
	metrics, err := eval.ParseMetrics([]string{"ndcg@20"})
	if err != nil {
		return err
	}
	task, options := eval.Task{History: train, Test: test}, eval.Options{Metrics: metrics, Workers: workers, Seed: 1}
	cases, err := eval.Plan(task, options)
	switch {
	case errors.Is(err, eval.ErrTask): // nobody is left to ask for
		return nil
	case err != nil:
		return err
	}
	in := models.FitInput{Train: train, Seed: 1, Workers: workers, Kinds: kind.Of}
	m, err := hybrid.Fit(ctx, in)
	if err != nil {
		return err
	}
	judge := func(name string, m models.Model) error {
		r, err := eval.Run(ctx, m, task, cases, options)
		if err != nil {
			return err
		}
		own := c.values[name]
		for len(own) < c.cases {
			own = append(own, math.NaN())
		}
		c.values[name] = append(own, r.Values[0]...)
		return nil
	}
	if err := judge(whole, m); err != nil {
		return err
	}
	kept := map[string]models.Model{}
	for _, part := range m.(models.Composite).Parts() {
		kept[part.Name] = part.Model
	}
	for _, choice := range c.choices(m.(*hybrid.Model).Story()) {
		part := kept[choice.Name]
		if part == nil {
			if part, err = fit(ctx, in, choice); errors.Is(err, models.ErrParams) {
				continue // too little data for this kind
			}
			if err != nil {
				return err
			}
		}
		if err := judge(strings.TrimPrefix(choice.Name, "hybrid."), part); err != nil {
			return err
		}
	}
	for k := range cases.User {
		c.half = append(c.half, c.draws%2)
		c.within = append(c.within, k%2)
	}
	c.cases += len(cases.User)
	c.draws++
	return nil
}

// choices are the parts that were tried and the singles.
func (c *cell) choices(s *hybrid.Story) []hybrid.Choice {
	var out []hybrid.Choice
	for _, t := range s.Tried {
		if t.NDCG > 0 || t.Kept {
			out = append(out, t.Choice)
		}
	}
	for _, name := range singles {
		out = append(out, hybrid.Choice{Name: name + " by itself", Kind: name})
	}
	return out
}

func fit(ctx context.Context, in models.FitInput, c hybrid.Choice) (models.Model, error) {
	k, err := kind.Of(c.Kind)
	if err != nil {
		return nil, err
	}
	in.Params = c.Params
	return k.Fit(ctx, in)
}

// mean is a model's, over the cases it was tried on; false unless on all.
func (c *cell) mean(name string) (float64, bool) {
	v := c.values[name]
	sum := 0.
	for _, x := range v {
		sum += x
	}
	return sum / float64(max(c.cases, 1)), len(v) == c.cases && sum == sum
}

// best is the part or single of the highest mean over the cases of that half of
// halves; of all cases where half is below 0.
func (c *cell) best(halves []int, half int) (name string, value float64) {
	value = -1
	for n, own := range c.values {
		if _, ok := c.mean(n); !ok || n == whole {
			continue
		}
		sum, count := 0., 0
		for i, v := range own {
			if half < 0 || halves[i] == half {
				sum, count = sum+v, count+1
			}
		}
		if v := sum / float64(max(count, 1)); v > value || v == value && n < name {
			name, value = n, v
		}
	}
	return name, value
}

// less is the recipe less the part that was best on the other half of the
// draws, case by case, with the mean's interval: the best of twenty by the very
// cases they are judged on is ahead of the rest by chance alone.
func (c *cell) less() (mean float64, i eval.Interval) {
	halves := c.half
	if c.draws == 1 {
		halves = c.within
	}
	against := make([]float64, c.cases)
	for half := range 2 {
		name, _ := c.best(halves, 1-half)
		for i := range against {
			if halves[i] == half {
				against[i] = c.values[name][i]
			}
		}
	}
	return c.compare(against)
}

// compare is the mean of the recipe less against, with its interval.
func (c *cell) compare(against []float64) (mean float64, i eval.Interval) {
	d := eval.Differences(c.values[whole], against)
	for _, v := range d {
		mean += v / float64(len(d))
	}
	return mean, eval.Intervals([][]float64{d}, 1, 0)[0]
}

const popular = "popular by itself"

func (c *cell) row() string {
	name, best := c.best(nil, -1)
	sells, _ := c.mean(popular)
	own, _ := c.mean(whole)
	mean, d := c.less()
	more, p := c.compare(c.values[popular])
	return fmt.Sprintf("| %s | %d | %d | %d | %.4f | %s %.4f | %.4f | %s | %s |",
		label(c.shape), c.size, c.draws, c.cases, sells, name, best, own, shown(more, p), shown(mean, d))
}

// shown is a difference in bold where its interval is below 0.
func shown(mean float64, i eval.Interval) string {
	text := fmt.Sprintf("%+.4f [%+.4f, %+.4f]", mean, i.Low, i.High)
	if i.High < 0 {
		return "**" + text + "**"
	}
	return text
}

// label is the shape's name, marked where the recipe's rules were made on it.
func label(s *shape.Shape) string {
	if s.Chosen {
		return s.Name + " †"
	}
	return s.Name
}
