package ingest

import (
	"strings"

	"github.com/attune-rec/attune/features"
)

// Dunnhumby is the mapping of the transactions of The Complete Journey by
// dunnhumby: lines of receipts of an American grocer, with what was paid for all
// pieces of a line and what the loyalty price took off. Fuel is told in
// thousandths of a gallon.
func Dunnhumby() Mapping {
	return Mapping{
		Columns: map[string]string{"user": "household_id", "item": "product_id", "time": "transaction_timestamp", "quantity": "quantity",
			"price": "sales_value", "discount": "retail_disc", "order": "basket_id", "attr.store": "store_id"},
		Type: features.Purchase, Currency: "USD", Market: "US", LineTotals: true, Measure: 200,
	}
}

// DunnhumbyItems says which columns of its products fill which field; the
// source is to be Joined.
func DunnhumbyItems() map[string]string {
	return map[string]string{"id": "product_id", "title": "product_type", "category": "department>product_category>product_type",
		"brand": "brand", "seller": "manufacturer_id", "attr.package": "package_size"}
}

// DunnhumbyUsers is the like for its households.
func DunnhumbyUsers() map[string]string {
	return map[string]string{"id": "household_id", "age_band": "age", "income_band": "income", "attr.home": "home_ownership",
		"attr.marital_status": "marital_status", "attr.household_size": "household_size", "attr.household": "household_comp", "attr.children": "kids_count"}
}

// Joined is a source that has, beside its own columns, paths made of several:
// the column "a>b>c" is what stands in a, b and c, parted by " > ", without the
// empty ones.
func Joined(src Source) Source { return joined{src} }

type joined struct{ Source }

// Open implements Source.
func (j joined) Open() (Reader, error) {
	in, err := j.Source.Open()
	if err != nil {
		return nil, err
	}
	return &joinedReader{Reader: in}, nil
}

type joinedReader struct {
	Reader
	parts  [][]int // of each column asked for, places in the row below
	row    Row
	values []string
}

// Bind implements Reader.
func (r *joinedReader) Bind(columns []string) error {
	var below []string
	at := map[string]int{}
	r.parts = make([][]int, len(columns))
	for i, c := range columns {
		for _, part := range strings.Split(c, ">") {
			n, ok := at[part]
			if !ok {
				n = len(below)
				at[part] = n
				below = append(below, part)
			}
			r.parts[i] = append(r.parts[i], n)
		}
	}
	r.values = make([]string, len(columns))
	return r.Reader.Bind(below)
}

// Next implements Reader.
func (r *joinedReader) Next(row *Row) error {
	err := r.Reader.Next(&r.row)
	*row = r.row
	if err != nil || len(r.row.Values) == 0 {
		return err
	}
	for i, places := range r.parts {
		r.values[i] = r.row.Values[places[0]]
		for _, n := range places[1:] {
			switch v := r.row.Values[n]; {
			case v == "":
			case r.values[i] == "":
				r.values[i] = v
			default:
				r.values[i] += " > " + v
			}
		}
	}
	row.Values = r.values
	return nil
}
