package profile

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
	"github.com/attune-rec/attune/features/expr"
)

func engine(tb testing.TB) *expr.Engine {
	tb.Helper()
	e, err := expr.New()
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

func TestRules(t *testing.T) {
	e := engine(t)
	rs, err := NewSegments(e, []Definition{
		{Name: "big", Rule: "profile.spent > 100"}, {Name: "mugs", Rule: "profile.categories['mugs'] > 0.5"},
		{Name: "both", Rule: "'big' in profile.segments && 'mugs' in profile.segments"}, {Name: "quiet", Rule: "profile.silent_days > 30"},
	}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	p := &features.Profile{Spent: 200, Last: start, Categories: []features.Weighted{{Name: "mugs", Weight: .6}}, Segments: []string{"old"}}
	if got := rs.Of(p, start.Add(31*day)); !slices.Equal(got, []string{"big", "mugs", "both", "quiet"}) {
		t.Errorf("got %v", got)
	}
	if got := rs.Of(&features.Profile{}, start); len(got) != 0 || p.Segments[0] != "old" {
		t.Errorf("got %v, want none, and the profile as it was", got)
	}
	for _, bad := range [][]Definition{{{Name: "a", Rule: "item.price > 3"}}, {{Name: "", Rule: "true"}}, {{Name: "a", Rule: "true"}, {Name: "a", Rule: "true"}}} {
		if _, err := NewSegments(e, bad, nil, nil); !errors.Is(err, ErrSegment) {
			t.Errorf("%v: got %v, want ErrSegment", bad, err)
		}
	}
}

func TestCensus(t *testing.T) {
	c := Count(start, [][]string{{"a", "b"}, {"b", "a", "c"}, {"a"}, nil})
	want := Census{At: start, Shoppers: 4, Sizes: map[string]int{"a": 3, "b": 2, "c": 1}, Overlaps: []Overlap{
		{"a", "b", 2, 2. / 3}, {"a", "c", 1, 1. / 3}, {"b", "c", 1, .5},
	}}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got %+v, want %+v", c, want)
	}
	later := Count(start.Add(day), [][]string{{"a"}})
	h := History{}.Add(later).Add(c).Add(later)
	if got := h.Sizes("a"); !slices.Equal(got, []int{3, 1}) {
		t.Errorf("got %v, want 3 and 1", got)
	}
}

// A stage of the lifecycle counts beside the segments, which stay as they were.
func TestStagesCount(t *testing.T) {
	p := &features.Profile{Segments: append(make([]string, 0, 4), "big"), Lifecycle: AtRisk}
	if got := Groups(p); !slices.Equal(got, []string{"big", "lifecycle:at_risk"}) || len(p.Segments) != 1 || p.Segments[:2][1] != "" {
		t.Errorf("got %v and the segments %v", got, p.Segments[:2])
	}
	if got := Groups(&features.Profile{}); len(got) != 0 {
		t.Errorf("got %v of who did nothing", got)
	}
}

func TestGrid(t *testing.T) {
	var ps []*features.Profile
	for i := range 100 {
		ps = append(ps, &features.Profile{Orders: 1 + i, RecencyDays: float64(i), Spent: float64(i)})
	}
	g, err := NewGrid(append(ps, &features.Profile{}))
	if err != nil {
		t.Fatal(err)
	}
	sizes := map[int]int{}
	for _, p := range ps {
		r, f, m := g.Cell(p)
		if f != m || r != 6-f {
			t.Fatalf("%+v: got %d%d%d", p, r, f, m)
		}
		sizes[f]++
	}
	if !reflect.DeepEqual(sizes, map[int]int{1: 20, 2: 20, 3: 20, 4: 20, 5: 20}) {
		t.Errorf("got %v, want fifths", sizes)
	}
	if got := g.Name(ps[99]); got != "rfm:155" || g.Name(&features.Profile{}) != "" {
		t.Errorf("got %q", got)
	}
	if _, err := NewGrid(nil); !errors.Is(err, ErrSegment) {
		t.Errorf("got %v, want ErrSegment", err)
	}
}

// kinds of shoppers that lie well apart.
func planted(n int) (ps []*features.Profile, kind []int) {
	rng := rand.New(rand.NewPCG(5, 6))
	for i := range n {
		k := i % 3
		kind = append(kind, k)
		near := func(v ...float64) float64 { return v[k] * (.8 + .4*rng.Float64()) }
		orders := max(1, int(near(2, 20, 3)))
		ps = append(ps, &features.Profile{Orders: orders, Spent: near(50, 2000, 900), RecencyDays: near(200, 5, 20), GapDays: near(90, 9, 30), PriceLevel: near(.2, .5, .8)})
	}
	return ps, kind
}

func TestClustersFindWhatWasPlanted(t *testing.T) {
	ps, kind := planted(600)
	c, err := Fit(ps, 2, 6, 1)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Fit(ps, 2, 6, 1)
	if err != nil || !reflect.DeepEqual(c, again) {
		t.Fatalf("the same profiles and seed give other clusters: %v", err)
	}
	if c.K() != 3 {
		t.Fatalf("got %d clusters (silhouette %v), want 3", c.K(), c.Silhouette)
	}
	of := map[[2]int]int{}
	for i, p := range ps {
		of[[2]int{kind[i], c.Of(p)}]++
	}
	if len(of) != 3 {
		t.Errorf("got %v, want a cluster a kind", of)
	}
	described(t, ps, c)
	if _, err := Fit(ps[:30], 2, 6, 1); !errors.Is(err, ErrSegment) {
		t.Errorf("too few: got %v, want ErrSegment", err)
	}
}

// described holds the descriptions of clusters to what they promise.
func described(t *testing.T, ps []*features.Profile, c *Clusters) {
	t.Helper()
	e := engine(t)
	for k := range c.K() {
		member := make([]bool, len(ps))
		for i, p := range ps {
			member[i] = c.Of(p) == k
		}
		d, err := Describe(ps, member)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("cluster %d of %d: %d shoppers, precision %.3f, recall %.3f: %s", k, c.K(), d.Size, d.Precision, d.Recall, d.Rule)
		for _, tr := range d.Traits {
			t.Logf("   %s: %.0f %% of members, lift %.2f", tr.Words, 100*tr.Share, tr.Lift)
		}
		if len(d.Traits) == 0 || len(d.Traits) > 5 || d.Precision < .8 || d.Recall < .8 {
			t.Errorf("cluster %d: got %d traits, precision %.3f, recall %.3f, want 1 to 5, .8, .8", k, len(d.Traits), d.Precision, d.Recall)
		}
		for _, tr := range d.Traits {
			if tr.Lift < 1.5 {
				t.Errorf("cluster %d: got lift %v of %s, want 1.5", k, tr.Lift, tr.Words)
			}
		}
		rs, err := NewSegments(e, []Definition{{Name: "it", Rule: d.Rule}}, nil, nil)
		if err != nil {
			t.Fatalf("rule %s: %v", d.Rule, err)
		}
		hit, said, are := 0., 0., 0.
		for i, p := range ps {
			says := len(rs.Of(p, start)) == 1
			if says {
				said++
			}
			if member[i] {
				are++
				if says {
					hit++
				}
			}
		}
		if hit/said < .8 || hit/are < .8 {
			t.Errorf("cluster %d: as an expression the rule has precision %.3f and recall %.3f", k, hit/said, hit/are)
		}
	}
}

type line struct {
	Invoice     *string   `parquet:"InvoiceNo,optional"`
	Stock       *string   `parquet:"StockCode,optional"`
	Description *string   `parquet:"Description,optional"`
	Quantity    int32     `parquet:"Quantity"`
	Date        time.Time `parquet:"InvoiceDate,timestamp(millisecond)"`
	Price       float64   `parquet:"UnitPrice"`
	Customer    *string   `parquet:"CustomerID,optional"`
	Country     string    `parquet:"Country"`
}

// onlineRetail is the bundled shop: its events by customer, all of them, and
// its goods.
func onlineRetail(t *testing.T) (by map[string][]features.Event, all []features.Event, cat *catalog.Snapshot) {
	t.Helper()
	if testing.Short() {
		t.Skip("half a million lines are read")
	}
	f, err := os.Open(filepath.Join("..", "..", "trainer", "demo", "online_retail.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := parquet.NewGenericReader[line](f)
	defer r.Close()
	lines := make([]line, r.NumRows())
	for n := 0; n < len(lines); {
		m, err := r.Read(lines[n:])
		n += m
		if err != nil && n < len(lines) {
			t.Fatal(err)
		}
	}
	by = map[string][]features.Event{}
	titles := map[string]string{}
	var items []features.Item
	for i, l := range lines {
		if l.Customer == nil || l.Stock == nil || l.Invoice == nil || l.Price <= 0 || l.Quantity == 0 || (*l.Stock)[0] < '0' || (*l.Stock)[0] > '9' {
			continue
		}
		e := features.Event{Seq: int64(i + 1), Type: features.Purchase, Item: *l.Stock, Order: *l.Invoice, Quantity: l.Quantity,
			Price: features.MoneyOf(l.Price, "GBP"), Time: l.Date, Market: l.Country}
		if l.Quantity < 0 {
			e.Type, e.Quantity, e.Order = features.Return, -l.Quantity, ""
		}
		if _, ok := titles[*l.Stock]; !ok && l.Description != nil {
			titles[*l.Stock] = *l.Description
			items = append(items, features.Item{ID: *l.Stock, Title: *l.Description, Language: "en"})
		}
		by[*l.Customer] = append(by[*l.Customer], e)
		all = append(all, e)
	}
	cat, err = catalog.Of(items)
	if err != nil {
		t.Fatal(err)
	}
	return by, all, cat
}

func TestOnlineRetailSegments(t *testing.T) {
	by, all, cat := onlineRetail(t)
	ref := NewReference(cat, slices.Values(all))
	now := all[len(all)-1].Time
	var names []string
	for name := range by {
		names = append(names, name)
	}
	slices.Sort(names)
	var ps []*features.Profile
	stages := map[string]int{}
	for _, name := range names {
		p := Of(by[name]).Profile(ref, now)
		stages[p.Lifecycle]++
		if p.Orders > 0 {
			ps = append(ps, p)
		}
	}
	t.Logf("%d buyers, by lifecycle %v", len(ps), stages)
	for _, stage := range []string{New, Active, Loyal, AtRisk, Lost} {
		if stages[stage] == 0 {
			t.Errorf("nobody is %s", stage)
		}
	}
	best := ps[0]
	for _, p := range ps {
		if p.Spent > best.Spent {
			best = p
		}
	}
	t.Logf("the largest buyer: %+v", *best)
	if len(best.Words) == 0 || len(best.Categories) != 0 {
		t.Errorf("got words %v and categories %v, want words alone", best.Words, best.Categories)
	}
	c, err := Fit(ps, 4, 8, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d clusters, silhouette %.3f", c.K(), c.Silhouette)
	described(t, ps, c)
}

// TestMotivesAgreeBetweenHalves splits each history by every other order and
// asks whether both halves carry the tag.
func TestMotivesAgreeBetweenHalves(t *testing.T) {
	by, all, cat := onlineRetail(t)
	var histories [][]features.Event
	for _, events := range by {
		histories = append(histories, events)
	}
	for _, a := range Halves(histories, NewReference(cat, slices.Values(all)), 20) {
		t.Logf("%+v", a)
		if a.Same < .7 || a.Shoppers < 1000 {
			t.Errorf("%s: halves agree for %.3f of %d shoppers, want .7", a.Motive, a.Same, a.Shoppers)
		}
	}
}

func TestLiteralsAreExact(t *testing.T) {
	for v, want := range map[float64]string{3: "3.0", .1: "0.1", 1e9: "1000000000.0"} {
		if got := literal(v); got != want || strings.Contains(fmt.Sprint(got), "e") {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
