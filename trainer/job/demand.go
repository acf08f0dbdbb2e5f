package job

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/attune-rec/attune/models/forecast"
	"github.com/attune-rec/attune/models/forecast/demand"
)

// Demand forecasts what a shop will sell in the next weeks.
type Demand struct {
	Books
	By      []string `help:"What a series is of: item, category, market, channel, all, or several of them." default:"category,market" placeholder:"NAME,..."`
	Measure string   `help:"What is forecast: pieces, or revenue, by currency." enum:"pieces,revenue" default:"pieces"`
	Weeks   int      `help:"Weeks to forecast." default:"4"`
	Judge   int      `help:"Instead of the next weeks, forecast so many earlier stretches of as many weeks, each from what was known then, and compare with what was sold." placeholder:"N"`
	Known   int      `help:"Weeks since its first sale that a series needs." default:"8"`
	Sold    int      `help:"Weeks with a sale that a series needs." default:"4"`
	Top     int      `help:"Series to print, those of most expected sales first; 0 for all. --json has all." default:"20"`
	Workers int      `default:"0" help:"Goroutines; 0 for one per processor."`
}

// demandReport is what the command prints.
type demandReport struct {
	Shop      string         `json:"shop"`
	By        []string       `json:"by"`
	Measure   string         `json:"measure"`
	End       time.Time      `json:"end"` // of the latest known week
	Series    int            `json:"series"`
	Forecasts []demandSeries `json:"forecasts,omitempty"`
	Judged    *demand.Judged `json:"judged,omitempty"`
	Seconds   float64        `json:"seconds"`
}

// demandSeries is pieces, or revenue, a week.
type demandSeries struct {
	Name   string    `json:"name"`
	Past   float64   `json:"past"`
	Share  float64   `json:"share"`      // of what is expected of all series; of the currency's, of revenue
	Year   *float64  `json:"since_year"` // growth of the past over the same weeks a year before; null when they are not known
	Growth *float64  `json:"growth"`     // of what is expected over the past; null after weeks without a sale
	Mean   []float64 `json:"mean"`
	Low80  []float64 `json:"low80"`
	High80 []float64 `json:"high80"`
	Low95  []float64 `json:"low95"`
	High95 []float64 `json:"high95"`
}

// Run implements the command.
func (d *Demand) Run(env *Env) error {
	if err := d.check(); err != nil {
		return err
	}
	start := time.Now()
	sales, end, err := d.sales(env, d.By, d.Measure)
	if err != nil {
		return err
	}
	table := demand.Collect(slices.Values(sales), end)
	report := demandReport{Shop: d.Shop, By: d.By, Measure: d.Measure, End: end, Series: table.Len()}
	limits, options := demand.Limits{Weeks: d.Known, Sold: d.Sold}, forecast.Options{Workers: d.Workers}
	bar := env.Progress("forecast")
	if d.Judge > 0 {
		judged, err := table.Judge(env.Ctx, d.Weeks, d.Judge, limits, options)
		if err != nil {
			return err
		}
		report.Judged = &judged
	} else {
		found, err := table.Predict(env.Ctx, d.Weeks, limits, options)
		if err != nil {
			return err
		}
		report.Forecasts = d.rows(found)
	}
	bar.Done()
	report.Seconds = time.Since(start).Seconds()
	if env.JSON {
		return env.WriteJSON(report)
	}
	return report.write(env, d.Top)
}

// rows are the series with their size and growth.
func (d *Demand) rows(found []demand.Forecast) []demandSeries {
	market := func(name string) string { // what a share is of
		if d.Measure != revenue {
			return ""
		}
		currency, _, _ := strings.Cut(name, separator)
		return currency
	}
	whole := map[string]float64{}
	for i := range found {
		whole[market(found[i].Name)] += found[i].Expected()
	}
	rows := make([]demandSeries, len(found))
	for i := range found {
		f := &found[i]
		rows[i] = demandSeries{Name: f.Name, Past: f.Past, Mean: f.Mean, Low80: f.Low80, High80: f.High80, Low95: f.Low95, High95: f.High95}
		if all := whole[market(f.Name)]; all > 0 {
			rows[i].Share = f.Expected() / all
		}
		if f.Past > 0 {
			rows[i].Growth = &f.Growth
		}
		if f.YearAgo > 0 { // not of NaN
			since := f.Past/f.YearAgo - 1
			rows[i].Year = &since
		}
	}
	return rows
}

func (d *Demand) check() error {
	if err := d.validate(); err != nil {
		return err
	}
	for _, field := range d.By {
		if !slices.Contains([]string{"item", "category", "market", "channel", "all"}, field) {
			return fmt.Errorf("--by has %q: expected item, category, market, channel or all", field)
		}
	}
	switch {
	case len(d.By) == 0:
		return fmt.Errorf("--by is empty: expected item, category, market, channel or all")
	case d.Weeks < 1:
		return fmt.Errorf("--weeks is %d: expected 1 or more", d.Weeks)
	case d.Judge < 0:
		return fmt.Errorf("--judge is %d: expected 0 or more", d.Judge)
	case d.Known < 2 || d.Sold < 1:
		return fmt.Errorf("--known is %d and --sold %d: expected 2 or more, and 1 or more", d.Known, d.Sold)
	case d.Top < 0:
		return fmt.Errorf("--top is %d: expected 0 or more", d.Top)
	}
	return nil
}

// write prints the report for people.
func (r *demandReport) write(env *Env, top int) error {
	if j := r.Judged; j != nil {
		_, err := fmt.Fprintf(env.Out, "%d series, %d weeks of them forecast from earlier times\n"+
			"weighted quantile loss %.3f, seasonal naive %.3f: %.1f %% less\n"+
			"absolute error by sales %.3f, seasonal naive %.3f: %.1f %% less\n"+
			"within the 80 %% interval: %.1f %%\n",
			j.Series, j.Points, j.Loss, j.NaiveLoss, 100*(1-j.Loss/j.NaiveLoss), j.Error, j.NaiveError, 100*(1-j.Error/j.NaiveError), 100*j.Coverage)
		return err
	}
	shown := r.Forecasts
	if top > 0 && len(shown) > top {
		shown = shown[:top]
	}
	table := tabwriter.NewWriter(env.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "series\ta week of late\tshare\tin a year\tgrowth")
	for k := range shown[0].Mean {
		fmt.Fprintf(table, "\tweek from %s", r.End.AddDate(0, 0, 7*k).Format(time.DateOnly))
	}
	fmt.Fprintln(table)
	for _, f := range shown {
		fmt.Fprintf(table, "%s\t%.0f\t%.1f %%\t%s\t%s", f.Name, f.Past, 100*f.Share, percent(f.Year), percent(f.Growth))
		for k, v := range f.Mean {
			fmt.Fprintf(table, "\t%.0f (%.0f to %.0f)", v, f.Low80[k], f.High80[k])
		}
		fmt.Fprintln(table)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(env.Out, "\n%d of %d series forecast, %d shown; %s a week, the 80 %% interval in brackets; %.1f s\n",
		len(r.Forecasts), r.Series, len(shown), r.Measure, r.Seconds)
	return err
}

// percent is a change for people, "-" for one that is not known.
func percent(change *float64) string {
	if change == nil {
		return "-"
	}
	return fmt.Sprintf("%+.0f %%", 100**change)
}
