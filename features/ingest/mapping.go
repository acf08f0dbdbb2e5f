package ingest

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/attune-rec/attune/features"
)

// Mapping says which column fills which field of an event, and how its values
// are to be read. It is read-only during an import.
type Mapping struct {
	Columns      map[string]string  // field, one of Fields or attr.NAME -> column
	Type         features.EventType // of rows without a type column; 0: Purchase
	Currency     string             // of rows without a currency column
	Market       string             // of rows without a market column
	Zone         *time.Location     // of times that name none; nil: UTC
	Layouts      []string           // of times, in Go's notation, tried before the usual ones
	DecimalComma bool               // 1.234,5 is one thousand two hundred and thirty-four and a half
	Absent       map[string]Absence // field -> what is done where a row lacks it; others stay without
	Missing      []string           // values that mean there is none, beside the empty one
	ItemCode     *regexp.Regexp     // what a product's code looks like; nil: any
	UpperItem    bool               // letter case in item codes means nothing
	Cancelled    string             // prefix of the orders that are cancellations; "": none
	Names        map[string]string  // of markets in the file -> in the store; others stay as they are
	Measure      int32              // quantities above it are a weight or a volume, of one piece; 0: none are
	LineTotals   bool               // price and discount are of all pieces of a row together
}

// Fields lists what a column can fill. discount is what was taken off the price:
// with it, the price before goes to the attribute list_price.
func Fields() []string {
	return []string{"user", "session", "item", "time", "type", "quantity", "price", "currency", "market", "order", "channel", "device",
		"locale", "surface", "value", "text", "target", "recommendation", "position", "id", "title", "discount"}
}

// ParseColumns reads "user=CustomerID,item=StockCode,...", or the name of a
// mapping that is known: "online-retail" or "dunnhumby".
func ParseColumns(s string) (Mapping, error) {
	switch s {
	case "online-retail":
		return OnlineRetail(), nil
	case "dunnhumby":
		return Dunnhumby(), nil
	}
	m := Mapping{Columns: map[string]string{}}
	for _, pair := range strings.Split(s, ",") {
		field, column, ok := strings.Cut(strings.TrimSpace(pair), "=")
		if !ok || column == "" {
			return m, fmt.Errorf("columns: %q is not field=column, nor the name of a mapping (online-retail, dunnhumby)", pair)
		}
		if _, twice := m.Columns[field]; twice {
			return m, fmt.Errorf("columns: field %q is given twice", field)
		}
		m.Columns[field] = column
	}
	return m, m.Check()
}

// OnlineRetail is the mapping of the UCI Online Retail data set: invoice lines
// of a British shop, whose cancellations have invoices that begin with C.
func OnlineRetail() Mapping {
	return Mapping{
		Columns: map[string]string{"user": "CustomerID", "item": "StockCode", "time": "InvoiceDate", "quantity": "Quantity",
			"price": "UnitPrice", "market": "Country", "order": "InvoiceNo", "title": "Description"},
		Type: features.Purchase, Currency: "GBP", Missing: []string{"0.0", "0", "nan", "Missing_Description"},
		ItemCode: regexp.MustCompile(`^\d{5}[A-Za-z]{0,2}$`), UpperItem: true, Cancelled: "C",
	}
}

// Check finds what is wrong with the mapping, and says how to mend it.
func (m *Mapping) Check() error {
	fields := Fields()
	for field := range m.Columns {
		if name, ok := strings.CutPrefix(field, "attr."); ok && name != "" {
			continue
		}
		if !slices.Contains(fields, field) {
			return fmt.Errorf("columns: no field %q: there are %s and attr.NAME", field, strings.Join(fields, ", "))
		}
	}
	if m.Columns["time"] == "" {
		return fmt.Errorf("columns: none is named for time: add time=COLUMN")
	}
	if m.Columns["user"] == "" && m.Columns["session"] == "" {
		return fmt.Errorf("columns: none is named for user or session: add user=COLUMN")
	}
	return m.checkAbsent()
}

// missing is v, or "" when v means that there is none.
func (m *Mapping) missing(v string) string {
	v = strings.TrimSpace(v)
	if slices.Contains(m.Missing, v) {
		return ""
	}
	return v
}
