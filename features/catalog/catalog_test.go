package catalog_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

var (
	marketNames = []string{"DE", "FR", "IT", "CN"}
	asked       = []string{"DE", "FR", "IT", "CN", "XX", ""}
)

// randomItem draws from few values, so that sets overlap and change.
func randomItem(rng *rand.Rand, id string) *features.Item {
	it := &features.Item{
		ID: id, Kind: features.Product, Brand: pick(rng, "", "a", "b", "c"), Seller: pick(rng, "", "s", "t"), Group: pick(rng, "", "g", "h"), Sponsor: pick(rng, "", "them"),
		Language: pick(rng, "", "en", "de"), Hidden: rng.IntN(10) == 0,
	}
	for range rng.IntN(4) {
		it.Category = append(it.Category, pick(rng, "x", "y"))
	}
	for range rng.IntN(4) {
		it.Tags = append(it.Tags, pick(rng, "t1", "t2", "t3"))
	}
	if rng.IntN(2) == 0 {
		for range 1 + rng.IntN(2) {
			it.Markets = append(it.Markets, pick(rng, marketNames...))
		}
	}
	if rng.IntN(2) == 0 {
		it.Stock = map[string]int32{}
		for range 1 + rng.IntN(2) {
			it.Stock[pick(rng, "", "DE", "FR", "JP")] = int32(rng.IntN(2))
		}
	}
	if rng.IntN(3) == 0 {
		it.Variants = map[string]features.Text{"zh": {Title: "x"}}
	}
	if rng.IntN(3) == 0 {
		it.SaleStart = epoch.Add(time.Duration(rng.IntN(48)) * time.Hour)
	}
	if rng.IntN(3) == 0 {
		it.SaleEnd = epoch.Add(time.Duration(rng.IntN(48)) * time.Hour)
	}
	if rng.IntN(3) > 0 {
		it.Created = epoch.Add(time.Duration(rng.IntN(20)) * time.Hour)
	}
	return it
}

func pick(rng *rand.Rand, of ...string) string { return of[rng.IntN(len(of))] }

// twin is the catalogue as a list.
type twin struct {
	ids   []string
	items []*features.Item
}

func (w *twin) apply(changes []catalog.Change) {
	for _, c := range changes {
		at := slices.Index(w.ids, c.Item.ID)
		switch {
		case at < 0 && c.Deleted:
			continue
		case at < 0:
			at = len(w.ids)
			w.ids, w.items = append(w.ids, c.Item.ID), append(w.items, nil)
		}
		if w.items[at] = c.Item; c.Deleted {
			w.items[at] = nil
		}
	}
}

// where lists the rows whose item has.
func (w *twin) where(has func(it *features.Item) bool) []features.Row {
	var rows []features.Row
	for i, it := range w.items {
		if it != nil && has(it) {
			rows = append(rows, features.Row(i))
		}
	}
	return rows
}

func (w *twin) check(t *testing.T, s *catalog.Snapshot, step int) {
	t.Helper()
	if s.Len() != len(w.ids) {
		t.Fatalf("step %d: got %d rows, want %d", step, s.Len(), len(w.ids))
	}
	for i, id := range w.ids {
		row, ok := s.Row(id)
		if !ok || row != features.Row(i) || s.ID(row) != id || s.Item(row) != w.items[i] {
			t.Fatalf("step %d: %s: got row %d, %v, id %q, want row %d", step, id, row, ok, s.ID(row), i)
		}
	}
	w.checkCodes(t, s, step)
	same := func(what string, b *features.Bitmap, has func(it *features.Item) bool) {
		t.Helper()
		if got, want := b.AppendRows(nil), w.where(has); !slices.Equal(got, want) {
			t.Fatalf("step %d: %s: got rows %v, want %v", step, what, got, want)
		}
	}
	same("visible", s.Where(features.AttrVisible, ""), func(it *features.Item) bool { return !it.Hidden })
	for _, m := range append(asked, "JP") {
		same("market "+m, s.Where(features.AttrMarket, m), func(it *features.Item) bool { return it.SoldIn(m) })
		same("stock "+m, s.Where(features.AttrStock, m), func(it *features.Item) bool { return it.InStock(m) })
		for _, h := range []int{-1, 0, 1, 7, 23, 24, 47, 100} {
			now := epoch.Add(time.Duration(h) * time.Hour)
			got := features.NewBitmap(0)
			s.Eligible(m, now, got)
			same(fmt.Sprintf("eligible in %s at hour %d", m, h), got, func(it *features.Item) bool {
				return !it.Hidden && it.SoldIn(m) && it.InStock(m) && it.OnSale(now)
			})
		}
	}
	for _, v := range []string{"a", "b", "c", "nobody"} {
		same("brand "+v, s.Where(features.AttrBrand, v), func(it *features.Item) bool { return it.Brand == v })
	}
	for _, v := range []string{"en", "de", "zh"} {
		same("language "+v, s.Where(features.AttrLanguage, v), func(it *features.Item) bool {
			_, variant := it.Variants[v]
			return it.Language == v || variant
		})
	}
	for _, v := range []string{"t1", "t2"} {
		same("tag "+v, s.Where(features.AttrTag, v), func(it *features.Item) bool { return slices.Contains(it.Tags, v) })
	}
	same("seller s", s.Where(features.AttrSeller, "s"), func(it *features.Item) bool { return it.Seller == "s" })
	same("kind", s.Where(features.AttrKind, "product"), func(*features.Item) bool { return true })
	for _, v := range []string{"x", "x/y", "y/y/x"} {
		same("category "+v, s.Where(features.AttrCategory, v), func(it *features.Item) bool {
			return strings.HasPrefix(strings.Join(it.Category, "/")+"/", v+"/")
		})
	}
	newest := w.where(func(it *features.Item) bool { return !it.Created.IsZero() })
	slices.SortStableFunc(newest, func(a, b features.Row) int { return w.items[b].Created.Compare(w.items[a].Created) })
	if !slices.Equal(s.Newest(), newest) {
		t.Fatalf("step %d: got newest %v, want %v", step, s.Newest(), newest)
	}
}

// checkCodes compares what items share by codes and by text.
func (w *twin) checkCodes(t *testing.T, s *catalog.Snapshot, step int) {
	t.Helper()
	leaf := func(it *features.Item) string {
		if len(it.Category) == 0 {
			return ""
		}
		return it.Category[len(it.Category)-1]
	}
	texts := map[int32]string{0: ""}
	agree := func(row int, code int32, text string) {
		if had, ok := texts[code]; ok && had != text || (code == 0) != (text == "") {
			t.Fatalf("step %d: row %d: code %d is %q and %q", step, row, code, had, text)
		}
		texts[code] = text
	}
	for i, it := range w.items {
		c, ok := s.Codes(features.Row(i))
		if ok != (it != nil) {
			t.Fatalf("step %d: row %d: got codes %v, %v for %v", step, i, c, ok, it)
		}
		if ok {
			agree(i, c.Category, leaf(it))
			agree(i, c.Brand, it.Brand)
			agree(i, c.Seller, it.Seller)
			agree(i, c.Group, it.Group)
			if c.Sponsored != (it.Sponsor != "") {
				t.Fatalf("step %d: row %d: got sponsored %v with sponsor %q", step, i, c.Sponsored, it.Sponsor)
			}
		}
	}
	distinct := map[string]bool{}
	for _, text := range texts {
		distinct[text] = true
	}
	if len(distinct) != len(texts) {
		t.Fatalf("step %d: %d codes for %d texts", step, len(texts), len(distinct))
	}
	for _, row := range []features.Row{-1, features.Row(len(w.items))} {
		if c, ok := s.Codes(row); ok {
			t.Fatalf("step %d: got codes %v of row %d", step, c, row)
		}
	}
}

func TestSnapshotAgainstTwin(t *testing.T) {
	for _, size := range []int{0, 1, 40, 700} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(uint64(size), 1))
			w := &twin{}
			for i := range size {
				w.ids = append(w.ids, fmt.Sprintf("item-%d", i))
				w.items = append(w.items, randomItem(rng, w.ids[i]))
				if rng.IntN(20) == 0 {
					w.items[i] = nil
				}
			}
			s, err := catalog.New(w.ids, w.items)
			if err != nil {
				t.Fatal(err)
			}
			w.check(t, s, 0)
			steps := 60
			if size > 100 {
				steps = 8
			}
			for step := range steps {
				before, old := s, &twin{ids: slices.Clone(w.ids), items: slices.Clone(w.items)}
				var changes []catalog.Change
				for range 1 + rng.IntN(20) {
					id := fmt.Sprintf("item-%d", rng.IntN(size+40))
					changes = append(changes, catalog.Change{Item: randomItem(rng, id), Deleted: rng.IntN(4) == 0})
				}
				s = s.Apply(changes)
				w.apply(changes)
				w.check(t, s, step+1)
				old.check(t, before, step) // the old one stays as it was
				if step%3 == 0 {           // two futures of one past do not meet
					before.Apply([]catalog.Change{{Item: &features.Item{ID: "another future"}}})
					w.check(t, s, step+1)
				}
			}
		})
	}
}

func TestApplyNothing(t *testing.T) {
	s, err := catalog.Of([]features.Item{{ID: "a"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]catalog.Change{
		"unknown deletion": {Item: &features.Item{ID: "b"}, Deleted: true}, "no item": {}, "no id": {Item: &features.Item{}},
	} {
		if got := s.Apply([]catalog.Change{c}); got != s {
			t.Errorf("%s: got another snapshot", name)
		}
	}
	gone := s.Apply([]catalog.Change{{Item: &features.Item{ID: "a"}, Deleted: true}})
	if row, ok := gone.Row("a"); !ok || row != 0 || gone.Item(0) != nil || gone.ID(0) != "a" {
		t.Errorf("deleted item: got row %d, %v, item %v, id %q", row, ok, gone.Item(0), gone.ID(0))
	}
	if gone.Item(-1) != nil || gone.Item(1) != nil || gone.ID(-1) != "" || gone.ID(1) != "" {
		t.Error("rows out of range have items")
	}
}

func TestNewRefuses(t *testing.T) {
	a, b := &features.Item{ID: "a"}, &features.Item{ID: "b"}
	for name, c := range map[string]struct {
		ids   []string
		items []*features.Item
	}{
		"empty id": {[]string{""}, []*features.Item{nil}}, "repeated id": {[]string{"a", "a"}, []*features.Item{a, a}},
		"another's item": {[]string{"a"}, []*features.Item{b}}, "fewer items": {[]string{"a", "b"}, []*features.Item{a}},
	} {
		if _, err := catalog.New(c.ids, c.items); !errors.Is(err, catalog.ErrItem) {
			t.Errorf("%s: got %v, want ErrItem", name, err)
		}
	}
}

func TestEligibleDoesNotAllocate(t *testing.T) {
	s := large(t, 5000)
	dst := features.NewBitmap(s.Len())
	s.Eligible("DE", epoch, dst)
	if got := testing.AllocsPerRun(100, func() { s.Eligible("DE", epoch, dst) }); got != 0 {
		t.Fatalf("got %v allocations, want none", got)
	}
}

// large is a catalogue of n items with the spread of a shop's.
func large(t testing.TB, n int) *catalog.Snapshot {
	t.Helper()
	s, err := catalog.Of(largeItems(n))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func largeItems(n int) []features.Item {
	rng := rand.New(rand.NewPCG(7, 7))
	items := make([]features.Item, n)
	for i := range items {
		it := randomItem(rng, fmt.Sprintf("sku-%06d", i))
		it.Category = []string{fmt.Sprintf("c%d", rng.IntN(20)), fmt.Sprintf("d%d", rng.IntN(200)), fmt.Sprintf("e%d", rng.IntN(2000))}
		it.Brand = fmt.Sprintf("brand-%d", rng.IntN(3000))
		it.Markets = nil
		if i%5 == 0 {
			for m := range 10 {
				it.Markets = append(it.Markets, fmt.Sprintf("m%d", (i+m)%40))
			}
		}
		items[i] = *it
	}
	return items
}

func BenchmarkNew100k(b *testing.B) {
	items := largeItems(100_000)
	for b.Loop() {
		if _, err := catalog.Of(items); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkApply100k(b *testing.B) {
	s := large(b, 100_000)
	for _, n := range []int{1, 100} {
		b.Run(fmt.Sprintf("changes=%d", n), func(b *testing.B) {
			rng := rand.New(rand.NewPCG(1, 2))
			changes := make([]catalog.Change, n)
			next := s
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				for j := range changes {
					old := s.Item(features.Row(rng.IntN(s.Len())))
					it := *old
					it.Stock = map[string]int32{"": int32(i % 2)}
					it.Tags = []string{pick(rng, "t1", "t2", "t3")}
					changes[j].Item = &it
				}
				next = next.Apply(changes)
			}
		})
	}
}

func BenchmarkEligible100k(b *testing.B) {
	s := large(b, 100_000)
	dst := features.NewBitmap(s.Len())
	markets := slices.Collect(maps.Keys(map[string]bool{"m1": true, "m2": true, "XX": true}))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		s.Eligible(markets[i%len(markets)], epoch, dst)
	}
}
