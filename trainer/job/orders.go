package job

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/models/rules"
)

// orders is baskets out of a shop's log: what a shopper bought under one order,
// or on one day (UTC) where events name none.
type orders struct {
	Data    string    `help:"Data directory: mine the orders of a shop in it, beside a running server." type:"existingdir" placeholder:"DIR"`
	Shop    string    `help:"With --data: the shop." default:"default"`
	Market  string    `help:"With --data: orders of this market alone."`
	From    time.Time `help:"With --data: orders from this day on (UTC)." format:"2006-01-02" placeholder:"DAY"`
	To      time.Time `help:"With --data: orders before this day (UTC)." format:"2006-01-02" placeholder:"DAY"`
	Bundles string    `help:"With --data: write the goods of the rules shown as items of kind bundle, one JSON object a line, for 'trainer import items'." placeholder:"FILE"`
}

func (o *orders) check(file string) error {
	switch {
	case (file == "") == (o.Data == ""):
		return errors.New("give a file of baskets, or --data with a shop's log: one of both")
	case file != "" && (o.Market != "" || !o.From.IsZero() || !o.To.IsZero() || o.Bundles != ""):
		return errors.New("--market, --from, --to and --bundles go with --data: a file of baskets says nothing of them")
	case !o.From.IsZero() && !o.To.IsZero() && !o.From.Before(o.To):
		return fmt.Errorf("--from %s is not before --to %s", o.From.Format(time.DateOnly), o.To.Format(time.DateOnly))
	}
	return features.ShopID(o.Shop).Validate()
}

// read is the baskets of shoppers who agreed to analytics, quarantined ones left
// out, in the order of the log.
func (o *orders) read(env *Env) (*rules.Baskets, *rules.Dictionary, error) {
	st, err := store.OpenReader(env.Ctx, store.Options{Dir: o.Data, Logger: env.Log})
	if err != nil {
		return nil, nil, fmt.Errorf("--data: %w", err)
	}
	defer st.Close()
	type order struct {
		who  features.UserKey
		name string
	}
	places := map[order]int{}
	var all [][]int32
	names := new(rules.Dictionary)
	err = dataset.Agreed(env.Ctx, st, features.ShopID(o.Shop), features.Analytics, func(who features.UserKey, e *features.Event) error {
		if e.Type != features.Purchase || o.Market != "" && e.Market != o.Market || e.Time.Before(o.From) || !o.To.IsZero() && !e.Time.Before(o.To) {
			return nil
		}
		in := order{who, "o" + e.Order}
		if e.Order == "" {
			if who.IsZero() {
				return nil // nothing says what belongs together
			}
			in.name = "d" + e.Time.UTC().Format(time.DateOnly)
		}
		at, known := places[in]
		if !known {
			at = len(all)
			places[in] = at
			all = append(all, nil)
		}
		all[at] = append(all[at], names.Add(e.Item))
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	if len(all) == 0 {
		return nil, nil, fmt.Errorf("shop %s has no orders of shoppers who agreed to analytics in that market and time: ask for more, or import some", o.Shop)
	}
	baskets := new(rules.Baskets)
	for _, items := range all {
		if err := baskets.Add(items...); err != nil {
			return nil, nil, err
		}
	}
	return baskets, names, nil
}

// proposed is a bundle as 'trainer import items' reads it.
type proposed struct {
	ID    string   `json:"id"`
	Kind  string   `json:"kind"`
	Title string   `json:"title"`
	Links []string `json:"links"`
	Price string   `json:"price,omitempty"` // of all together
}

// bundle writes the sets of goods that the rules are about, each once, in the
// order of the rules. A set with goods that the catalogue does not have, or that
// are bundles themselves, is left out; one without a price of each has none.
func (o *orders) bundle(env *Env, rows []ruleRow) (err error) {
	st, err := store.OpenReader(env.Ctx, store.Options{Dir: o.Data, Logger: env.Log})
	if err != nil {
		return fmt.Errorf("--data: %w", err)
	}
	defer st.Close()
	out, err := os.Create(o.Bundles)
	if err != nil {
		return fmt.Errorf("--bundles: %w", err)
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	seen := map[string]bool{}
	write := json.NewEncoder(out)
	for _, row := range rows {
		p := proposed{Kind: string(features.Bundle), Links: slices.Sorted(slices.Values(slices.Concat(row.Antecedent, row.Consequent)))}
		p.ID = "bundle:" + strings.Join(p.Links, "+")
		if seen[p.ID] {
			continue
		}
		seen[p.ID] = true
		var titles []string
		sum, priced := int64(0), true
		for _, id := range p.Links {
			it, err := st.GetItem(env.Ctx, features.ShopID(o.Shop), id)
			if errors.Is(err, store.ErrNotFound) || err == nil && it.Kind == features.Bundle {
				titles = nil
				break
			}
			if err != nil {
				return err
			}
			titles = append(titles, it.Title)
			price := it.PriceIn(o.Market)
			sum, priced = sum+price.Micros, priced && price.Micros > 0
		}
		if titles == nil {
			continue
		}
		if p.Title = strings.Join(titles, " + "); priced {
			p.Price = fmt.Sprintf("%.2f", float64(sum)/1e6)
		}
		if err := write.Encode(p); err != nil {
			return fmt.Errorf("--bundles: %w", err)
		}
	}
	return nil
}
