package job

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/models/forecast/customer"
	"github.com/attune-rec/attune/models/forecast/demand"
)

// Books is where the sales of a shop are read from.
type Books struct {
	Dir  string `name:"data" required:"" help:"Data directory of the shop's store, which is read beside a running server." type:"existingdir" placeholder:"DIR"`
	Shop string `help:"The shop." default:"default"`
}

func (b *Books) validate() error {
	if err := features.ShopID(b.Shop).Validate(); err != nil {
		return fmt.Errorf("--shop: %w", err)
	}
	return nil
}

// purchases calls f for every purchase in the shop's log whose person agreed to
// analytics, and that person, merged ones as one.
func (b *Books) purchases(env *Env, f func(st *store.Store, person features.UserKey, e *features.Event) error) error {
	st, err := store.OpenReader(env.Ctx, store.Options{Dir: b.Dir, Logger: env.Log})
	if err != nil {
		return fmt.Errorf("--data: %w", err)
	}
	defer st.Close()
	found := false
	err = dataset.Agreed(env.Ctx, st, features.ShopID(b.Shop), features.Analytics, func(person features.UserKey, e *features.Event) error {
		if e.Type != features.Purchase {
			return nil
		}
		found = true
		return f(st, person, e)
	})
	if err == nil && !found {
		err = fmt.Errorf("shop %s has no purchases of shoppers who agreed to analytics in %s: import or collect some, or name another with --shop", b.Shop, b.Dir)
	}
	return err
}

// separator stands between the fields in the name of a series.
const separator = " | "

// revenue is a measure of sales: in the currency of the purchase, a series for
// each. The other is pieces.
const revenue = "revenue"

// sales reads every purchase as a sale named by its fields, measured in pieces
// or revenue, and the time just after the latest. Purchases without a price have
// no revenue.
func (b *Books) sales(env *Env, by []string, measure string) (sales []demand.Sale, end time.Time, err error) {
	categories := map[string]string{}
	err = b.purchases(env, func(st *store.Store, _ features.UserKey, e *features.Event) error {
		var parts []string
		amount := math.Max(1, float64(e.Quantity))
		if measure == revenue {
			if amount *= e.Price.Units(); amount <= 0 {
				return nil
			}
			parts = append(parts, e.Price.Currency)
		}
		for _, field := range by {
			part := ""
			switch field {
			case "item":
				part = e.Item
			case "market":
				part = e.Market
			case "channel":
				part = e.Channel
			case "category":
				known, ok := categories[e.Item]
				if !ok {
					item, err := st.GetItem(env.Ctx, features.ShopID(b.Shop), e.Item)
					if err != nil && !errors.Is(err, store.ErrNotFound) {
						return err
					}
					if len(item.Category) > 0 {
						known = item.Category[len(item.Category)-1]
					}
					categories[e.Item] = known
				}
				part = known
			case "all":
				part = "all"
			}
			if part == "" {
				part = "-"
			}
			parts = append(parts, part)
		}
		sales = append(sales, demand.Sale{Time: e.Time, Name: strings.Join(parts, separator), Amount: amount})
		if !e.Time.Before(end) {
			end = e.Time.Add(1)
		}
		return nil
	})
	if err == nil && len(sales) == 0 {
		err = fmt.Errorf("no purchase of shop %s has a price: ask for --measure pieces", b.Shop)
	}
	return sales, end, err
}

// customers are the purchases of every known shopper, merged ones as one, and
// the time of the latest.
func (b *Books) customers(env *Env) (keys []features.UserKey, purchases [][]customer.Purchase, until time.Time, err error) {
	places := map[features.UserKey]int{}
	err = b.purchases(env, func(_ *store.Store, user features.UserKey, e *features.Event) error {
		at, ok := places[user]
		if !ok {
			at = len(keys)
			places[user] = at
			keys, purchases = append(keys, user), append(purchases, nil)
		}
		purchases[at] = append(purchases[at], customer.Purchase{Time: e.Time, Value: e.Price.Units() * math.Max(1, float64(e.Quantity))})
		if e.Time.After(until) {
			until = e.Time
		}
		return nil
	})
	return keys, purchases, until, err
}
