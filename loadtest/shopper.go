package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/attune-rec/attune/loadtest/shopper"
	"github.com/attune-rec/attune/loadtest/traffic"
)

type shopperCmd struct {
	Target      string        `help:"gRPC address of the server." default:"127.0.0.1:9090"`
	AllowRemote bool          `help:"Send shoppers to a server that is not on this machine."`
	Shop        string        `default:"simulated" help:"The shop; its catalogue is made."`
	Sessions    int           `default:"1000" help:"Sessions in all."`
	Rate        float64       `help:"Sessions a second, whatever becomes of the others; 0: as soon as a worker is free."`
	Workers     int           `default:"8" help:"Sessions at once at most."`
	Items       int           `default:"1000" help:"Items of the shop."`
	Shoppers    int           `default:"500" help:"Shoppers there are."`
	Market      []string      `default:"DE,FR,GB" help:"Markets."`
	Limit       int           `default:"10" help:"Items an answer."`
	Anonymous   float64       `default:"0.2" help:"Share of sessions of nobody known."`
	Bots        float64       `default:"0" help:"Share of sessions of bots."`
	Organic     float64       `default:"0.3" help:"Share of sessions that find an item without help when nothing is clicked."`
	Drift       float64       `default:"0" help:"How much of every taste is another one at the end: 0 to 1."`
	Skip        int           `default:"0" help:"Sessions of earlier runs, whose decisions are not to be repeated."`
	RunID       string        `name:"run" help:"Stands before the ids of events and sessions. Default: the time."`
	Seed        uint64        `default:"1" help:"Of the shop and of its shoppers."`
	Conns       int           `default:"4" help:"Connections."`
	Timeout     time.Duration `default:"5s" help:"Of a call."`
	JSON        bool          `name:"json" help:"Print JSON."`
}

// Run implements the command.
func (c *shopperCmd) Run(ctx context.Context) error {
	if !c.AllowRemote {
		if err := traffic.CheckLoopback(c.Target); err != nil {
			return err
		}
	}
	if c.RunID == "" {
		c.RunID = fmt.Sprintf("%x-", time.Now().UnixNano())
	}
	w, err := shopper.NewWorld(shopper.Options{
		Shop: c.Shop, Seed: c.Seed, Items: c.Items, Shoppers: c.Shoppers, Markets: c.Market, Anon: c.Anonymous, Bots: c.Bots,
		Organic: c.Organic, Drift: c.Drift, Skip: c.Skip, Limit: c.Limit, Run: c.RunID,
	})
	if err != nil {
		return err
	}
	g, err := traffic.DialGRPC(c.Target, c.Conns)
	if err != nil {
		return err
	}
	defer g.Close()
	r, err := shopper.Run(ctx, w, shopper.Remote{Conn: g.Conn, Timeout: c.Timeout}, shopper.Plan{Sessions: c.Sessions, Rate: c.Rate, Workers: c.Workers})
	if err != nil {
		return fmt.Errorf("%w: is the server running at %s?", err, c.Target)
	}
	if c.JSON {
		return writeJSON(os.Stdout, map[string]any{"machine": machine(), "result": r})
	}
	return r.Table(os.Stdout)
}
