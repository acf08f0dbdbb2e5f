package engine

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
	"github.com/attune-rec/attune/features/store"
)

// shelf is a catalogue whose changes are read, by item, as the store keeps them.
type shelf struct {
	last map[string]store.Change
	n    int64
	read int
}

func (s *shelf) put(id string, updated time.Time, deleted bool) {
	s.n++
	s.last[id] = store.Change{Number: s.n, Item: features.Item{ID: id, Updated: updated}, Deleted: deleted}
}

func (s *shelf) Changes(_ context.Context, _ features.ShopID, from int64, f func(store.Change) error) (int64, error) {
	for n := from; n <= s.n; n++ {
		for _, c := range s.last {
			if c.Number == n {
				s.read++
				if err := f(c); err != nil {
					return 0, err
				}
			}
		}
	}
	return max(from, s.n+1), nil
}

// Whatever happens to a catalogue, an engine that begins late knows what one
// knows that reads all changes, and reads few of them.
func TestLedger(t *testing.T) {
	ctx, shop := context.Background(), features.ShopID("s")
	day := func(n int) time.Time { return time.Unix(int64(86_400*n), 500).UTC() }
	r := rand.New(rand.NewPCG(5, 6))
	s := &shelf{last: map[string]store.Change{}}
	var base []features.Item
	for i := range 300 {
		it := features.Item{ID: fmt.Sprint(i), Updated: day(i)}
		if i%100 == 99 {
			it.Updated = time.Time{} // of these nobody knows
		}
		base = append(base, it)
		s.put(it.ID, it.Updated, false)
	}
	base = base[20:] // and some only the store has
	begin := func(es *Engines) *Engine {
		e := &Engine{base: base, next: first}
		items, err := catalog.Of(base)
		if err != nil {
			t.Fatal(err)
		}
		e.items.Store(items)
		es.all[e] = shop
		if err := es.sync(ctx, shop, e); err != nil {
			t.Fatal(err)
		}
		return e
	}
	es := New(Options{Changes: s})
	begin(es)
	for round := range 60 {
		for range r.IntN(80) {
			id := fmt.Sprint(r.IntN(320))
			s.put(id, day(1000+round), r.IntN(4) == 0)
		}
		if r.IntN(2) == 0 {
			es.Changed(ctx, shop)
		}
		got, want := begin(es).Catalog(), begin(New(Options{Changes: s})).Catalog()
		if got.Len() != want.Len() {
			t.Fatalf("round %d: got %d rows, want %d", round, got.Len(), want.Len())
		}
		for i := range 320 {
			id := fmt.Sprint(i)
			a, b := find(got, id), find(want, id)
			if (a == nil) != (b == nil) || a != nil && !a.Updated.Equal(b.Updated) {
				t.Fatalf("round %d: item %s: got %+v, want %+v", round, id, a, b)
			}
		}
	}
}

func find(c features.Catalog, id string) *features.Item {
	row, ok := c.Row(id)
	if !ok {
		return nil
	}
	return c.Item(row)
}

// What is old to a release is not read again.
func TestLedgerSparesReading(t *testing.T) {
	ctx, shop := context.Background(), features.ShopID("s")
	s := &shelf{last: map[string]store.Change{}}
	var base []features.Item
	for i := range 1000 {
		it := features.Item{ID: fmt.Sprint(i), Updated: time.Unix(int64(i), 0)}
		base = append(base, it)
		s.put(it.ID, it.Updated, false)
	}
	items, err := catalog.Of(base)
	if err != nil {
		t.Fatal(err)
	}
	es := New(Options{Changes: s})
	es.all[&Engine{}] = shop // another keeps the ledger
	for i, want := range []int{1000, 0, 3} {
		if i == 2 {
			for n := range 3 {
				s.put(fmt.Sprint(n), time.Unix(5000, 0), false)
			}
		}
		e := &Engine{base: base, next: first}
		e.items.Store(items)
		es.all[e] = shop
		s.read = 0
		if err := es.sync(ctx, shop, e); err != nil {
			t.Fatal(err)
		}
		if s.read != want {
			t.Errorf("engine %d: read %d changes, want %d", i, s.read, want)
		}
		if err := es.Free(e); err != nil {
			t.Fatal(err)
		}
	}
}
