package main

import (
	"fmt"
	"strings"

	"github.com/attune-rec/attune/loadtest/peers/shape"
)

const head = `# The default recipe on data of other shapes and sizes

The default recipe beside every part that it tried and single models at their defaults, each fitted on the same draws: users taken
at random, with all they did, until they have so many interactions. NDCG@20, full ranking, what the user had before left
out, and only items to be found that somebody else had in training. "Best alone" is the best of up to twenty models on the very test, in
hindsight. "Less the best" is the recipe less the model that was best on the other half of the draws (of the cases, where there is one draw): so
the best is known from the same shape, but not from the cases it is judged on, where the luckiest of twenty is ahead. Differences are means over all
cases of all draws with 95 % bootstrap intervals, in bold where the recipe is behind. The rules for scant data were made on draws with other
seeds of the shapes marked †; nothing was chosen on the others. Rows of fewer than 20 cases are left out.

To reproduce (the public data sets, some 40 minutes of one core):

`

// page is the Markdown page of all cells.
func page(cells []*cell, args string) string {
	var b strings.Builder
	b.WriteString(head)
	fmt.Fprintf(&b, "```\nmake measure-robustness\n```\n\nThis page: `go run ./loadtest/peers/robustness %s`.\n\n", args)
	b.WriteString("| shape | interactions | draws | cases | popular | best alone | recipe | less popular | less the best |\n|---|---|---|---|---|---|---|---|---|\n")
	behind, ahead := 0, 0
	for _, c := range cells {
		row := c.row()
		fmt.Fprintln(&b, row)
		switch _, d := c.less(); {
		case d.High < 0:
			behind++
		case d.Low > 0:
			ahead++
		}
	}
	fmt.Fprintf(&b, "\nOf %d rows the recipe is ahead of the best in %d, behind in %d, and in the others no difference shows.\n\n", len(cells), ahead, behind)
	b.WriteString("| shape | what it is, and what is to be found |\n|---|---|\n")
	for _, s := range shape.All() {
		fmt.Fprintf(&b, "| %s | %s |\n", s.Name, s.About)
	}
	return b.String()
}
