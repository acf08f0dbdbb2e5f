package job

import (
	"errors"
	"fmt"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/risk"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/trainer/attack"
)

// Risk tells which shoppers of a log look like an attack, or measures how well
// planted attacks are found in it. It changes nothing: the server keeps the
// flags and what is decided of them.
type Risk struct {
	Dir   string  `name:"data" required:"" help:"Data directory of the shop's store, which is read beside a running server." type:"existingdir" placeholder:"DIR"`
	Shop  string  `help:"The shop." default:"default"`
	Least float64 `help:"Tell flags of this score and more." default:"0.8"`
	Judge int     `help:"Plant every kind of attack in the log's purchases, with so many seeds, and tell what is found of them; 0: tell who is flagged." default:"0" placeholder:"SEEDS"`
	Seed  uint64  `help:"The first seed." default:"1"`
}

// Validate implements kong's check.
func (r *Risk) Validate() error {
	switch {
	case features.ShopID(r.Shop).Validate() != nil:
		return fmt.Errorf("--shop: %w", features.ShopID(r.Shop).Validate())
	case !(r.Least > 0 && r.Least <= 1):
		return errors.New("--least: expected more than 0, and 1 at most")
	case r.Judge < 0:
		return errors.New("--judge: expected 0 or more")
	}
	return nil
}

// named is a flag with the id it has in the server.
type named struct {
	ID      string `json:"id"`
	Subject string `json:"subject"`
	risk.Flag
}

// Run implements the command.
func (r *Risk) Run(env *Env) (err error) {
	st, err := store.OpenReader(env.Ctx, store.Options{Dir: r.Dir, Logger: env.Log})
	if err != nil {
		return fmt.Errorf("--data: %w", err)
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	if r.Judge > 0 {
		return r.judge(env, st)
	}
	bar := env.Progress("read the log")
	a := risk.New(risk.Options{Least: r.Least})
	n := 0
	err = st.Scan(env.Ctx, features.ShopID(r.Shop), 0, 0, func(e *features.Event) error {
		n++
		a.Fold(e)
		return nil
	})
	bar.Done()
	if err != nil {
		return err
	}
	all := []named{}
	for _, f := range a.Flags() {
		all = append(all, named{f.ID(), f.Subject.String(), f})
	}
	if env.JSON {
		return env.WriteJSON(map[string]any{"events": n, "least": r.Least, "flags": all})
	}
	for i := range all {
		fmt.Fprintf(env.Out, "%.2f %s, %d events from %s to %s\n", all[i].Score, all[i].ID, all[i].Events, all[i].First.Format("2006-01-02"), all[i].Last.Format("2006-01-02"))
		for _, why := range all[i].Reasons {
			fmt.Fprintf(env.Out, "     %.2f %s\n", why.Weight, why.Text)
		}
	}
	_, err = fmt.Fprintf(env.Out, "%d flags in %d events\n", len(all), n)
	return err
}

func (r *Risk) judge(env *Env, st *store.Store) error {
	var bought []features.Event
	err := st.Scan(env.Ctx, features.ShopID(r.Shop), 0, 0, func(e *features.Event) error {
		if e.Type == features.Purchase || e.Type == features.Return {
			bought = append(bought, *e)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(bought) < 1000 {
		return fmt.Errorf("shop %s has %d purchases and returns in %s: planting attacks needs at least 1000", r.Shop, len(bought), r.Dir)
	}
	items, err := attack.CatalogOf(bought)
	if err != nil {
		return err
	}
	bar := env.Progress("plant and judge")
	defer bar.Done()
	var seeds []uint64
	for n := range r.Judge {
		seeds = append(seeds, r.Seed+uint64(n)) // #nosec G115 -- above 0
	}
	report, err := attack.Judge(env.Ctx, bought, items, seeds, r.Least)
	if err != nil {
		return err
	}
	if env.JSON {
		return env.WriteJSON(report)
	}
	return report.WriteText(env.Out)
}
