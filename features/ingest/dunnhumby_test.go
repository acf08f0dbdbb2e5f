package ingest

import (
	"testing"

	"github.com/attune-rec/attune/features"
)

func TestDunnhumbyLines(t *testing.T) {
	m := Dunnhumby()
	d := newDecoder(&m)
	row := func(quantity, paid, off string) *Row {
		by := map[string]string{"household_id": "2261", "product_id": "940996", "transaction_timestamp": "2017-01-28 19:06:53",
			"basket_id": "31625220889", "store_id": "309", "quantity": quantity, "sales_value": paid, "retail_disc": off}
		r := &Row{Line: 2}
		for _, c := range d.columns {
			r.Values = append(r.Values, by[c])
		}
		return r
	}
	for _, c := range []struct {
		quantity, paid, off string
		pieces              int32
		price               int64
		list                string
	}{
		{"1.0", "3.86", "0.43", 1, 3_860_000, "4.29"},
		{"2.0", "5.00", "1.00", 2, 2_500_000, "3"},
		{"1.0", "3.86", "0.0", 1, 3_860_000, "3.86"},
		{"7249.0", "18.05", "0.0", 1, 18_050_000, "18.05"}, // gallons
	} {
		var rec Record
		if err := d.decode(row(c.quantity, c.paid, c.off), &rec); err != nil {
			t.Fatal(err)
		}
		e := rec.Event
		if e.Type != features.Purchase || e.Quantity != c.pieces || e.Price != (features.Money{Micros: c.price, Currency: "USD"}) || e.Attributes["list_price"] != c.list {
			t.Errorf("%s for %s, %s off: got %d pieces at %v, list price %q, want %d at %d, %q",
				c.quantity, c.paid, c.off, e.Quantity, e.Price, e.Attributes["list_price"], c.pieces, c.price, c.list)
		}
	}
}

func TestJoinedColumns(t *testing.T) {
	in, err := Joined(written(t, "p.csv", "a,b,c\n1,2,3\n1,,3\n,,3\n")).Open()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if err := in.Bind([]string{"a>b>c", "c"}); err != nil {
		t.Fatal(err)
	}
	var row Row
	for _, want := range []string{"1 > 2 > 3", "1 > 3", "3"} {
		if err := in.Next(&row); err != nil || row.Values[0] != want || row.Values[1] != "3" {
			t.Errorf("got %q, %v, want %q beside 3", row.Values, err, want)
		}
	}
}
