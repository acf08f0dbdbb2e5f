package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"time"

	"github.com/attune-rec/attune/models/linalg"
)

// growthCmd trains the models that the default recipe is made of on more and
// more pairs. There is no peer.
type growthCmd struct {
	Sizes  []int    `default:"100000,300000,1000000,3000000,10000000,20000000" help:"Pairs."`
	Models []string `default:"popular,ials,path-knn,low-pass" help:"Kinds; a size takes them in this order."`
	Each   int      `default:"36" help:"Pairs a user has, in the mean."`
	Items  int      `default:"27000" help:"Items."`
	Write  string   `help:"Markdown file whose table is replaced."`
}

// growthParams are those that differ from a kind's defaults. The length of
// vectors would grow with the data by itself.
func growthParams() map[string]map[string]any {
	return map[string]map[string]any{"ials": {"factors": 64}, "path-knn": {"user": .6}}
}

// grown is a training on so many pairs.
type grown struct {
	pairs int
	fitted
}

func (c *growthCmd) Run(ctx context.Context) (err error) {
	folder, err := os.MkdirTemp("", "growth")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	r := &modelsRun{folder: folder}
	if r.self, err = os.Executable(); err != nil {
		return err
	}
	curves := map[string][]grown{}
	for _, pairs := range c.Sizes {
		if err := writePairs(folder, filmSite(max(pairs/c.Each, 8), c.Items, pairs, 3)); err != nil {
			return err
		}
		for _, kind := range c.Models {
			a, err := r.ours(ctx, fitJob{Kind: kind, Folder: folder, Params: paramsOf(growthParams()[kind])})
			if err != nil {
				return fmt.Errorf("%s on %d pairs: %w", kind, pairs, err)
			}
			curves[kind] = append(curves[kind], grown{pairs, a})
			fmt.Printf("%s, %d pairs: %.1f s wall, %.1f s CPU, %.0f MB\n", kind, pairs, a.Total, a.Spent, a.PeakMB)
		}
	}
	table := c.table(curves)
	fmt.Print("\n", table)
	if c.Write != "" {
		return replaceTable(c.Write, table)
	}
	return nil
}

func (c *growthCmd) table(curves map[string][]grown) string {
	var b strings.Builder
	fmt.Fprintf(&b, "`go run ./loadtest/peers growth`, %s, commit %s, %s, %s, load at the end %s. %d items, %d pairs a user in the mean; both cores.\n\n",
		time.Now().UTC().Format(time.DateOnly), commit(), machine(), isaTitle(linalg.ISA()), load(), c.Items, c.Each)
	b.WriteString("| model | pairs | wall s | CPU s | CPU µs a pair | exponent | peak MB | of it the data | bytes a pair |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, kind := range c.Models {
		for i, g := range curves[kind] {
			exponent := "-"
			if i > 0 {
				before := curves[kind][i-1]
				exponent = fmt.Sprintf("%.2f", math.Log(g.Spent/before.Spent)/math.Log(float64(g.pairs)/float64(before.pairs)))
			}
			fmt.Fprintf(&b, "| %s | %.1f M | %.1f | %.1f | %.2f | %s | %.0f | %.0f | %.0f |\n", kind, float64(g.pairs)/1e6, g.Total, g.Spent,
				1e6*g.Spent/float64(g.pairs), exponent, g.PeakMB, g.BaseMB, g.PeakMB*(1<<20)/float64(g.pairs))
		}
	}
	return b.String()
}
