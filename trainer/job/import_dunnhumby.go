package job

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/ingest"
	"github.com/attune-rec/attune/features/store"
)

// ImportDunnhumby brings The Complete Journey by dunnhumby into the store:
// products, demographics and transactions, each with a report. A second import
// changes nothing.
type ImportDunnhumby struct {
	Folder string `arg:"" type:"existingdir" help:"Has products.csv, demographics.csv and transactions.csv (or transactions_sample.csv), with .gz, .xz or .zst if compressed."`
	Data   string `default:"data" help:"Data directory; it is made when it is not there." placeholder:"DIR"`
	Shop   string `default:"default" help:"The shop."`
	Full   bool   `help:"Print every rule with examples."`
	HTML   string `name:"html" help:"Write the transactions' report as a page with bars to this file." placeholder:"FILE"`
}

// Validate implements kong's check.
func (c *ImportDunnhumby) Validate() error { return features.ShopID(c.Shop).Validate() }

// dunnhumbyReport is what the command says.
type dunnhumbyReport struct {
	Items  ingest.RecordReport `json:"items"`
	Users  ingest.RecordReport `json:"users"`
	Events ingest.Report       `json:"events"`
}

// Run implements the command.
func (c *ImportDunnhumby) Run(env *Env) (err error) {
	var sources [3]ingest.Source
	for i, names := range [][]string{{"products"}, {"demographics"}, {"transactions", "transactions_sample"}} {
		if sources[i], err = c.find(names); err != nil {
			return err
		}
	}
	s, err := store.Open(env.Ctx, store.Options{Dir: c.Data, Logger: env.Log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	shop := features.ShopID(c.Shop)
	var r dunnhumbyReport
	bar := env.Progress("import " + c.Folder)
	tell := func(p ingest.Progress) { bar.Step(int(p.Done), int(p.Total), "") }
	r.Items, err = ingest.Items(env.Ctx, ingest.Joined(sources[0]), s, ingest.RecordOptions{
		Shop: shop, Columns: ingest.DunnhumbyItems(), Currency: "USD", Progress: tell,
	})
	if err == nil {
		r.Users, err = ingest.Users(env.Ctx, sources[1], s, ingest.RecordOptions{Shop: shop, Columns: ingest.DunnhumbyUsers(), Progress: tell})
	}
	if err == nil {
		r.Events, err = ingest.Import(env.Ctx, sources[2], s, ingest.Options{Shop: shop, Mapping: ingest.Dunnhumby(), NoItems: true, Progress: tell})
	}
	bar.Done()
	if err != nil {
		return err
	}
	if c.HTML != "" {
		if err := writeReport(c.HTML, &r.Events); err != nil {
			return err
		}
	}
	if env.JSON {
		return env.WriteJSON(r)
	}
	if _, err := fmt.Fprintf(env.Out, "%s\n%s\n", r.Items.Text(), r.Users.Text()); err != nil {
		return err
	}
	if c.Full {
		_, err = fmt.Fprint(env.Out, r.Events.Text())
		return err
	}
	tellImport(env.Out, &r.Events)
	return nil
}

// find is the first of the files that is there.
func (c *ImportDunnhumby) find(names []string) (ingest.Source, error) {
	for _, name := range names {
		for _, packing := range []string{"", ".gz", ".xz", ".zst"} {
			path := filepath.Join(c.Folder, name+".csv"+packing)
			if _, err := os.Stat(path); err == nil {
				return ingest.File(path, ingest.Format{})
			}
		}
	}
	return nil, fmt.Errorf("%s has no %s.csv: get The Complete Journey by dunnhumby", c.Folder, names[0])
}
