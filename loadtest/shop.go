package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/loadtest/shop"
)

type shopCmd struct {
	Data     string `required:"" help:"Data directory to make; it must not exist, or be empty." placeholder:"DIR" type:"path"`
	Items    int    `default:"100000" help:"Items."`
	Shoppers int    `default:"200000" help:"Shoppers, called u0, u1 and so on."`
	Events   int    `default:"20" help:"Events of each shopper, at least."`
	Factors  int    `default:"64" help:"Length of the items' vectors."`
	Seed     uint64 `default:"1" help:"Of everything random."`
	One      bool   `help:"Learn only what the surface 'one' needs, and publish no other surface: for shops of a million items."`
	Another  string `help:"Only publish one more release of a shop that was made with the same sizes and seed: with items of its own, which this name tells from those of others. It is not promoted." placeholder:"NAME"`
	Rules    bool   `help:"Only put the rules of home-full into the store of a shop that is there."`
}

// Run implements the command.
func (c *shopCmd) Run(ctx context.Context) error {
	if c.Rules {
		return c.rules(ctx)
	}
	if c.Another != "" {
		version, err := shop.Another(ctx, c.Data, c.size(), c.Factors, c.Another, told)
		if err != nil {
			return err
		}
		_, err = fmt.Println(version)
		return err
	}
	if c.Items < 100 || c.Shoppers < 100 || c.Events < 8 {
		return errors.New("expected at least 100 items, 100 shoppers and 8 events of each")
	}
	if left, err := os.ReadDir(c.Data); err == nil && len(left) > 0 {
		return fmt.Errorf("%s is not empty: name a new folder with --data", c.Data)
	}
	err := shop.Make(ctx, c.Data, c.size(), c.Factors, told)
	if err != nil {
		return err
	}
	_, err = fmt.Printf("a shop of %d items and %d shoppers is in %s; serve it with 'server --data %s'\n", c.Items, c.Shoppers, c.Data, c.Data)
	return err
}

func (c *shopCmd) size() shop.Size {
	return shop.Size{Items: c.Items, Shoppers: c.Shoppers, Events: c.Events, Seed: c.Seed, One: c.One}
}

func told(stage string, took time.Duration) {
	fmt.Fprintf(os.Stderr, "%-28s %8.1f s\n", stage, took.Seconds())
}

func (c *shopCmd) rules(ctx context.Context) error {
	st, err := store.Open(ctx, store.Options{Dir: c.Data, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	return errors.Join(shop.PutRules(ctx, st), st.Close())
}
