package ingest

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/attune-rec/attune/features"
)

// Record is a row on its way to being an event. Rules read and change it.
type Record struct {
	Line      int64
	Event     features.Event // without keys
	User      string         // the shop's ids
	Session   string
	Title     string   // what the row calls the item
	Quantity  int32    // as it came, negative for what was given back
	Twin      int      // how many equal rows came before
	Cancelled bool     // the order is a cancellation
	Absent    []string // fields that the row lacks and the mapping says what to do about
	discount  float64  // taken off the price, in units of the currency
	hash      rowHash
}

// decoder makes records of rows. It is not safe for concurrent use.
type decoder struct {
	m       *Mapping
	fields  []string // by bound column
	columns []string
	times   times
}

func newDecoder(m *Mapping) *decoder {
	d := &decoder{m: m, times: times{zone: m.Zone, extra: m.Layouts}}
	for f := range m.Columns {
		d.fields = append(d.fields, f)
	}
	slices.Sort(d.fields)
	for _, f := range d.fields {
		d.columns = append(d.columns, m.Columns[f])
	}
	return d
}

// decode fills rec from the row. A *RowError says which column cannot be read.
func (d *decoder) decode(row *Row, rec *Record) error {
	*rec = Record{Line: row.Line}
	e := &rec.Event
	e.Type, e.Market, e.Price.Currency = d.m.Type, d.m.Market, d.m.Currency
	if e.Type == features.EventUnknown {
		e.Type = features.Purchase
	}
	for i, f := range d.fields {
		v := d.m.missing(row.Values[i])
		if v == "" {
			a, ok := d.m.Absent[f]
			if ok {
				rec.Absent = append(rec.Absent, f)
			}
			if a.kind != fill {
				continue
			}
			v = a.value
		}
		if err := d.field(rec, f, v); err != nil {
			return &RowError{Line: row.Line, Column: d.columns[i], Reason: err.Error()}
		}
	}
	d.price(rec)
	if d.m.Cancelled != "" && strings.HasPrefix(e.Order, d.m.Cancelled) {
		rec.Cancelled = true
	}
	return nil
}

// price makes one piece of a measure, prices of one piece of a row's totals, and
// the list price of what was taken off.
func (d *decoder) price(rec *Record) {
	e := &rec.Event
	if d.m.Measure > 0 && e.Quantity > d.m.Measure {
		rec.Quantity, e.Quantity = 1, 1
	}
	list := e.Price.Units() + rec.discount
	if n := float64(e.Quantity); d.m.LineTotals && n > 1 {
		e.Price.Micros = int64(math.Round(float64(e.Price.Micros) / n))
		list /= n
	}
	if d.m.Columns["discount"] == "" || e.Price.Micros <= 0 || rec.discount < 0 {
		return
	}
	if e.Attributes == nil {
		e.Attributes = map[string]string{}
	}
	e.Attributes["list_price"] = strconv.FormatFloat(math.Round(list*1e4)/1e4, 'f', -1, 64)
}

func (d *decoder) field(rec *Record, field, v string) (err error) {
	e := &rec.Event
	switch field {
	case "user":
		rec.User = identifier(v)
	case "session":
		rec.Session = v
	case "item":
		e.Item = identifier(v)
	case "time":
		e.Time, err = d.times.parse(v)
	case "type":
		e.Type, err = features.ParseEventType(strings.ToLower(v))
	case "quantity":
		rec.Quantity, err = pieces(v, d.m.DecimalComma)
		e.Quantity = rec.Quantity
	case "price":
		var units float64
		if units, err = number(v, d.m.DecimalComma); err == nil {
			e.Price.Micros, err = micros(units)
		}
	case "currency":
		if len(v) != 3 {
			return fmt.Errorf("%q is not an ISO 4217 currency", short(v))
		}
		e.Price.Currency = strings.ToUpper(v)
	case "market":
		e.Market = v
		if name, ok := d.m.Names[v]; ok {
			e.Market = name
		}
	case "value":
		e.Value, err = number(v, d.m.DecimalComma)
	case "position":
		e.Position, err = pieces(v, d.m.DecimalComma)
	case "order":
		e.Order = v
	case "channel":
		e.Channel = v
	case "device":
		e.Device = v
	case "locale":
		e.Locale = v
	case "surface":
		e.Surface = v
	case "text":
		e.Text = v
	case "target":
		e.Target = v
	case "recommendation":
		e.Recommendation = v
	case "id":
		e.ID = v
	case "title":
		rec.Title = v
	case "discount":
		rec.discount, err = number(v, d.m.DecimalComma)
	default:
		if e.Attributes == nil {
			e.Attributes = map[string]string{}
		}
		e.Attributes[strings.TrimPrefix(field, "attr.")] = v
	}
	return err
}

// payload is what is kept of a refused row: its bound columns as JSON, or all
// of a row that could not be parted into columns.
func (d *decoder) payload(row *Row) []byte {
	object := map[string]string{}
	if len(row.Values) == 0 {
		object["row"] = strings.ToValidUTF8(string(row.Content), "\uFFFD")
	}
	for i, c := range d.columns {
		if i < len(row.Values) && row.Values[i] != "" {
			object[c] = row.Values[i]
		}
	}
	b, err := json.Marshal(object)
	if err != nil {
		return nil
	}
	return b
}
