package job

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/ingest"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/models/release"
	"github.com/attune-rec/attune/trainer/demo"
	"github.com/attune-rec/attune/trainer/retrain"
)

// Demo takes the bundled shop from its raw file to a release that is served.
type Demo struct {
	Data   string `help:"Data directory; it is made when it is not there, and what is there is used again." default:".demo" placeholder:"DIR"`
	Write  string `help:"Write what came of it to this file, in Markdown; the data directory must be new." placeholder:"FILE"`
	Seed   uint64 `help:"Of everything random." default:"1"`
	Judged int    `help:"Purchase sessions of the last days whose answers are judged, a sample; 0 takes all." default:"500"`
}

// tour is what the server shows of the demo; it lies in the data directory.
type tour struct {
	Shop    string `json:"shop"`
	Shopper string `json:"shopper"`
	Market  string `json:"market"`
}

const (
	tourFile   = "demo.json"
	importFile = "import.json" // the cleaning report
	reportFile = "report.json" // what the models were judged by
)

// Run implements the command.
func (d *Demo) Run(env *Env) (err error) {
	began := time.Now()
	if done, err := d.reuse(env); done || err != nil {
		if done && d.Write != "" {
			return fmt.Errorf("--write tells of a run from the start: choose a new --data, or remove %s", d.Data)
		}
		return err
	}
	s, err := store.Open(env.Ctx, store.Options{Dir: d.Data, Logger: env.Log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	cleaned, err := d.load(env, s)
	if err != nil {
		return err
	}
	imported := time.Since(began)
	to, err := release.OpenStore(env.Ctx, filepath.Join(d.Data, "releases"), "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	plan := retrain.Default()
	plan.Seed, plan.Judged = d.Seed, d.Judged
	out, err := retrain.Run(env.Ctx, s, features.DefaultShop, to, plan, env.watch)
	if err != nil {
		return err
	}
	if err := d.keep(reportFile, out); err != nil {
		return err
	}
	if _, err := release.Promote(env.Ctx, to, features.DefaultShop, out.Version, release.Change{By: "trainer demo"}); err != nil {
		return err
	}
	shopper, err := d.shopper()
	if err != nil {
		return err
	}
	if err := d.keep(tourFile, shopper); err != nil {
		return err
	}
	if d.Write != "" {
		p := page{cleaned: cleaned, out: out, imported: imported, took: time.Since(began), peakRSS: peakRSS()}
		if err := writeFile(d.Write, p.write); err != nil {
			return fmt.Errorf("--write: %w", err)
		}
	}
	if env.JSON {
		return env.WriteJSON(map[string]any{"import": cleaned, "release": out, "seconds": time.Since(began).Seconds(), "peak_rss_bytes": peakRSS()})
	}
	d.tell(env.Out, cleaned, out)
	_, err = fmt.Fprintf(env.Out, "\n%.1f s in all, at most %d MB of memory. The reports are in %s and %s.\n",
		time.Since(began).Seconds(), peakRSS()>>20, filepath.Join(d.Data, importFile), filepath.Join(d.Data, reportFile))
	return err
}

// reuse reports whether an earlier run has done it all.
func (d *Demo) reuse(env *Env) (bool, error) {
	if _, err := os.Stat(filepath.Join(d.Data, tourFile)); err != nil {
		return false, nil
	}
	to, err := release.OpenStore(env.Ctx, filepath.Join(d.Data, "releases"), "")
	if err != nil {
		return false, err
	}
	defer to.Close()
	state, err := release.Current(env.Ctx, to, features.DefaultShop)
	if err != nil {
		return false, nil // it is made anew
	}
	_, err = fmt.Fprintf(env.Err, "release %s is in %s already and is used again; 'rm -r %s' starts over\n", state.Stable, d.Data, d.Data)
	return true, err
}

// load imports the bundled file; events that are there already are not stored
// twice.
func (d *Demo) load(env *Env, s *store.Store) (*ingest.Report, error) {
	in, size := demo.Open()
	bar := env.Progress("import " + demo.FileName)
	defer bar.Done()
	report, err := ingest.Import(env.Ctx, ingest.Parquet(demo.FileName, in, size), s, ingest.Options{
		Mapping: ingest.OnlineRetail(),
		Progress: func(p ingest.Progress) {
			bar.Step(int(int64(p.Pass-1)*p.Total+p.Done), int(int64(p.Passes)*p.Total), "")
		},
	})
	if err != nil {
		return nil, err
	}
	return &report, d.keep(importFile, report)
}

// keep writes v into the data directory.
func (d *Demo) keep(name string, v any) error {
	return writeFile(filepath.Join(d.Data, name), func(w io.Writer) error {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(v)
	})
}

// shopper is whom the tour shows: one of a market other than the shop's own,
// with a history that fits on a screen.
func (d *Demo) shopper() (tour, error) {
	const market, items = "Germany", 25
	bought, err := purchasesIn(market)
	if err != nil {
		return tour{}, err
	}
	off := func(id string) int { return max(len(bought[id])-items, items-len(bought[id])) }
	best := ""
	for id := range bought {
		if best == "" || off(id) < off(best) || (off(id) == off(best) && id < best) {
			best = id
		}
	}
	if best == "" {
		return tour{}, fmt.Errorf("%s has no shopper of %s", demo.FileName, market)
	}
	return tour{Shop: string(features.DefaultShop), Shopper: best, Market: market}, nil
}

// purchasesIn is what each customer of the market bought, by code.
func purchasesIn(market string) (bought map[string]map[string]bool, err error) {
	in, size := demo.Open()
	rows, err := ingest.Parquet(demo.FileName, in, size).Open()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	if err := rows.Bind([]string{"CustomerID", "StockCode", "Quantity", "Country"}); err != nil {
		return nil, err
	}
	bought = map[string]map[string]bool{}
	for {
		var row ingest.Row
		err := rows.Next(&row)
		if errors.Is(err, io.EOF) {
			return bought, nil
		}
		if err != nil {
			return nil, err
		}
		customer, code, quantity := row.Values[0], row.Values[1], row.Values[2]
		if row.Values[3] != market || customer == "" || code == "" || strings.HasPrefix(quantity, "-") {
			continue
		}
		if bought[customer] == nil {
			bought[customer] = map[string]bool{}
		}
		bought[customer][code] = true
	}
}
