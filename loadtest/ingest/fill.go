// Package ingest measures the way of events: how many a second a server makes
// durable, with millions already stored, how soon one shows in the shopper's
// profile, how fast profiles are read, and what the store costs on disk, at
// start and for training. It fills a data directory through features/store, and
// then starts the server program and speaks to it by gRPC alone.
//
// Start reading at Run.
package ingest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
)

const (
	itemsSold = 20_000
	visitLong = 10 // events of a visit
)

// types are drawn from: much is looked at, little is bought.
var types = [...]features.EventType{
	features.View, features.View, features.View, features.View, features.View, features.Click, features.Click, features.Dwell,
	features.CartAdd, features.Purchase,
}

func userID(n int) string { return fmt.Sprintf("shopper-%06d", n) }
func itemID(n int) string { return fmt.Sprintf("item-%05d", n) }

// popular draws an item, a few of them often.
func popular(rng *rand.Rand) int {
	return min(int(math.Exp(rng.Float64()*math.Log(itemsSold+1)))-1, itemsSold-1)
}

// fill brings the log up to n events of so many shoppers, in visits, over 90
// days until now.
func fill(ctx context.Context, dir string, n int64, users int, tell func(done int64)) error {
	s, err := store.Open(ctx, store.Options{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	return errors.Join(fillStore(ctx, s, n, users, tell), s.Close())
}

func fillStore(ctx context.Context, s *store.Store, n int64, users int, tell func(done int64)) error {
	shop := features.DefaultShop
	names, err := s.Pseudonyms(ctx, shop)
	if err != nil {
		return err
	}
	end, err := s.End(ctx, shop)
	if err != nil {
		return err
	}
	if end == 1 {
		goods := make([]features.Item, 0, 1000)
		for i := range itemsSold {
			goods = append(goods, features.Item{
				ID: itemID(i), Kind: features.Product, Title: fmt.Sprintf("thing %d of sort %d", i, i%97),
				Category: []string{"all", fmt.Sprintf("sort %d", i%97)}, Brand: fmt.Sprintf("brand %d", i%53),
				Prices: map[string]features.Money{"": features.MoneyOf(1+float64(i%200), "EUR")},
			})
			if len(goods) == cap(goods) {
				if err := s.PutItems(ctx, shop, goods); err != nil {
					return err
				}
				goods = goods[:0]
			}
		}
	}
	rng := rand.New(rand.NewPCG(uint64(end), 1))
	keys := make([]features.UserKey, users)
	for i := range keys {
		keys[i] = names.User(userID(i))
	}
	began := time.Now().Add(-90 * 24 * time.Hour)
	step := 90 * 24 * time.Hour / time.Duration(max(n, 1))
	batch := make([]features.Event, 0, store.MaxBatch)
	for done := end - 1; done < n; {
		batch = batch[:0]
		for len(batch) < store.MaxBatch && done < n {
			user, session := keys[rng.IntN(users)], names.Session(fmt.Sprintf("fill-%d", done))
			for range visitLong {
				e := features.Event{
					ID: fmt.Sprintf("fill-%d", done), Type: types[rng.IntN(len(types))], User: user, Session: session, Item: itemID(popular(rng)),
					Time: began.Add(time.Duration(done) * step), Device: "phone", Market: "DE", Channel: "web", Surface: "home",
				}
				if e.Type == features.Purchase {
					e.Quantity, e.Price, e.Order = 1, features.MoneyOf(1+float64(rng.IntN(200)), "EUR"), e.ID
				}
				if e.Type == features.Dwell {
					e.Value = float64(1 + rng.IntN(60))
				}
				batch = append(batch, e)
				done++
			}
		}
		if _, err := s.Append(ctx, shop, batch); err != nil {
			return err
		}
		tell(done)
	}
	const recent = 500_000 // not sealed yet, as in a shop that runs
	if n <= recent {
		return nil
	}
	_, err = s.Seal(ctx, shop, n-recent) // what is due, before anything is measured
	return err
}

// read is how many events a second training reads, all of them once.
func read(ctx context.Context, dir string) (events int64, rate float64, err error) {
	s, err := store.OpenReader(ctx, store.Options{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if _, err := s.End(ctx, features.DefaultShop); err != nil { // opens what there is
		return 0, 0, err
	}
	began := time.Now()
	err = s.Scan(ctx, features.DefaultShop, 0, 0, func(*features.Event) error {
		events++
		return nil
	})
	return events, float64(events) / time.Since(began).Seconds(), err
}

// size is the bytes of a directory.
func size(dir string) (bytes int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err == nil {
			bytes += info.Size()
		}
		return err
	})
	return bytes, err
}
