package job

import (
	"context"
	"errors"
	"fmt"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/ingest"
	"github.com/attune-rec/attune/features/store"
)

// recordFlags say what is read and where it goes.
type recordFlags struct {
	File         string `arg:"" help:"A table: .csv, .tsv, .jsonl or .parquet, with .gz, .xz or .zst if compressed; or the address of a feed that ends so, https://shop.example/feed.csv.gz."`
	Data         string `default:"data" help:"Data directory; it is made when it is not there." placeholder:"DIR"`
	Shop         string `default:"default" help:"The shop."`
	Encoding     string `enum:"utf-8,windows-1252,latin-1" default:"utf-8" help:"Of text: ${enum}."`
	DecimalComma bool   `help:"Read 1.234,5 as one thousand two hundred and thirty-four and a half."`
}

// ImportUsers brings a table of users into the store. Running it again completes
// an import that was interrupted, and otherwise changes nothing.
type ImportUsers struct {
	recordFlags
	Columns string `required:"" help:"Which column fills which field: id=CustomerID,market=Country,languages=Lang,marketing=Newsletter,attr.club=Club and so on." placeholder:"FIELD=COLUMN,..."`
}

// Validate implements kong's check.
func (c *ImportUsers) Validate() error { return c.check(c.Columns, ingest.UserFields()) }

// Run implements the command.
func (c *ImportUsers) Run(env *Env) error {
	return c.run(env, c.Columns, ingest.UserFields(), func(src ingest.Source, s *store.Store, o ingest.RecordOptions) (ingest.RecordReport, error) {
		return ingest.Users(env.Ctx, src, s, o)
	})
}

// ImportItems brings a table of items into the store, likewise.
type ImportItems struct {
	recordFlags
	Columns  string `required:"" help:"Which column fills which field: id=SKU,title=Name,title.en=NameEN,category=Path,price=Price,price.AT=PriceAT,stock=Stock and so on." placeholder:"FIELD=COLUMN,..."`
	Currency string `help:"Of prices, ISO 4217." default:"EUR"`
}

// Validate implements kong's check.
func (c *ImportItems) Validate() error { return c.check(c.Columns, ingest.ItemFields()) }

// Run implements the command.
func (c *ImportItems) Run(env *Env) error {
	return c.run(env, c.Columns, ingest.ItemFields(), func(src ingest.Source, s *store.Store, o ingest.RecordOptions) (ingest.RecordReport, error) {
		o.Currency = c.Currency
		return ingest.Items(env.Ctx, src, s, o)
	})
}

func (c *recordFlags) check(columns string, fields []string) error {
	if err := features.ShopID(c.Shop).Validate(); err != nil {
		return err
	}
	_, err := ingest.ParseFields(columns, fields)
	return err
}

func (c *recordFlags) run(env *Env, columns string, fields []string, read func(ingest.Source, *store.Store, ingest.RecordOptions) (ingest.RecordReport, error)) (err error) {
	o := ingest.RecordOptions{Shop: features.ShopID(c.Shop), DecimalComma: c.DecimalComma}
	if o.Columns, err = ingest.ParseFields(columns, fields); err != nil {
		return err
	}
	var report ingest.RecordReport
	return c.read(env, &report, func(src ingest.Source, s *store.Store, p func(ingest.Progress)) (err error) {
		o.Progress = p
		report, err = read(src, s, o)
		return err
	})
}

// read calls f with the source and the store, shows how far it is, and writes
// the report out that it filled in.
func (c *recordFlags) read(env *Env, report interface{ Text() string }, f func(ingest.Source, *store.Store, func(ingest.Progress)) error) error {
	err := importInto(env, c.File, c.Encoding, c.Data, func(src ingest.Source, s *store.Store) error {
		bar := env.Progress("import " + src.Name())
		defer bar.Done()
		return f(src, s, func(p ingest.Progress) { bar.Step(int(p.Done), int(p.Total), "") })
	})
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("%w: run it again to complete it", err)
	}
	if err != nil {
		return err
	}
	if env.JSON {
		return env.WriteJSON(report)
	}
	_, err = fmt.Fprint(env.Out, report.Text())
	return err
}
