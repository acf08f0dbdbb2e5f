package ingest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/raced"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

const priceColumns = "user=who,item=what,quantity=pieces,price=price,currency=money,order=order,time=at"

// priceShop is a file of 40 items with 60 lines each, in euros and in yen, a
// fifth of them at 50 to 80 % off, and the lines at which a price is wrong.
func priceShop() (text string, wrong map[int64]bool) {
	r := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	b.WriteString("who,what,pieces,price,money,order,at\n")
	line, wrong := int64(1), map[int64]bool{}
	put := func(item string, price float64, currency string) {
		line++
		fmt.Fprintf(&b, "u%d,%s,1,%.4f,%s,o%d,2026-01-%02d 10:00:00\n", r.IntN(90), item, price, currency, line, 1+line%28)
	}
	bad := func(item string, price float64, currency string) {
		put(item, price, currency)
		wrong[line] = true
	}
	for i := range 40 {
		item, usual := fmt.Sprintf("i%02d", i), math.Round(100*math.Exp(1+3*r.Float64()))/100
		for n := range 60 {
			price := usual
			switch {
			case i%4 == 0: // the price drifts
				price *= 1 + float64(n)/60
			case n%5 == 0:
				price *= 1 - []float64{.5, .6, .7, .8}[r.IntN(4)]
			}
			put(item, price, "EUR")
			put(item, 150*price, "JPY")
		}
		bad(item, 100*usual, "EUR") // cents
		bad(item, usual/100, "EUR")
		bad(item, 1, "JPY")     // an adjustment by hand
		bad(item, usual, "JPY") // euros
	}
	for n := range 60 {
		put("postage", math.Exp(-2+4*math.Abs(math.Sin(float64(n)))), "EUR") // whatever it cost that day
	}
	for n := range minPrices - 1 {
		put("rare", math.Pow(30, float64(n)), "EUR")
	}
	return b.String(), wrong
}

// caught are the lines that are refused, with the rule.
type caught map[int64]string

func (c caught) Write(p []byte) (int, error) {
	for _, l := range bytes.Split(bytes.TrimSpace(p), []byte("\n")) {
		var row refusedRow
		if err := json.Unmarshal(l, &row); err != nil {
			return 0, err
		}
		c[row.Line] = row.Rule
	}
	return len(p), nil
}

func importPrices(t *testing.T, s Sink, text, do string, c caught) Report {
	t.Helper()
	m, err := ParseColumns(priceColumns)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Mapping: m, Prices: do}
	if c != nil {
		o.Sidecar = c
	}
	r, err := Import(context.Background(), written(t, "prices.csv", text), s, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Every planted error is found and nothing else: no discount, no price that
// drifts, no line of an item without a usual price or with few lines.
func TestPlantedPrices(t *testing.T) {
	text, wrong := priceShop()
	found := caught{}
	r := importPrices(t, openStore(t), text, RefusePrices, found)
	hits := 0
	for line := range found {
		if wrong[line] {
			hits++
		}
	}
	if hits != len(wrong) || len(found) != hits {
		t.Errorf("got %d of %d wrong prices among %d lines refused, want all and no other", hits, len(wrong), len(found))
	}
	if got := r.Rule("outlier_price"); got.Refused != int64(len(wrong)) || got.Changed+got.Noted != 0 {
		t.Errorf("got %+v, want %d refused", got, len(wrong))
	}
}

// In real sales with one line in 200 off by a factor of 100, to either side, what
// is found is planted, but for errors of the file's own, and what is not found is
// of items with few lines.
func TestPlantedPricesInRealSales(t *testing.T) {
	if raced.On {
		t.Skip("one goroutine: there is nothing to race with")
	}
	f, err := os.Open(dataFile(t, "online-retail/online_retail_sales.csv.xz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	in, err := xz.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	line, wrong := int64(0), map[int64]bool{}
	for lines := bufio.NewScanner(in); line < 80_000 && lines.Scan(); {
		line++
		row := strings.Split(lines.Text(), ",")
		at := len(row) - 3
		if price, err := strconv.ParseFloat(row[at], 64); err == nil && line%200 == 0 && price > 0 {
			row[at] = strconv.FormatFloat(price*[]float64{100, .01}[line/200%2], 'f', 4, 64)
			wrong[line] = true
		}
		b.WriteString(strings.Join(row, ",") + "\n")
	}
	found := caught{}
	r, err := Import(context.Background(), written(t, "sales.csv", b.String()), openStore(t), Options{Mapping: OnlineRetail(), Prices: RefusePrices, Sidecar: found})
	if err != nil {
		t.Fatal(err)
	}
	kept, hits := len(wrong), 0
	for line, rule := range found {
		switch {
		case rule == "outlier_price" && wrong[line]:
			hits++
		case wrong[line]:
			kept-- // refused for another reason: no customer, no product
		}
	}
	refused := int(r.Rule("outlier_price").Refused)
	t.Logf("%d rows, %d wrong prices among those of customers and products: %d found, %d lines refused", r.Rows, kept, hits, refused)
	if hits*100 < kept*90 || refused-hits > 2 {
		t.Errorf("got %d of %d wrong prices and %d others, want 90 %% at least and 2 others at most", hits, kept, refused-hits)
	}
}

// Unless asked, prices are told of and stay as they came.
func TestPricesAreNoted(t *testing.T) {
	text, wrong := priceShop()
	s := openStore(t)
	r := importPrices(t, s, text, "", nil)
	if got := r.Rule("outlier_price"); got.Noted != int64(len(wrong)) || got.Changed+got.Refused != 0 || r.Refused != 0 {
		t.Errorf("got %+v, want %d noted and nothing else done", got, len(wrong))
	}
	var sum, want float64
	for _, e := range events(t, s) {
		sum += e.Price.Units()
	}
	for i, l := range strings.Split(strings.TrimSpace(text), "\n") {
		if i > 0 {
			var price float64
			if _, err := fmt.Sscan(strings.Split(l, ",")[3], &price); err != nil {
				t.Fatal(err)
			}
			want += price
		}
	}
	if math.Abs(sum-want) > 1e-6*want {
		t.Errorf("got %f in all, want %f as in the file", sum, want)
	}
}

// Prices that are cut keep what they were; a second import stores nothing, and
// what was cut, read as a file, has nothing to cut.
func TestPricesAreCutOnce(t *testing.T) {
	text, wrong := priceShop()
	s := openStore(t)
	r := importPrices(t, s, text, CutPrices, nil)
	if got := r.Rule("outlier_price"); got.Changed != int64(len(wrong)) || r.Refused != 0 {
		t.Errorf("got %+v, want %d cut", got, len(wrong))
	}
	if again := importPrices(t, s, text, CutPrices, nil); again.Stored != 0 || again.Duplicates != r.Stored {
		t.Errorf("again: %d stored and %d there before, want 0 and %d", again.Stored, again.Duplicates, r.Stored)
	}
	was := strings.Split(text, "\n")
	var b strings.Builder
	b.WriteString(was[0] + "\n")
	cut := 0
	for i, e := range events(t, s) {
		f := strings.Split(was[i+1], ",")
		fmt.Fprintf(&b, "%s,%s,1,%.6f,%s,%s,%s\n", f[0], e.Item, e.Price.Units(), e.Price.Currency, e.Order, e.Time.Format("2006-01-02 15:04:05"))
		if before, ok := e.Attributes[AttrUncutPrice]; ok {
			var got, want float64
			_, _ = fmt.Sscan(before, &got)
			_, _ = fmt.Sscan(f[3], &want)
			if cut++; got != want || got == e.Price.Units() {
				t.Errorf("%s: got %s before it was cut to %v, want %s", was[i+1], before, e.Price, f[3])
			}
		}
	}
	if cut != len(wrong) {
		t.Errorf("got %d events with the price of before, want %d", cut, len(wrong))
	}
	r = importPrices(t, openStore(t), b.String(), CutPrices, nil)
	if got := r.Rule("outlier_price"); got.Count() != 0 {
		t.Errorf("what was cut: got %+v, want nothing to cut", got)
	}
}

// A return is matched by the price that its row has, and cut as its purchase.
func TestReturnAtAWrongPrice(t *testing.T) {
	var b strings.Builder
	b.WriteString("who,what,pieces,price,money,order,at\n")
	for i := range 20 {
		fmt.Fprintf(&b, "u%d,cup,1,2.50,EUR,o%d,2026-01-02 10:00:00\n", i, i)
	}
	b.WriteString("v,cup,1,250.00,EUR,first,2026-01-03 10:00:00\nv,cup,-1,250.00,EUR,back,2026-01-04 10:00:00\n")
	s := openStore(t)
	r := importPrices(t, s, b.String(), CutPrices, nil)
	all := events(t, s)
	bought, back := all[20], all[21]
	if r.Rule("outlier_price").Changed != 2 || back.Type != features.Return || back.Order != "first" || back.Price != bought.Price || bought.Price.Units() >= 250 {
		t.Errorf("got %+v and %+v, want the return of order first at the same price, cut", bought, back)
	}
}

func TestUnknownDeedAboutPrices(t *testing.T) {
	m, err := ParseColumns(priceColumns)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Import(context.Background(), written(t, "a.csv", "who\n"), openStore(t), Options{Mapping: m, Prices: "mend"})
	if err == nil || !strings.Contains(err.Error(), `"mend": expected note, cut or refuse`) {
		t.Errorf("got %v, want what there is", err)
	}
}

// The report shows the rule with its count and examples, as text and as a page.
func TestPriceReport(t *testing.T) {
	text, _ := priceShop()
	var all strings.Builder
	for _, do := range []string{NotePrices, CutPrices, RefusePrices} {
		r := importPrices(t, openStore(t), text, do, caught{})
		fmt.Fprintf(&all, "%s\n", r.Text())
		var page bytes.Buffer
		if err := r.HTML(&page); err != nil {
			t.Fatal(err)
		}
		if first := r.Rule("outlier_price").Examples[0]; !strings.Contains(page.String(), fmt.Sprintf("line %d: %s", first.Line, first.Reason)) {
			t.Errorf("%s: the page lacks %q", do, first.Reason)
		}
	}
	golden := filepath.Join("testdata", "prices.txt")
	if *update {
		if err := os.WriteFile(golden, []byte(all.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if all.String() != string(want) {
		t.Errorf("got\n%s\nwant %s:\n%s", all.String(), golden, want)
	}
}

// The limits are those that sorting all prices of an item leads to, in any order
// of the lines; and measuring what was cut finds them again.
func TestPriceLimitsTwin(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		n, width := minPrices+r.IntN(60), 4*r.Float64()
		if r.IntN(4) == 0 {
			width = 0
		}
		prices := make([]int64, n)
		for i := range prices {
			prices[i] = int64(math.Exp(14 + width*r.NormFloat64()))
			if r.IntN(8) == 0 {
				prices[i] = []int64{1, prices[i] * 100, math.MaxInt64}[r.IntN(3)]
			}
		}
		measure := func() priceLimits {
			c := costs{}
			for _, i := range r.Perm(n) {
				rec := priced1(features.Event{}.Time, prices[i])
				rec.Event.Type = features.Purchase
				c.add(rec)
			}
			return c.limits()[offer{"A", "EUR"}]
		}
		got := measure()
		logs := make([]float64, n)
		for i, p := range prices {
			logs[i] = math.Log(float64(roundDigits(p)))
		}
		slices.Sort(logs)
		median := logs[(n-1)/2]
		for i := range logs {
			logs[i] = math.Abs(logs[i] - median)
		}
		slices.Sort(logs)
		scale := max(.5, 1.4826*logs[(n-1)/2])
		low, high := math.Exp(median-6*scale), math.Exp(median+6*scale)
		if high > math.MaxInt64 {
			high = math.MaxInt64
		}
		if math.Abs(float64(got.low)-low) > 1+.0051*low || math.Abs(float64(got.high)-high) > 1+.0051*high {
			t.Fatalf("prices %v: got limits %+v, want %.0f and %.0f", prices, got, low, high)
		}
		for i := range prices {
			prices[i] = min(max(prices[i], got.low), got.high)
		}
		if again := measure(); again != got {
			t.Fatalf("cut once: got limits %+v, want %+v again", again, got)
		}
	}
}
