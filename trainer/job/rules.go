package job

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/attune-rec/attune/models/rules"
)

// RulesCmd mines association rules from a file of baskets, or from the orders
// in a shop's log.
type RulesCmd struct {
	File          string      `arg:"" optional:"" help:"Baskets, one a line; .gz, .zst and .xz are unpacked. Or give --data."`
	Orders        orders      `embed:""`
	Format        string      `enum:"baskets" default:"baskets" help:"Form of the file: ${enum}."`
	Separator     string      `help:"What parts the items of a line; blanks when not given."`
	MinSupport    rules.Ratio `default:"0.01" help:"Least share of baskets that hold an itemset."`
	MinConfidence rules.Ratio `default:"0.5" help:"Least confidence of a rule."`
	MinLift       float64     `default:"0" help:"Least lift of a rule."`
	MaxConsequent int         `default:"1" help:"Largest number of items on the right of a rule."`
	MaxLength     int         `default:"0" help:"Largest number of items in an itemset; 0 for no limit."`
	MaxItemsets   int         `default:"10000000" help:"Itemsets to hold at most; more end with the support to try."`
	Best          int         `default:"0" help:"Find this many rules of highest support with no support threshold; --min-support is not used."`
	Top           int         `default:"10" help:"Rules to show."`
	Sort          rules.Order `default:"lift" help:"Order of the rules shown: lift, confidence or support."`
	Workers       int         `default:"0" help:"Goroutines; 0 for one per processor."`
}

// rulesReport is what the command prints.
type rulesReport struct {
	Baskets       int         `json:"baskets"`
	Items         int         `json:"items"`
	MinCount      int         `json:"min_count,omitempty"`
	Itemsets      *sizeCounts `json:"itemsets,omitempty"` // not with --best
	Rules         sizeCounts  `json:"rules"`
	Top           []ruleRow   `json:"top"`
	Seconds       float64     `json:"seconds"`      // itemsets and rules, without reading
	ReadSeconds   float64     `json:"read_seconds"` // unpacking and reading the file
	MineSeconds   float64     `json:"mine_seconds"` // of seconds, finding the itemsets
	RulesSeconds  float64     `json:"rules_seconds"`
	PeakRSSBytes  int64       `json:"peak_rss_bytes"`
	MinConfidence rules.Ratio `json:"min_confidence"`
}

// sizeCounts is a total, and how much of it has how many items.
type sizeCounts struct {
	Total  int            `json:"total"`
	BySize map[string]int `json:"by_size"`
}

type ruleRow struct {
	Antecedent []string `json:"antecedent"`
	Consequent []string `json:"consequent"`
	Count      int      `json:"count"`
	Support    float64  `json:"support"`
	Confidence float64  `json:"confidence"`
	Lift       float64  `json:"lift"`
	Conviction *float64 `json:"conviction"` // null for a rule that always holds
}

// Run reads the file, mines it and writes the report.
func (c *RulesCmd) Run(env *Env) error {
	if c.Top < 0 || c.Best < 0 {
		return errors.New("--top and --best must not be negative")
	}
	report, err := c.mine(env)
	if err != nil {
		return err
	}
	if c.Orders.Bundles != "" {
		if err := c.Orders.bundle(env, report.Top); err != nil {
			return err
		}
	}
	if env.JSON {
		return env.WriteJSON(report)
	}
	return report.write(env.Out)
}

func (c *RulesCmd) mine(env *Env) (*rulesReport, error) {
	start := time.Now()
	baskets, names, err := c.read(env)
	if err != nil {
		return nil, err
	}
	if baskets.Len() == 0 && c.File != "" {
		return nil, fmt.Errorf("%s: no basket in it: every line is empty", c.File)
	}
	read := time.Now()
	options := rules.Options{MinSupport: c.MinSupport, MaxLength: c.MaxLength, MaxItemsets: c.MaxItemsets, Workers: c.Workers}
	ask := rules.RuleOptions{MinConfidence: c.MinConfidence, MinLift: c.MinLift, MaxConsequent: c.MaxConsequent}
	report := &rulesReport{Baskets: baskets.Len(), Items: names.Len(), MinConfidence: c.MinConfidence}
	var found []rules.Rule
	var mined time.Time
	if c.Best > 0 {
		options.MinSupport = rules.Ratio{}
		if found, err = rules.TopRules(env.Ctx, baskets, c.Best, ask, options); err != nil {
			return nil, err
		}
		mined = time.Now()
	} else {
		sets, err := rules.Mine(env.Ctx, baskets, options)
		if err != nil {
			return nil, err
		}
		mined = time.Now()
		if found, err = rules.Generate(sets, ask); err != nil {
			return nil, err
		}
		report.MinCount = max(1, c.MinSupport.Count(baskets.Len()))
		report.Itemsets = countSizes(sets.BySize())
	}
	var sizes []int
	for _, r := range found {
		size := len(r.Antecedent) + len(r.Consequent)
		for len(sizes) <= size {
			sizes = append(sizes, 0)
		}
		sizes[size]++
	}
	report.Rules = *countSizes(sizes)
	rules.SortRules(found, c.Sort)
	end := time.Now()
	report.Top = []ruleRow{}
	for _, r := range found[:min(c.Top, len(found))] {
		report.Top = append(report.Top, rowOf(r, names))
	}
	report.Seconds = end.Sub(read).Seconds()
	report.ReadSeconds = read.Sub(start).Seconds()
	report.MineSeconds = mined.Sub(read).Seconds()
	report.RulesSeconds = end.Sub(mined).Seconds()
	report.PeakRSSBytes = peakRSS()
	return report, nil
}

func (c *RulesCmd) read(env *Env) (*rules.Baskets, *rules.Dictionary, error) {
	if err := c.Orders.check(c.File); err != nil {
		return nil, nil, err
	}
	if c.File == "" {
		return c.Orders.read(env)
	}
	in, err := openInput(c.File)
	if err != nil {
		return nil, nil, err
	}
	defer in.Close()
	baskets, names, err := rules.ReadBaskets(in, c.Separator)
	var line *rules.LineError
	if errors.As(err, &line) {
		return nil, nil, fmt.Errorf("%s:%d: %w", c.File, line.Line, line.Err)
	}
	return baskets, names, err
}

// countSizes totals counts whose index is a size.
func countSizes(sizes []int) *sizeCounts {
	c := &sizeCounts{BySize: map[string]int{}}
	for size, n := range sizes {
		if n > 0 {
			c.Total += n
			c.BySize[strconv.Itoa(size)] = n
		}
	}
	return c
}

func rowOf(r rules.Rule, names *rules.Dictionary) ruleRow {
	row := ruleRow{
		Antecedent: names.Names(r.Antecedent), Consequent: names.Names(r.Consequent), Count: r.Count,
		Support: r.Support(), Confidence: r.Confidence(), Lift: r.Lift(),
	}
	if conviction := r.Conviction(); !math.IsInf(conviction, 1) {
		row.Conviction = &conviction
	}
	return row
}

// write prints the report for people.
func (r *rulesReport) write(out io.Writer) error {
	fmt.Fprintf(out, "%d baskets of %d items\n", r.Baskets, r.Items)
	if r.Itemsets != nil {
		fmt.Fprintf(out, "%d itemsets in %d or more baskets, by size: %s\n", r.Itemsets.Total, r.MinCount, r.Itemsets)
	}
	fmt.Fprintf(out, "%d rules of confidence %v or more, by size: %s\n\n", r.Rules.Total, r.MinConfidence, &r.Rules)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "support\tconfidence\tlift\tconviction\tbaskets\trule")
	for _, row := range r.Top {
		conviction := "always"
		if row.Conviction != nil {
			conviction = fmt.Sprintf("%.3f", *row.Conviction)
		}
		fmt.Fprintf(table, "%.6f\t%.4f\t%.4f\t%s\t%d\t%s -> %s\n", row.Support, row.Confidence, row.Lift, conviction, row.Count,
			strings.Join(row.Antecedent, ", "), strings.Join(row.Consequent, ", "))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "\n%.3f s after reading in %.3f s: itemsets %.3f, rules %.3f; peak memory %.0f MB\n",
		r.Seconds, r.ReadSeconds, r.MineSeconds, r.RulesSeconds, float64(r.PeakRSSBytes)/1e6)
	return err
}

// String lists the counts by rising size.
func (c *sizeCounts) String() string {
	var parts []string
	for size, left := 0, c.Total; left > 0; size++ {
		if n := c.BySize[strconv.Itoa(size)]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d: %d", size, n))
			left -= n
		}
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}
