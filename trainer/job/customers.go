package job

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/attune-rec/attune/models/forecast/customer"
)

// Customers predicts whether shoppers come back and what they are worth.
type Customers struct {
	Books
	Days   int     `help:"Days to look ahead." default:"28"`
	Margin float64 `help:"Share of sales that counts as value." default:"1"`
	Judge  bool    `help:"Predict from so many days before the end, and compare with what was bought since."`
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
	Judged    *customersJudged  `json:"judged,omitempty"`
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

// customersJudged compares predictions with what was bought since.
type customersJudged struct {
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
	at := until
	if c.Judge {
		at = until.Add(-horizon)
	}
	chances, err := customer.FitPropensity(purchases, at, horizon)
	if err != nil {
		return fmt.Errorf("shop %s: %w", c.Shop, err)
	}
	worth, err := customer.Fit(purchases, at, 7*24*time.Hour)
	if err != nil {
		return fmt.Errorf("shop %s: %w", c.Shop, err)
	}
	report := customersReport{Shop: c.Shop, At: at, Days: c.Days, Buying: worth.Buying, Scale: worth.Scale}
	var known [][]customer.Purchase
	for i, bought := range purchases {
		h, s, ok := customer.Summarise(bought, at, worth.Unit)
		if !ok {
			continue
		}
		o, err := worth.Outlook(h, s, customer.Terms{Horizon: float64(c.Days) / 7, Margin: c.Margin})
		if err != nil {
			return fmt.Errorf("shopper %s: %w", keys[i], err)
		}
		chance, _ := chances.Chance(bought, at)
		known = append(known, bought)
		report.Outlooks = append(report.Outlooks, customerOutlook{
			Key: keys[i].String(), Chance: chance, Churn: 1 - chance, Alive: o.Alive, Purchases: o.Purchases, Value: o.Value,
		})
	}
	report.Customers = len(known)
	if c.Judge {
		report.Judged = judgeCustomers(known, report.Outlooks, at, until, worth.Unit)
		report.Outlooks = nil
	}
	slices.SortStableFunc(report.Outlooks, func(a, b customerOutlook) int { return cmp.Compare(b.Value, a.Value) })
	report.Seconds = time.Since(start).Seconds()
	if env.JSON {
		return env.WriteJSON(report)
	}
	return report.write(env, c.Top)
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
	case c.Top < 0:
		return errors.New("--top is below 0: expected 0 or more")
	}
	return nil
}

func judgeCustomers(known [][]customer.Purchase, outlooks []customerOutlook, at, until time.Time, unit time.Duration) *customersJudged {
	j := &customersJudged{}
	var chances, recency []float64
	var came []bool
	for i, bought := range known {
		before, _, _ := customer.Summarise(bought, at, unit)
		after, _, _ := customer.Summarise(bought, until, unit)
		came = append(came, after.Repeats > before.Repeats)
		chances, recency = append(chances, outlooks[i].Chance), append(recency, before.Last-before.Age)
		j.Expected += outlooks[i].Purchases
		j.Made += float64(after.Repeats - before.Repeats)
	}
	j.Propensity = customer.Judge(chances, recency, came, 1)
	return j
}

// write prints the report for people.
func (r *customersReport) write(env *Env, top int) error {
	if j := r.Judged; j != nil {
		p := j.Propensity
		_, err := fmt.Fprintf(env.Out, "%d shoppers at %s, of whom %.1f %% bought in the next %d days\n"+
			"AUC %.4f, by recency alone %.4f: %+.4f [%+.4f, %+.4f]\n"+
			"calibration error %.4f\n"+
			"purchases: %.0f expected, %.0f made (%+.1f %%)\n",
			p.Customers, r.At.Format(time.DateOnly), 100*p.Share, r.Days, p.AUC, p.Baseline, p.Gain, p.Low, p.High,
			p.Calibration, j.Expected, j.Made, 100*(j.Expected/j.Made-1))
		return err
	}
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
