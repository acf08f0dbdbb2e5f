package profile

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/ulikunitz/xz"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
)

// TestValueHouseholdsBuyDiscountedGoods tags households by what they bought up
// to five times of the year and looks at the thirteen weeks after each.
func TestValueHouseholdsBuyDiscountedGoods(t *testing.T) {
	if testing.Short() {
		t.Skip("75,000 lines are read")
	}
	root := os.Getenv("ATTUNE_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "data")
	}
	f, err := os.Open(filepath.Join(root, "dunnhumby-sample", "transactions_sample.csv.xz"))
	if err != nil {
		t.Skipf("no reference data: dunnhumby-sample is not below %s; set ATTUNE_DATA to the data folder", root)
	}
	defer f.Close()
	x, err := xz.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(x).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	number := func(s string) float64 {
		v, err := strconv.ParseFloat(s, 64)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	by := map[string][]features.Event{}
	var items []features.Item
	seen := map[string]bool{}
	for i, row := range rows[1:] {
		pieces, paid, off := number(row[4]), number(row[5]), number(row[6])
		if pieces <= 0 || paid <= 0 {
			continue
		}
		when, err := time.Parse(time.DateTime, row[10])
		if err != nil {
			t.Fatal(err)
		}
		e := features.Event{Seq: int64(i + 1), Type: features.Purchase, Item: row[3], Order: row[2], Quantity: 1, Price: features.MoneyOf(paid, "USD"),
			Time: when, Attributes: map[string]string{AttrListPrice: strconv.FormatFloat(paid+off, 'f', -1, 64)}}
		by[row[0]] = append(by[row[0]], e)
		if !seen[row[3]] {
			seen[row[3]] = true
			items = append(items, features.Item{ID: row[3]})
		}
	}
	cat, err := catalog.Of(items)
	if err != nil {
		t.Fatal(err)
	}
	var histories [][]features.Event
	for _, events := range by {
		slices.SortStableFunc(events, func(a, b features.Event) int { return a.Time.Compare(b.Time) })
		for i := range events {
			events[i].Seq = int64(i + 1)
		}
		histories = append(histories, events)
	}
	var tagged, others, cut, otherCut float64
	year := time.Date(2017, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, week := range []int{13, 20, 26, 32, 39} {
		at := year.AddDate(0, 0, 7*week)
		b := Ahead(histories, cat, at, at.AddDate(0, 0, 7*13))
		t.Logf("%s: %d of %d households tagged; discounted next: %.3f of %d lines, others %.3f; %.3f times",
			at.Format(time.DateOnly), b.Tagged, b.Shoppers, b.Share, b.Lines, b.Others, b.Ratio())
		if b.Ratio() < 1.2 {
			t.Errorf("%s: got %.3f times, want at least 1.2 at each time", at.Format(time.DateOnly), b.Ratio())
		}
		tagged, cut = tagged+float64(b.Lines), cut+b.Share*float64(b.Lines)
		others, otherCut = others+1, otherCut+b.Others
	}
	if times := (cut / tagged) / (otherCut / others); times < 1.3 {
		t.Errorf("got %.3f times over all, want at least 1.3", times)
	} else {
		t.Logf("%.3f times over all", times)
	}
}
