package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/attune-rec/attune/loadtest/shopper"
	"github.com/attune-rec/attune/loadtest/simulate"
)

// simulateCmd asks the pipeline and the models about shops whose truth is
// known; no server runs.
type simulateCmd struct {
	Explore  simulateExploreCmd  `cmd:"" help:"What exploration finds among new items, and what it costs."`
	Position simulatePositionCmd `cmd:"" help:"Learn rankers from clicks on lists, with regard to places and without, and judge both by the truth."`
	Models   simulateModelsCmd   `cmd:"" help:"Fit models on a simulated shop's log and judge them by its truth."`
}

type simulated struct {
	Seeds    []uint64 `default:"1,2,3,4,5" help:"A shop for each."`
	Items    int      `default:"1000" help:"Items of a shop."`
	Shoppers int      `default:"500" help:"Shoppers there are."`
	Limit    int      `default:"10" help:"Items an answer."`
	JSON     bool     `name:"json" help:"Print JSON."`
}

func (c *simulated) world(seed uint64) shopper.Options {
	return shopper.Options{Seed: seed, Items: c.Items, Shoppers: c.Shoppers, Limit: c.Limit}
}

type simulateExploreCmd struct {
	simulated
	Sessions int     `default:"40000" help:"Answers in each shop."`
	New      int     `default:"20" help:"Items that nobody knows."`
	Good     int     `default:"5" help:"Of those, the ones that almost everybody likes."`
	Appeal   float64 `default:"6" help:"How much, in logits."`
	Slots    []int   `default:"6" help:"Places that explore."`
	Share    float64 `default:"0.2" help:"Share of answers that draw a new item."`
	Bound    float64 `default:"2" help:"Standard deviations until something counts as known."`
	Noise    float64 `default:"1" help:"What the ranker gets wrong about known items: standard deviation in logits."`
}

// Run implements the command.
func (c *simulateExploreCmd) Run(ctx context.Context) error {
	var all []simulate.Explored
	for _, seed := range c.Seeds {
		w := c.world(seed)
		w.New, w.Good, w.Appeal = c.New, c.Good, c.Appeal
		got, err := simulate.Explore(ctx, simulate.ExploreOptions{
			World: w, Sessions: c.Sessions, Noise: c.Noise, Slots: c.Slots, Rate: c.Share, Bound: c.Bound,
		})
		if err != nil {
			return err
		}
		all = append(all, got)
	}
	if c.JSON {
		return writeJSON(os.Stdout, map[string]any{"machine": machine(), "results": all})
	}
	return exploredTable(os.Stdout, all)
}

func exploredTable(out io.Writer, all []simulate.Explored) error {
	t := tabwriter.NewWriter(out, 0, 4, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(t, "seed\tplanted\tfound\twrongly\thalf found after\tlooks\tclicks/answer without\twith\tloss\tat worst\t")
	for _, e := range all {
		_, _ = fmt.Fprintf(t, "%d\t%d\t%d\t%d\t%d\t%.0f\t%.4f\t%.4f\t%.2f %%\t%.2f %%\t\n",
			e.Seed, e.Planted, e.Found, e.Wrong, e.Half, e.Looks, e.Without, e.With, 100*e.Loss, 100*e.Deepest)
	}
	return t.Flush()
}

type simulateModelsCmd struct {
	simulated
	Visits int      `default:"60" help:"Visits of each shopper in the log."`
	Lists  float64  `default:"0.3" help:"Share of visits to a list of what is popular, clicked by position."`
	Models []string `default:"popular,item-cf,ials" help:"Kinds of models."`
}

// Run implements the command.
func (c *simulateModelsCmd) Run(ctx context.Context) error {
	var all []simulate.Judged
	for _, seed := range c.Seeds {
		got, err := simulate.Models(ctx, simulate.ModelOptions{World: c.world(seed), Visits: c.Visits, Lists: c.Lists, Kinds: c.Models})
		if err != nil {
			return err
		}
		all = append(all, got...)
	}
	if c.JSON {
		return writeJSON(os.Stdout, map[string]any{"machine": machine(), "results": all})
	}
	t := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(t, "seed\tmodel\tclicks/answer\t95 %\tbest\tof best\t")
	for _, j := range all {
		_, _ = fmt.Fprintf(t, "%d\t%s\t%.4f\t%.4f to %.4f\t%.4f\t%.1f %%\t\n", j.Seed, j.Model, j.Clicks, j.Low, j.High, j.Best, 100*j.Share)
	}
	return t.Flush()
}

type simulatePositionCmd struct {
	simulated
	Visits int `default:"40" help:"Visits of each shopper in the log that the models are fitted on."`
	Lists  int `default:"6000" help:"Lists that are shown and clicked."`
	Shown  int `default:"10" help:"Items of a list."`
	Look   int `default:"80" help:"Candidates that the rankers order."`
}

// Run implements the command.
func (c *simulatePositionCmd) Run(ctx context.Context) error {
	var all []simulate.Positioned
	var gains []float64
	for _, seed := range c.Seeds {
		w := c.world(seed)
		got, err := simulate.Position(ctx, simulate.PositionOptions{World: w, Visits: c.Visits, Lists: c.Lists, Shown: c.Shown, Look: c.Look})
		if err != nil {
			return err
		}
		all, gains = append(all, got), append(gains, got.Gains...)
	}
	gain, low, high := simulate.Interval(gains)
	if c.JSON {
		return writeJSON(os.Stdout, map[string]any{"machine": machine(), "results": all, "gain": gain, "low": low, "high": high})
	}
	t := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(t, "seed\tlists\tclicks/answer as shown\twithout\twith\tgain\t95 %\t")
	for _, p := range all {
		_, _ = fmt.Fprintf(t, "%d\t%d\t%.4f\t%.4f\t%.4f\t%+.4f\t%+.4f to %+.4f\t\n", p.Seed, p.Lists, p.Shown, p.Without, p.With, p.Gain, p.Low, p.High)
	}
	_, _ = fmt.Fprintf(t, "all\t\t\t\t\t%+.4f\t%+.4f to %+.4f\t\n", gain, low, high)
	return t.Flush()
}
