package steer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/models/pipeline/rule"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const ours = features.ShopID("ours")

// disk is a store that fails when it is told to.
type disk struct {
	store.RuleSets
	mu   sync.Mutex
	fail error
}

func (d *disk) ListRuleSets(ctx context.Context, id features.ShopID, after string, limit int) ([]store.RuleSet, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail != nil {
		return nil, d.fail
	}
	return d.RuleSets.ListRuleSets(ctx, id, after, limit)
}

func (d *disk) broken(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fail = err
}

func keeper(t *testing.T) (*Keeper, *disk) {
	t.Helper()
	st, err := store.Open(context.Background(), store.Options{Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	d := &disk{RuleSets: st}
	return anew(t, d), d
}

func anew(t *testing.T, d *disk) *Keeper {
	t.Helper()
	k, err := New(Options{Store: d, Again: time.Nanosecond, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func keep(id, condition string) Set {
	return Set{Set: rule.Set{ID: id, Rules: []rule.Rule{{Name: "r", Action: rule.Filter, Condition: condition}}}}
}

// left is how many of a catalogue's items the rules let through.
func left(k *Keeper, id features.ShopID, items features.Catalog) int {
	r := &features.Request{Query: features.Query{Shop: id, Surface: "home", Now: time.Unix(1e9, 0), Limit: 5}, Item: features.NoRow, Catalog: items}
	all := features.FullBitmap(items.Len())
	s := k.Steer(r)
	if s == nil {
		return all.Count()
	}
	defer s.Done()
	s.Mask(all)
	n := 0
	all.Each(func(row features.Row) bool {
		if s.Keep(row) {
			n++
		}
		return true
	})
	return n
}

func goods(t *testing.T, dear int) *catalog.Snapshot {
	t.Helper()
	items := make([]features.Item, 10)
	for i := range items {
		items[i] = features.Item{ID: fmt.Sprint(i), Prices: map[string]features.Money{"": features.MoneyOf(1, "EUR")}}
		if i < dear {
			items[i].Prices = map[string]features.Money{"": features.MoneyOf(99, "EUR")}
		}
	}
	c, err := catalog.Of(items)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestChangesHoldAtOnce(t *testing.T) {
	k, d := keeper(t)
	ctx := context.Background()
	items := goods(t, 3)
	if got := left(k, ours, items); got != 10 {
		t.Fatalf("without rules: got %d items, want 10", got)
	}
	set, err := k.Put(ctx, ours, keep("s", "item.price < 50"))
	if err != nil {
		t.Fatal(err)
	}
	k.Warm(t.Context(), ours, items)
	for name, want := range map[features.ShopID]int{ours: 7, "other": 10} {
		if got := left(k, name, items); got != want {
			t.Errorf("shop %s: got %d items, want %d", name, got, want)
		}
	}
	if got := left(k, ours, goods(t, 8)); got != 2 {
		t.Errorf("another catalogue: got %d items, want 2", got)
	}
	if got := left(anew(t, d), ours, items); got != 7 {
		t.Errorf("another server: got %d items, want 7", got)
	}
	if _, err := k.Put(ctx, ours, keep("s2", "item.prize")); err == nil {
		t.Error("a wrong rule: got no error")
	}
	if err := k.Delete(ctx, ours, "s", set.Revision); err != nil {
		t.Fatal(err)
	}
	if got := left(k, ours, items); got != 10 {
		t.Errorf("deleted: got %d items, want 10", got)
	}
}

// A shop whose rules cannot be read is shown nothing, until they can.
func TestUnreadableRulesLetNothingThrough(t *testing.T) {
	k, d := keeper(t)
	ctx := context.Background()
	items := goods(t, 3)
	if _, err := k.Put(ctx, ours, keep("s", "item.price < 50")); err != nil {
		t.Fatal(err)
	}
	other := anew(t, d)
	d.broken(errors.New("disk on fire"))
	if got := left(k, ours, items); got != 7 {
		t.Errorf("read before: got %d items, want 7", got)
	}
	if got := left(other, ours, items); got != 0 {
		t.Errorf("never read: got %d items, want none", got)
	}
	if s := other.Steer(&features.Request{Query: features.Query{Shop: ours}}); len(s.Broken()) != 1 {
		t.Errorf("got broken %v, want the answer to say so", s.Broken())
	}
	if _, err := k.Put(ctx, ours, keep("s", "item.price < 5")); err == nil {
		t.Error("a change that cannot be read: got no error")
	}
	d.broken(nil)
	for name, k := range map[string]*Keeper{"read before": k, "never read": other} {
		if got := left(k, ours, items); got != 7 {
			t.Errorf("%s, mended: got %d items, want 7", name, got)
		}
	}
}

// A rule that this program cannot read any more, as an older or newer one
// stored it.
func TestStoredRuleThatCannotRun(t *testing.T) {
	k, d := keeper(t)
	ctx := context.Background()
	if _, err := d.PutRuleSet(ctx, ours, store.RuleSet{ID: "old", Body: []byte(`{"rules":[{"name":"r","action":"filter","condition":"item.gone"}]}`)}); err != nil {
		t.Fatal(err)
	}
	if got := left(k, ours, goods(t, 3)); got != 0 {
		t.Errorf("got %d items, want none", got)
	}
	if _, err := k.Put(ctx, ours, keep("new", "item.price < 50")); err != nil {
		t.Errorf("a good set beside it: got %v, want no error", err)
	}
	if err := k.Delete(ctx, ours, "old", 0); err != nil {
		t.Fatal(err)
	}
	if got := left(k, ours, goods(t, 3)); got != 7 {
		t.Errorf("deleted: got %d items, want 7", got)
	}
}

func TestTooManySets(t *testing.T) {
	k, d := keeper(t)
	ctx := context.Background()
	for i := range MaxSets {
		if _, err := d.PutRuleSet(ctx, ours, store.RuleSet{ID: fmt.Sprint(i), Body: []byte(`{}`)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := k.Put(ctx, ours, keep("more", "true")); !errors.Is(err, ErrTooMany) {
		t.Errorf("got %v, want ErrTooMany", err)
	}
	if _, err := k.Put(ctx, ours, keep("7", "true")); err != nil {
		t.Errorf("in the place of another: got %v, want no error", err)
	}
}

// Answers go on while rules and catalogues change; run with -race.
func TestChangesUnderTraffic(t *testing.T) {
	k, _ := keeper(t)
	ctx := context.Background()
	shelves := []*catalog.Snapshot{goods(t, 3), goods(t, 8)}
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for i := range 2 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if got := left(k, ours, shelves[i]); got != 10 && got != []int{7, 2}[i] {
					t.Errorf("got %d items, want 10 or %d", got, []int{7, 2}[i])
				}
			}
		})
	}
	for range 20 {
		if _, err := k.Put(ctx, ours, keep("s", "item.price < 50")); err != nil {
			t.Error(err)
		}
		k.Warm(t.Context(), ours, shelves[0])
		if err := k.Delete(ctx, ours, "s", 0); err != nil {
			t.Error(err)
		}
		k.Warm(t.Context(), ours, shelves[1])
	}
	close(stop)
	wg.Wait()
}
