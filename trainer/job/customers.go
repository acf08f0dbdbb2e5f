package job

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models/forecast/customer"
)

// Customers predicts whether shoppers come back and what they are worth.
type Customers struct {
	Books
	Days   int     `help:"Days to look ahead." default:"28"`
	Margin float64 `help:"Share of sales that counts as value." default:"1"`
	Judge  int     `help:"Predict from so many earlier times, the days apart that are looked ahead, and compare with what was bought after each." default:"0" placeholder:"TIMES"`
	Top    int     `help:"Shoppers to print, those of most value first; 0 for all. --json has all." default:"20"`
}

// customersReport is what the command prints.
type customersReport struct {
	Shop      string            `json:"shop"`
	At        time.Time         `json:"at"` // what was bought by then is known
	Days      int               `json:"days"`
	Customers int               `json:"customers"`
	Buying    customer.BGNBD    `json:"bg_nbd"`
	Scale     float64           `json:"scale"` // of expected purchases, by back-test
	Outlooks  []customerOutlook `json:"outlooks,omitempty"`
	Seconds   float64           `json:"seconds"`
}

// customerOutlook is what to expect of a shopper. Keys are those of the store,
// which names nobody.
type customerOutlook struct {
	Key       string  `json:"key"`
	Chance    float64 `json:"chance"` // of a purchase within the days
	Churn     float64 `json:"churn"`  // of none
	Alive     float64 `json:"alive"`
	Purchases float64 `json:"purchases"`
	Value     float64 `json:"value"`
}

// judgedReport is what --judge prints.
type judgedReport struct {
	Shop    string            `json:"shop"`
	Days    int               `json:"days"`
	Times   []customersJudged `json:"times"` // the latest first
	All     customersJudged   `json:"all"`   // all times together
	Seconds float64           `json:"seconds"`
}

// customersJudged compares predictions with what was bought since.
type customersJudged struct {
	At time.Time `json:"at"`
	// Mean is the mean chance of a purchase, to compare with the share who bought.
	Mean float64 `json:"mean"`
	// Propensity is the chance of a purchase beside recency alone.
	Propensity customer.Judged `json:"propensity"`
	Expected   float64         `json:"expected_purchases"` // of all, after the first
	Made       float64         `json:"made_purchases"`
}

// Run implements the command.
func (c *Customers) Run(env *Env) error {
	if err := c.check(); err != nil {
		return err
	}
	start := time.Now()
	keys, purchases, until, err := c.customers(env)
	if err != nil {
		return err
	}
	horizon := time.Duration(c.Days) * 24 * time.Hour
	if c.Judge > 0 {
		return c.judge(env, keys, purchases, until, horizon, start)
	}
	report, _, err := c.outlooks(keys, purchases, until, horizon)
	if err != nil {
		return err
	}
	slices.SortStableFunc(report.Outlooks, func(a, b customerOutlook) int { return cmp.Compare(b.Value, a.Value) })
	report.Seconds = time.Since(start).Seconds()
	if env.JSON {
		return env.WriteJSON(report)
	}
	return report.write(env, c.Top)
}

// outlooks is what to expect of each shopper who bought by at, from what was
// bought by then, and their purchases.
func (c *Customers) outlooks(keys []features.UserKey, purchases [][]customer.Purchase, at time.Time, horizon time.Duration) (*customersReport, []int, error) {
	chances, err := customer.FitPropensity(purchases, at, horizon)
	if err != nil {
		return nil, nil, fmt.Errorf("shop %s: %w", c.Shop, err)
	}
	worth, err := customer.Fit(purchases, at, week)
	if err != nil {
		return nil, nil, fmt.Errorf("shop %s: %w", c.Shop, err)
	}
	report := &customersReport{Shop: c.Shop, At: at, Days: c.Days, Buying: worth.Buying, Scale: worth.Scale}
	var known []int
	for i, bought := range purchases {
		h, s, ok := customer.Summarise(bought, at, worth.Unit)
		if !ok {
			continue
		}
		o, err := worth.Outlook(h, s, customer.Terms{Horizon: float64(c.Days) / 7, Margin: c.Margin})
		if err != nil {
			return nil, nil, fmt.Errorf("shopper %s: %w", keys[i], err)
		}
		chance, _ := chances.Chance(bought, at)
		known = append(known, i)
		report.Outlooks = append(report.Outlooks, customerOutlook{
			Key: keys[i].String(), Chance: chance, Churn: 1 - chance, Alive: o.Alive, Purchases: o.Purchases, Value: o.Value,
		})
	}
	report.Customers = len(known)
	return report, known, nil
}

// week is the unit of time in which purchases are counted.
const week = 7 * 24 * time.Hour

// judge predicts from earlier times, each from what was known then, and
// compares with what was bought after.
func (c *Customers) judge(env *Env, keys []features.UserKey, purchases [][]customer.Purchase, until time.Time, horizon time.Duration, start time.Time) error {
	out := judgedReport{Shop: c.Shop, Days: c.Days}
	var all verdicts
	for n := range c.Judge {
		at := until.Add(-horizon * time.Duration(n+1))
		report, known, err := c.outlooks(keys, purchases, at, horizon)
		if err != nil {
			return fmt.Errorf("%w; --judge asks for %d times, %d days apart", err, c.Judge, c.Days)
		}
		var one verdicts
		one.add(report, known, purchases, at, at.Add(horizon))
		all.add(report, known, purchases, at, at.Add(horizon))
		out.Times = append(out.Times, one.judged(at))
	}
	out.All = all.judged(until.Add(-horizon))
	out.Seconds = time.Since(start).Seconds()
	if env.JSON {
		return env.WriteJSON(out)
	}
	return out.write(env)
}

func (c *Customers) check() error {
	if err := c.validate(); err != nil {
		return err
	}
	switch {
	case c.Days < 1:
		return fmt.Errorf("--days is %d: expected 1 or more", c.Days)
	case !(c.Margin > 0 && c.Margin <= 1):
		return fmt.Errorf("--margin is %v: expected above 0 and up to 1", c.Margin)
	case c.Judge < 0:
		return fmt.Errorf("--judge is %d: expected 0 or more", c.Judge)
	case c.Top < 0:
		return errors.New("--top is below 0: expected 0 or more")
	}
	return nil
}

// verdicts are predictions beside what came, of shoppers at one or more times.
type verdicts struct {
	chances, recency []float64
	came             []bool
	who              []int
	expected, made   float64
}

func (v *verdicts) add(report *customersReport, known []int, purchases [][]customer.Purchase, at, until time.Time) {
	for i, place := range known {
		before, _, _ := customer.Summarise(purchases[place], at, week)
		after, _, _ := customer.Summarise(purchases[place], until, week)
		v.came = append(v.came, after.Repeats > before.Repeats)
		v.chances, v.recency = append(v.chances, report.Outlooks[i].Chance), append(v.recency, before.Last-before.Age)
		v.who = append(v.who, place)
		v.expected += report.Outlooks[i].Purchases
		v.made += float64(after.Repeats - before.Repeats)
	}
}

func (v *verdicts) judged(at time.Time) customersJudged {
	mean := 0.0
	for _, chance := range v.chances {
		mean += chance / float64(len(v.chances))
	}
	return customersJudged{At: at, Propensity: customer.Judge(v.chances, v.recency, v.came, v.who, 1), Mean: mean, Expected: v.expected, Made: v.made}
}

// write prints what came of judging for people.
func (r *judgedReport) write(env *Env) error {
	table := tabwriter.NewWriter(env.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "from\tshoppers\tbought\texpected\tAUC\tby recency alone\tdifference\tcalibration error\tpurchases expected\tmade\n")
	for i, j := range append(slices.Clone(r.Times), r.All) {
		p, from := j.Propensity, j.At.Format(time.DateOnly)
		if i == len(r.Times) {
			from = "all"
		}
		fmt.Fprintf(table, "%s\t%d\t%.1f %%\t%.1f %%\t%.4f\t%.4f\t%+.4f [%+.4f, %+.4f]\t%.4f\t%.0f\t%.0f\n",
			from, p.Customers, 100*p.Share, 100*j.Mean, p.AUC, p.Baseline, p.Gain, p.Low, p.High, p.Calibration, j.Expected, j.Made)
	}
	return table.Flush()
}

// write prints the report for people.
func (r *customersReport) write(env *Env, top int) error {
	shown := r.Outlooks
	if top > 0 && len(shown) > top {
		shown = shown[:top]
	}
	table := tabwriter.NewWriter(env.Out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(table, "shopper\twill buy\twill not\talive\tpurchases\tvalue\t\n")
	for _, o := range shown {
		fmt.Fprintf(table, "%s\t%.1f %%\t%.1f %%\t%.1f %%\t%.2f\t%.2f\t\n", o.Key, 100*o.Chance, 100*o.Churn, 100*o.Alive, o.Purchases, o.Value)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(env.Out, "\n%d of %d shoppers shown; what to expect within %d days of %s; %.1f s\n",
		len(shown), r.Customers, r.Days, r.At.Format(time.DateOnly), r.Seconds)
	return err
}
