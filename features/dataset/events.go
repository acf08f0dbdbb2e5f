package dataset

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/attune-rec/attune/features"
)

// Columns says which column of an Events file holds what, by the header's
// names. User and Item are required, the others may be "". The zero value
// takes the file's own names: user, item, time, type, quantity, price, value,
// market.
type Columns struct {
	User, Item, Time, Type, Quantity, Price, Value, Market string
	Missing                                                []string // users that mean nobody, besides the empty one
}

// ParseColumns reads "user=CustomerID,item=StockCode,...".
func ParseColumns(pairs map[string]string) (Columns, error) {
	var c Columns
	for key, column := range pairs {
		p := c.field(key)
		if p == nil {
			return c, fmt.Errorf("columns: unknown %q: expected user, item, time, type, quantity, price, value or market", key)
		}
		*p = column
	}
	return c, nil
}

func (c *Columns) field(key string) *string {
	switch key {
	case "user":
		return &c.User
	case "item":
		return &c.Item
	case "time":
		return &c.Time
	case "type":
		return &c.Type
	case "quantity":
		return &c.Quantity
	case "price":
		return &c.Price
	case "value":
		return &c.Value
	case "market":
		return &c.Market
	}
	return nil
}

// Skipped counts the rows of Events files that were left out.
type Skipped struct {
	NoUser int `json:"no_user"` // the user is empty or one of Missing
	NoItem int `json:"no_item"`
}

var columnKeys = [...]string{"user", "item", "time", "type", "quantity", "price", "value", "market"}

// The places in columnKeys.
const (
	colUser = iota
	colItem
	colTime
	colType
	colQuantity
	colPrice
	colValue
	colMarket
)

// readEvents reads a CSV with a header. Rows of nobody and of nothing are
// counted and left out. Without a type column a row is a Rating when there is a
// value, else a Purchase, or a Return when its quantity is below 0.
func (l *Loader) readEvents(name string, r io.Reader) (*table, error) {
	in := csv.NewReader(&unmarked{r: r})
	in.ReuseRecord, in.LazyQuotes = true, true
	header, err := in.Read()
	if errors.Is(err, io.EOF) {
		return &table{}, nil
	}
	if err != nil {
		return nil, csvError(name, err)
	}
	at, err := l.Columns.places(name, header)
	if err != nil {
		return nil, err
	}
	missing := map[string]bool{"": true}
	for _, m := range l.Columns.Missing {
		missing[m] = true
	}
	t := &table{kindOfAll: features.Purchase}
	if at[colValue] >= 0 {
		t.kindOfAll = features.Rating
	}
	var clock clock
	for {
		record, err := in.Read()
		if errors.Is(err, io.EOF) {
			return t, nil
		}
		if errors.Is(err, csv.ErrFieldCount) {
			line, _ := in.FieldPos(0)
			if err := l.bad(&FormatError{File: name, Line: line, Got: fmt.Sprintf("%d fields", len(record)), Want: fmt.Sprintf("%d, as many as the header has", len(header))}); err != nil {
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, csvError(name, err)
		}
		user, item := strings.TrimSpace(record[at[colUser]]), strings.TrimSpace(record[at[colItem]])
		if missing[user] {
			l.Skipped.NoUser++
			continue
		}
		if item == "" {
			l.Skipped.NoItem++
			continue
		}
		e, bad := l.event(record, &at, t.kindOfAll, &clock)
		if bad != nil {
			bad.File = name
			bad.Line, _ = in.FieldPos(0)
			if err := l.bad(bad); err != nil {
				return nil, err
			}
			continue
		}
		t.append(l.users.add(user), l.items.add(item), e, &at)
	}
}

// event is what a record says besides user and item.
type event struct {
	kind                   features.EventType
	timeMS                 int64
	quantity, price, value float64
	market                 uint16
}

func (l *Loader) event(record []string, at *[len(columnKeys)]int, kind features.EventType, clock *clock) (e event, bad *FormatError) {
	if c := at[colTime]; c >= 0 {
		var ok bool
		if e.timeMS, ok = clock.parse(strings.TrimSpace(record[c])); !ok {
			return e, &FormatError{Got: fmt.Sprintf("time %q", record[c]), Want: "a time such as 2011-12-09 12:50:00, 2011-12-09T12:50:00Z or 1323435000"}
		}
	}
	for _, c := range [...]int{colQuantity, colPrice, colValue} {
		if at[c] < 0 {
			continue
		}
		s := strings.TrimSpace(record[at[c]])
		v, ok := decimal([]byte(s))
		if !ok && s != "" {
			return e, &FormatError{Got: fmt.Sprintf("%s %q", columnKeys[c], s), Want: "a number"}
		}
		switch c {
		case colQuantity:
			e.quantity = v
		case colPrice:
			e.price = v
		default:
			e.value = v
		}
	}
	e.kind = kind
	if c := at[colType]; c >= 0 {
		var err error
		if e.kind, err = features.ParseEventType(strings.ToLower(strings.TrimSpace(record[c]))); err != nil {
			return e, &FormatError{Got: fmt.Sprintf("type %q", record[c]), Want: "view, cart_add, purchase or another type of event"}
		}
	} else if e.quantity < 0 {
		e.kind = features.Return
	}
	e.quantity = max(e.quantity, -e.quantity)
	if c := at[colMarket]; c >= 0 {
		m := l.markets.add(strings.TrimSpace(record[c]))
		if m > math.MaxUint16 {
			return e, &FormatError{Got: fmt.Sprintf("one more market, %q", record[c]), Want: "at most 65,536 markets"}
		}
		e.market = uint16(m)
	}
	return e, nil
}

// append adds a row in the columns that the file has.
func (t *table) append(user, item int32, e event, at *[len(columnKeys)]int) {
	t.user, t.item = append(t.user, user), append(t.item, item)
	if at[colTime] >= 0 {
		t.timeMS = append(t.timeMS, e.timeMS)
	}
	if at[colType] >= 0 || at[colQuantity] >= 0 {
		t.kind = append(t.kind, e.kind)
	}
	if at[colQuantity] >= 0 {
		t.quantity = append(t.quantity, float32(e.quantity))
	}
	if at[colPrice] >= 0 {
		t.price = append(t.price, float32(e.price))
	}
	if at[colValue] >= 0 {
		t.value = append(t.value, float32(e.value))
	}
	if at[colMarket] >= 0 {
		t.market = append(t.market, e.market)
	}
}

// places finds the columns in the header; -1 stands for one that is not there.
func (c Columns) places(name string, header []string) ([len(columnKeys)]int, error) {
	var at [len(columnKeys)]int
	for i, key := range columnKeys {
		at[i] = -1
		wanted := *c.field(key)
		for j, h := range header {
			if h = strings.TrimSpace(h); h == wanted || wanted == "" && strings.EqualFold(h, key) {
				at[i] = j
				break
			}
		}
		if at[i] < 0 && (wanted != "" || i == colUser || i == colItem) {
			if wanted == "" {
				wanted = key
			}
			return at, &FormatError{File: name, Line: 1, Got: fmt.Sprintf("columns %q", header),
				Want: fmt.Sprintf("a column %q for the %s; name it with --columns %s=...", wanted, key, key)}
		}
	}
	return at, nil
}

func csvError(name string, err error) error {
	var parse *csv.ParseError
	if errors.As(err, &parse) {
		return &FormatError{File: name, Line: parse.Line, Got: parse.Err.Error(), Want: "CSV"}
	}
	return fmt.Errorf("read %s: %w", name, err)
}

// unmarked passes over a byte order mark at the start.
type unmarked struct {
	r       io.Reader
	started bool
}

func (u *unmarked) Read(p []byte) (int, error) {
	if u.started || len(p) < 3 {
		return u.r.Read(p)
	}
	u.started = true
	n, err := io.ReadAtLeast(u.r, p[:3], 3)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	if n == 3 && string(p[:3]) == "\xef\xbb\xbf" {
		return u.r.Read(p)
	}
	return n, err
}

// clock reads times; it remembers what worked, since a file's times are alike.
type clock struct {
	layout string
	last   string
	ms     int64
}

var layouts = []string{
	time.RFC3339Nano, "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02T15:04:05",
	"2006-01-02", "1/2/2006 15:04", "1/2/2006 15:04:05", "1/2/2006",
}

func (c *clock) parse(s string) (int64, bool) {
	if s == c.last && s != "" {
		return c.ms, true
	}
	ms, ok := c.read(s)
	if ok {
		c.last, c.ms = strings.Clone(s), ms
	}
	return ms, ok
}

func (c *clock) read(s string) (int64, bool) {
	if v, ok := decimal([]byte(s)); ok {
		return unixMS(v)
	}
	if c.layout != "" {
		if t, err := time.Parse(c.layout, s); err == nil {
			return t.UnixMilli(), true
		}
	}
	for _, layout := range layouts {
		if t, err := time.Parse(layout, s); err == nil {
			c.layout = layout
			return t.UnixMilli(), true
		}
	}
	return 0, false
}
