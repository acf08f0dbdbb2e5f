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

// TestValueHouseholdsBuyDiscountedGoods tags households by the weeks up to 26
// and looks at what they buy in the weeks after.
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
	type next struct{ lines, cut float64 }
	before, after := map[string][]features.Event{}, map[string]next{}
	var all []features.Event
	var items []features.Item
	seen := map[string]bool{}
	for i, row := range rows[1:] {
		pieces, paid, off := number(row[4]), number(row[5]), number(row[6])
		if pieces <= 0 || paid <= 0 {
			continue
		}
		if number(row[9]) > 26 {
			n := after[row[0]]
			n.lines++
			if off >= discount*(paid+off) {
				n.cut++
			}
			after[row[0]] = n
			continue
		}
		when, err := time.Parse(time.DateTime, row[10])
		if err != nil {
			t.Fatal(err)
		}
		e := features.Event{Seq: int64(i + 1), Type: features.Purchase, Item: row[3], Order: row[2], Quantity: 1, Price: features.MoneyOf(paid, "USD"),
			Time: when, Attributes: map[string]string{AttrListPrice: strconv.FormatFloat(paid+off, 'f', -1, 64)}}
		before[row[0]] = append(before[row[0]], e)
		all = append(all, e)
		if !seen[row[3]] {
			seen[row[3]] = true
			items = append(items, features.Item{ID: row[3]})
		}
	}
	cat, err := catalog.Of(items)
	if err != nil {
		t.Fatal(err)
	}
	ref := NewReference(cat, slices.Values(all))
	var tagged, others next
	households := 0
	for name, events := range before {
		if len(events) < minPiece {
			continue
		}
		n := after[name]
		has := slices.ContainsFunc(Of(events).Profile(ref, start).Tags, func(tag features.Tag) bool { return tag.Name == "value" })
		if has {
			households++
			tagged.lines, tagged.cut = tagged.lines+n.lines, tagged.cut+n.cut
		} else {
			others.lines, others.cut = others.lines+n.lines, others.cut+n.cut
		}
	}
	if tagged.lines == 0 || others.lines == 0 {
		t.Fatalf("%d households tagged: nothing to compare", households)
	}
	ratio := (tagged.cut / tagged.lines) / (others.cut / others.lines)
	t.Logf("%d households tagged; discounted next: %.3f of %.0f lines, others %.3f of %.0f; ratio %.3f; base %.3f",
		households, tagged.cut/tagged.lines, tagged.lines, others.cut/others.lines, others.lines, ratio, ref.base[value])
	if ratio < 1.3 {
		t.Errorf("got ratio %.3f, want at least 1.3", ratio)
	}
}
