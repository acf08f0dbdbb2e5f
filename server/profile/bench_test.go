package profile

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
)

// BenchmarkGet reads profiles of 2,000 shoppers with 50 events each: made
// before, made anew from the state, and made from the store.
func BenchmarkGet(b *testing.B) {
	const users, items = 2000, 2000
	ctx := context.Background()
	s, err := store.Open(ctx, store.Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	names, err := s.Pseudonyms(ctx, shopID)
	if err != nil {
		b.Fatal(err)
	}
	var goods []features.Item
	for i := range items {
		goods = append(goods, features.Item{
			ID: fmt.Sprint("item-", i), Category: []string{"all", fmt.Sprint("sort ", i%97)}, Brand: fmt.Sprint("brand ", i%53),
			Prices: map[string]features.Money{"": features.MoneyOf(float64(1+i%200), "EUR")},
		})
	}
	if err := s.PutItems(ctx, shopID, goods); err != nil {
		b.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	keys := make([]features.UserKey, users)
	for u := range keys {
		keys[u] = names.User(fmt.Sprint(u))
	}
	var events []features.Event
	for n := range users * 50 {
		e := features.Event{Type: features.View, User: keys[n%users], Item: fmt.Sprint("item-", rng.IntN(items)), Time: time.Now().Add(-time.Duration(rng.IntN(2000)) * time.Hour)}
		if n%10 == 0 {
			e.Type, e.Price, e.Quantity = features.Purchase, features.MoneyOf(float64(rng.IntN(200)), "EUR"), 1
		}
		if events = append(events, e); len(events) == store.MaxBatch {
			if _, err := s.Append(ctx, shopID, events); err != nil {
				b.Fatal(err)
			}
			events = events[:0]
		}
	}
	k, err := New(Options{Store: s})
	if err != nil {
		b.Fatal(err)
	}
	defer k.Close()
	sh := k.shop(shopID)
	for end, _ := s.End(ctx, shopID); sh.seq.Load() < end-1 || sh.ref.Load() == nil; {
		time.Sleep(time.Millisecond)
	}
	for _, c := range []struct {
		name  string
		spoil func(*entry)
	}{{"made", func(*entry) {}}, {"state", func(e *entry) { e.made = nil }}, {"store", func(e *entry) { e.loaded = false }}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				key := keys[i%users]
				if e, ok := sh.entries.Peek(key); ok {
					e.mu.Lock()
					c.spoil(e)
					e.mu.Unlock()
				}
				if _, err := k.Get(ctx, shopID, key); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
