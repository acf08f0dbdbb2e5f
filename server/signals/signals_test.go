package signals_test

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
	"github.com/attune-rec/attune/features/history"
	"github.com/attune-rec/attune/features/signal"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/server/signals"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const goods, people = 30, 5

var start = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

func person(i int) features.UserKey { return features.UserKey{1, byte(i)} }

func happening(rng *rand.Rand, n int) features.Event {
	at := start.Add(time.Duration(n) * time.Minute)
	if rng.IntN(3) == 0 { // late
		at = at.Add(-time.Duration(rng.IntN(4000)) * time.Minute)
	}
	return features.Event{
		Shop: features.DefaultShop, ID: fmt.Sprint("e", n), User: person(rng.IntN(people)), Item: fmt.Sprint("i", rng.IntN(goods)),
		Type: []features.EventType{features.View, features.CartAdd, features.Purchase, features.Return}[rng.IntN(4)],
		Time: at, Market: []string{"", "FR"}[rng.IntN(2)], Quantity: 1, Price: features.MoneyOf(float64(1+rng.IntN(9)), "EUR"),
	}
}

// values is every signal of every item for a shopper, at the end of events.
func values(t *testing.T, items features.Catalog, state features.State, events []features.Event, who features.UserKey, now time.Time) []float32 {
	t.Helper()
	var mine []features.Event
	for _, e := range events {
		if e.User == who {
			mine = append(mine, e)
		}
	}
	s := history.Of(mine).Shopper(items)
	s.Key, s.Consent = who, features.AllPurposes
	set, err := signal.NewSet()
	if err != nil {
		t.Fatal(err)
	}
	rows := make([]features.Row, items.Len())
	for i := range rows {
		rows[i] = features.Row(i)
	}
	out := make([]float32, len(rows)*set.Width())
	r := &features.Request{
		Query: features.Query{Market: "FR", Now: now}, Shopper: s, Item: features.NoRow, Catalog: items, State: state, Scratch: new(features.Scratch),
	}
	set.Value(r, rows, out)
	return out
}

// What is served while events come in, late ones and ones told out of turn
// included, is what a replay of the log gives, to the bit; a keeper that starts
// later, on the log, has it too.
func TestReplayEqualsLive(t *testing.T) {
	ctx := context.Background()
	st, err := store.Open(ctx, store.Options{Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	var shelf []features.Item
	for i := range goods {
		shelf = append(shelf, features.Item{ID: fmt.Sprint("i", i), Category: []string{fmt.Sprint("c", i%4)}, Prices: map[string]features.Money{"": features.MoneyOf(float64(1+i), "EUR")}})
	}
	items, err := catalog.Of(shelf)
	if err != nil {
		t.Fatal(err)
	}
	keeper, err := signals.New(signals.Options{Log: st, Every: time.Hour}) // nothing but what it is told
	if err != nil {
		t.Fatal(err)
	}
	defer keeper.Close()
	rng := rand.New(rand.NewPCG(4, 2))
	append1 := func(n int) features.Event {
		e := happening(rng, n)
		done, err := st.Append(ctx, features.DefaultShop, []features.Event{e})
		if err != nil {
			t.Fatal(err)
		}
		e.Seq = done[0].Seq
		return e
	}
	for n := range 100 {
		append1(n)
	}
	if keeper.State(features.DefaultShop) != nil {
		t.Fatal("a shop that was not loaded has a state")
	}
	if err := keeper.Load(ctx, features.DefaultShop); err != nil {
		t.Fatal(err)
	}
	type served struct {
		end    int64 // of the log, when it was served
		who    features.UserKey
		now    time.Time
		values []float32
	}
	var log []features.Event
	read := func() {
		log = log[:0]
		if err := st.Scan(ctx, features.DefaultShop, 0, 0, func(e *features.Event) error { log = append(log, *e); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	var answers []served
	for n := 100; n < 400; n += 3 {
		three := []features.Event{append1(n), append1(n + 1), append1(n + 2)}
		var wg sync.WaitGroup
		for _, i := range rng.Perm(3) { // callers are told when they are
			wg.Go(func() { keeper.Stored(features.DefaultShop, three[i:i+1]) })
		}
		wg.Wait()
		read()
		who, now := person(rng.IntN(people)), start.Add(time.Duration(n+5)*time.Minute)
		answers = append(answers, served{three[2].Seq, who, now, values(t, items, keeper.State(features.DefaultShop), log, who, now)})
	}
	set, err := signal.NewSet()
	if err != nil {
		t.Fatal(err)
	}
	memory, at := signal.NewMemory(set), 0
	known := 0
	for i, a := range answers {
		for ; at < len(log) && log[at].Seq <= a.end; at++ {
			memory.Fold(log[at])
		}
		for k, v := range values(t, items, memory, log[:at], a.who, a.now) {
			if math.Float32bits(v) != math.Float32bits(a.values[k]) {
				t.Fatalf("answer %d, number %d: got %v of the replay, want %v as served", i, k, v, a.values[k])
			}
			if v == v && v != 0 {
				known++
			}
		}
	}
	if known == 0 {
		t.Fatal("no signal said anything")
	}
	later, err := signals.New(signals.Options{Log: st, Every: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer later.Close()
	if err := later.Load(ctx, features.DefaultShop); err != nil {
		t.Fatal(err)
	}
	last := answers[len(answers)-1]
	for k, v := range values(t, items, later.State(features.DefaultShop), log, last.who, last.now) {
		if math.Float32bits(v) != math.Float32bits(last.values[k]) {
			t.Fatalf("number %d: got %v of a keeper that started later, want %v", k, v, last.values[k])
		}
	}
}

// Events that nobody told of are found in the log.
func TestFollowsTheLog(t *testing.T) {
	ctx := context.Background()
	st, err := store.Open(ctx, store.Options{Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	keeper, err := signals.New(signals.Options{Log: st, Every: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer keeper.Close()
	if err := keeper.Load(ctx, features.DefaultShop); err != nil {
		t.Fatal(err)
	}
	done, err := st.Append(ctx, features.DefaultShop, []features.Event{happening(rand.New(rand.NewPCG(1, 1)), 1)})
	if err != nil {
		t.Fatal(err)
	}
	memory := keeper.State(features.DefaultShop).(*signal.Memory)
	for memory.Seq() < done[0].Seq {
		time.Sleep(time.Millisecond)
	}
}
