package job

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/attune-rec/attune/models/forecast"
)

// ForecastCmd forecasts series: those of a competition, which it scores, or a
// table of dated values.
type ForecastCmd struct {
	File     string        `arg:"" help:"Series; .gz, .zst and .xz are unpacked."`
	TestFile string        `arg:"" optional:"" help:"With --format m4: the test values."`
	Format   string        `enum:"m3,m4,csv" default:"csv" help:"Form of the file: ${enum}. csv has the columns date, series, value."`
	Horizon  int           `default:"12" help:"With --format csv: steps to forecast."`
	Every    forecast.Step `default:"day" help:"With --format csv: day, week or month."`
	Season   []int         `help:"With --format csv: lengths of the seasons in steps, rising; by default 7 days, 52 weeks or 12 months."`
	Workers  int           `default:"0" help:"Goroutines; 0 for one per processor."`
}

// forecastReport is what the command prints.
type forecastReport struct {
	Periods      map[string]*periodReport `json:"periods,omitempty"`   // of a competition
	Pooled       *periodReport            `json:"pooled,omitempty"`    // over all series with test values
	Forecasts    []seriesForecast         `json:"forecasts,omitempty"` // of a table
	Choices      []forecast.Choice        `json:"choices"`
	Seconds      float64                  `json:"seconds"` // without reading
	ReadSeconds  float64                  `json:"read_seconds"`
	PeakRSSBytes int64                    `json:"peak_rss_bytes"`
}

// periodReport scores the series of a period against their test values.
type periodReport struct {
	Series     int      `json:"series"`
	Tested     int      `json:"tested"`
	SMAPE      *float64 `json:"smape"` // null where nothing is tested
	Coverage80 *float64 `json:"coverage80"`
	Coverage95 *float64 `json:"coverage95"`

	sum                float64
	in80, in95, points int
}

type seriesForecast struct {
	Series string    `json:"series"`
	Dates  []string  `json:"dates"`
	Mean   []float64 `json:"mean"`
	Low80  []float64 `json:"low80"`
	High80 []float64 `json:"high80"`
	Low95  []float64 `json:"low95"`
	High95 []float64 `json:"high95"`
}

// Run reads the series, forecasts them and writes the report.
func (c *ForecastCmd) Run(env *Env) error {
	report := &forecastReport{}
	var err error
	switch {
	case c.Format == "m4" && c.TestFile == "":
		return errors.New("--format m4 takes two files: train and test")
	case c.Format != "m4" && c.TestFile != "":
		return fmt.Errorf("--format %s takes one file", c.Format)
	case c.Format == "csv":
		err = c.table(env.Ctx, report)
	default:
		err = c.competition(env.Ctx, report)
	}
	if err != nil {
		return err
	}
	report.PeakRSSBytes = peakRSS()
	if env.JSON {
		return env.WriteJSON(report)
	}
	return report.write(env.Out)
}

// competition forecasts tasks period by period and scores them.
func (c *ForecastCmd) competition(ctx context.Context, report *forecastReport) error {
	start := time.Now()
	tasks, err := c.readTasks()
	if err != nil {
		return err
	}
	read := time.Now()
	report.ReadSeconds = read.Sub(start).Seconds()
	type group struct {
		period  string
		horizon int
	}
	groups := map[group][]forecast.Task{}
	var order []group
	for _, t := range tasks {
		g := group{t.Period, t.Horizon}
		if groups[g] == nil {
			order = append(order, g)
		}
		groups[g] = append(groups[g], t)
	}
	report.Periods, report.Pooled = map[string]*periodReport{}, &periodReport{}
	for _, g := range order {
		series := make([]forecast.Series, len(groups[g]))
		for i, t := range groups[g] {
			series[i] = t.Series
		}
		found, choices, err := forecast.Auto(ctx, series, g.horizon,
			forecast.Options{Loss: forecast.SymmetricError, Workers: c.Workers})
		if err != nil {
			return fmt.Errorf("%s: %w", c.File, err)
		}
		report.Choices = append(report.Choices, choices...)
		if report.Periods[g.period] == nil {
			report.Periods[g.period] = &periodReport{}
		}
		for i, f := range found {
			report.Periods[g.period].add(f, groups[g][i].Test)
			report.Pooled.add(f, groups[g][i].Test)
		}
	}
	for _, p := range report.Periods {
		p.finish()
	}
	report.Pooled.finish()
	report.Seconds = time.Since(read).Seconds()
	return nil
}

func (c *ForecastCmd) readTasks() ([]forecast.Task, error) {
	in, err := openInput(c.File)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	var tasks []forecast.Task
	if c.Format == "m3" {
		tasks, err = forecast.ReadM3(in)
		err = atLine(c.File, err)
	} else {
		test, openErr := openInput(c.TestFile)
		if openErr != nil {
			return nil, openErr
		}
		defer test.Close()
		if tasks, err = forecast.ReadM4(in, test); err != nil {
			err = fmt.Errorf("%s, %s: %w", c.File, c.TestFile, err)
		}
	}
	if err == nil && len(tasks) == 0 {
		err = fmt.Errorf("%s: no series below the header", c.File)
	}
	return tasks, err
}

// atLine puts the file, and the line where there is one, before an error.
func atLine(file string, err error) error {
	var line *forecast.LineError
	if errors.As(err, &line) {
		return fmt.Errorf("%s:%d: %w", file, line.Line, line.Err)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// table forecasts a CSV of dated values.
func (c *ForecastCmd) table(ctx context.Context, report *forecastReport) error {
	start := time.Now()
	in, err := openInput(c.File)
	if err != nil {
		return err
	}
	defer in.Close()
	seasons := c.Season
	if len(seasons) == 0 {
		seasons = map[forecast.Step][]int{forecast.Day: {7}, forecast.Week: {52}, forecast.Month: {12}}[c.Every]
	}
	dated, err := forecast.ReadCSV(in, c.Every, seasons)
	if err != nil {
		return atLine(c.File, err)
	}
	if len(dated) == 0 {
		return fmt.Errorf("%s: no rows below the header", c.File)
	}
	read := time.Now()
	series := make([]forecast.Series, len(dated))
	for i, d := range dated {
		series[i] = d.Series
	}
	found, choices, err := forecast.Auto(ctx, series, c.Horizon, forecast.Options{Workers: c.Workers})
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	report.Choices = choices
	for i, f := range found {
		row := seriesForecast{Series: f.Name, Mean: f.Mean, Low80: f.Low80, High80: f.High80, Low95: f.Low95, High95: f.High95}
		for k := range f.Mean {
			row.Dates = append(row.Dates, dated[i].Date(len(dated[i].Values)+k).Format(time.DateOnly))
		}
		report.Forecasts = append(report.Forecasts, row)
	}
	report.ReadSeconds, report.Seconds = read.Sub(start).Seconds(), time.Since(read).Seconds()
	return nil
}

func (p *periodReport) add(f forecast.Forecast, test []float64) {
	p.Series++
	if test == nil {
		return
	}
	p.Tested++
	p.sum += forecast.SMAPE(test, f.Mean)
	in80, n := forecast.Coverage(test, f.Low80, f.High80)
	in95, _ := forecast.Coverage(test, f.Low95, f.High95)
	p.in80, p.in95, p.points = p.in80+in80, p.in95+in95, p.points+n
}

func (p *periodReport) finish() {
	if p.Tested == 0 {
		return
	}
	share := func(part float64, whole int) *float64 {
		v := part / float64(whole)
		return &v
	}
	p.SMAPE = share(p.sum, p.Tested)
	p.Coverage80, p.Coverage95 = share(float64(p.in80), p.points), share(float64(p.in95), p.points)
}

// write prints the report for people.
func (r *forecastReport) write(out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if r.Pooled != nil {
		fmt.Fprintln(table, "period\tseries\ttested\tsMAPE\tin 80 %\tin 95 %")
		row := func(name string, p *periodReport) {
			if p.SMAPE == nil {
				fmt.Fprintf(table, "%s\t%d\t0\t-\t-\t-\n", name, p.Series)
				return
			}
			fmt.Fprintf(table, "%s\t%d\t%d\t%.3f\t%.2f %%\t%.2f %%\n", name, p.Series, p.Tested, *p.SMAPE, 100**p.Coverage80, 100**p.Coverage95)
		}
		var names []string
		for name := range r.Periods {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			row(name, r.Periods[name])
		}
		row("all", r.Pooled)
	} else {
		fmt.Fprintln(table, "series\tdate\tmean\t80 %\t95 %")
		for _, f := range r.Forecasts {
			for k, date := range f.Dates {
				fmt.Fprintf(table, "%s\t%s\t%.4g\t%.4g to %.4g\t%.4g to %.4g\n",
					f.Series, date, f.Mean[k], f.Low80[k], f.High80[k], f.Low95[k], f.High95[k])
			}
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out)
	for _, c := range r.Choices {
		var parts []string
		for name, weight := range c.Weights {
			parts = append(parts, fmt.Sprintf("%s %.2f", name, weight))
		}
		slices.Sort(parts)
		fmt.Fprintf(out, "seasons %v, %d series: %s; %.0f %% by each series' own errors\n", c.Seasons, c.Series, strings.Join(parts, ", "), 100*c.Own)
	}
	_, err := fmt.Fprintf(out, "%.3f s after reading in %.3f s; peak memory %.0f MB\n", r.Seconds, r.ReadSeconds, float64(r.PeakRSSBytes)/1e6)
	return err
}
