package job

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/ingest"
	"github.com/attune-rec/attune/features/store"
)

// ImportEvents brings a file of events into the store, cleaned, with a report. A
// second import of the same file stores nothing anew.
type ImportEvents struct {
	File         string `arg:"" help:"Events: .csv, .tsv, .jsonl or .parquet, with .gz, .xz or .zst if compressed; or the address of a feed that ends so, https://shop.example/feed.csv.gz."`
	Columns      string `required:"" help:"Which column fills which field, user=CustomerID,item=StockCode,time=InvoiceDate and so on, or the name of a mapping: online-retail, dunnhumby." placeholder:"FIELD=COLUMN,..."`
	Data         string `default:"data" help:"Data directory; it is made when it is not there." placeholder:"DIR"`
	Shop         string `default:"default" help:"The shop."`
	Type         string `help:"Event type of rows without a type column; the mapping's when not given." placeholder:"TYPE"`
	Currency     string `help:"Of rows without a currency column."`
	Market       string `help:"Of rows without a market column."`
	Zone         string `help:"Time zone of times that name none, such as Europe/Berlin." default:"UTC"`
	Encoding     string `enum:"utf-8,windows-1252,latin-1" default:"utf-8" help:"Of text: ${enum}."`
	DecimalComma bool   `help:"Read 1.234,5 as one thousand two hundred and thirty-four and a half."`
	NoItems      bool   `help:"Leave the catalogue alone."`
	ItemMarkets  bool   `help:"An item is sold only in the markets that the rows name."`
	Refused      string `help:"Write refused rows to this file and not to the store's dead letters." placeholder:"FILE"`
	Full         bool   `help:"Print every rule with examples."`
	HTML         string `name:"html" help:"Write the report as a page with bars to this file." placeholder:"FILE"`

	Missing    map[string]string `mapsep:"," help:"What to do with rows that lack a field: drop them, fill:VALUE, or, for the price, interpolate it between the item's others: price=interpolate,market=fill:DE,channel=drop." placeholder:"FIELD=WHAT,..."`
	Quarantine []string          `enum:"bot,bulk_buyer" help:"Set the rows of flagged shoppers aside, so that nothing is trained on them: bot, bulk_buyer." placeholder:"KIND,..."`
	Prices     string            `enum:"note,cut,refuse" default:"note" help:"What to do about a price far from what the item usually costs, 20 times at the least: note it in the report, cut it to the limit, or refuse the row."`
}

// Validate implements kong's check.
func (c *ImportEvents) Validate() error {
	if err := features.ShopID(c.Shop).Validate(); err != nil {
		return err
	}
	_, err := c.mapping()
	return err
}

func (c *ImportEvents) mapping() (ingest.Mapping, error) {
	m, err := ingest.ParseColumns(c.Columns)
	if err != nil {
		return m, err
	}
	if c.Type != "" {
		if m.Type, err = features.ParseEventType(c.Type); err != nil {
			return m, fmt.Errorf("--type: %w", err)
		}
	}
	if c.Currency != "" {
		m.Currency = c.Currency
	}
	if c.Market != "" {
		m.Market = c.Market
	}
	if m.Zone, err = time.LoadLocation(c.Zone); err != nil {
		return m, fmt.Errorf("--zone: %w: expected a name such as Europe/Berlin", err)
	}
	m.DecimalComma = m.DecimalComma || c.DecimalComma
	if m.Absent, err = ingest.ParseAbsences(c.Missing); err != nil {
		return m, fmt.Errorf("--missing: %w", err)
	}
	return m, m.Check()
}

// Run implements the command.
func (c *ImportEvents) Run(env *Env) error {
	mapping, err := c.mapping()
	if err != nil {
		return err
	}
	var report ingest.Report
	err = importInto(env, c.File, c.Encoding, c.Data, func(src ingest.Source, s *store.Store) (err error) {
		report, err = c.read(env, src, s, mapping)
		return err
	})
	if err != nil {
		return err
	}
	if c.HTML != "" {
		if err := writeReport(c.HTML, &report); err != nil {
			return err
		}
	}
	switch {
	case env.JSON:
		return env.WriteJSON(report)
	case c.Full:
		_, err = fmt.Fprint(env.Out, report.Text())
		return err
	}
	tellImport(env.Out, &report)
	return nil
}

func (c *ImportEvents) read(env *Env, src ingest.Source, s *store.Store, mapping ingest.Mapping) (_ ingest.Report, err error) {
	o := ingest.Options{Shop: features.ShopID(c.Shop), Mapping: mapping, Quarantine: c.Quarantine, Prices: c.Prices, NoItems: c.NoItems, ItemMarkets: c.ItemMarkets}
	if c.Refused != "" {
		f, err := os.OpenFile(c.Refused, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return ingest.Report{}, fmt.Errorf("--refused: %w", err)
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		o.Sidecar = f
	}
	bar := env.Progress("import " + src.Name())
	defer bar.Done()
	o.Progress = func(p ingest.Progress) {
		bar.Step(int(int64(p.Pass-1)*p.Total+p.Done), int(int64(p.Passes)*p.Total), "")
	}
	return ingest.Import(env.Ctx, src, s, o)
}

func writeReport(path string, r *ingest.Report) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("--html: %w", err)
	}
	return errors.Join(r.HTML(f), f.Close())
}
