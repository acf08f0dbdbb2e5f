package ingest

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// Absence says what is done where a row lacks a field.
type Absence struct {
	kind  absenceKind
	value string // of fill
}

type absenceKind int

const (
	drop        absenceKind = iota // the row is refused
	fill                           // the field is taken as value
	interpolate                    // the price is read off the item's other prices
)

// ParseAbsences reads what is done where a row lacks a field, by field: "drop",
// "fill:VALUE" or, for the price, "interpolate".
func ParseAbsences(of map[string]string) (map[string]Absence, error) {
	all := make(map[string]Absence, len(of))
	for _, field := range slices.Sorted(maps.Keys(of)) {
		a, err := parseAbsence(of[field])
		if err != nil {
			return nil, fmt.Errorf("%s=%w", field, err)
		}
		all[field] = a
	}
	return all, nil
}

func parseAbsence(s string) (Absence, error) {
	switch kind, value, _ := strings.Cut(s, ":"); {
	case s == "drop":
		return Absence{kind: drop}, nil
	case s == "interpolate":
		return Absence{kind: interpolate}, nil
	case kind == "fill" && value != "":
		return Absence{fill, value}, nil
	}
	return Absence{}, fmt.Errorf("%q: expected drop, fill:VALUE or interpolate", s)
}

// telling are the fields that say who, what and when: no value stands for those
// that a row lacks.
var telling = []string{"user", "session", "item", "time", "order", "id", "recommendation", "position"}

// checkAbsent finds what cannot be done about a field.
func (m *Mapping) checkAbsent() error {
	d := newDecoder(m)
	for _, field := range slices.Sorted(maps.Keys(m.Absent)) {
		switch a := m.Absent[field]; {
		case m.Columns[field] == "":
			return fmt.Errorf("missing: no column is named for %s", field)
		case a.kind == interpolate && field != "price":
			return fmt.Errorf("missing: %s cannot be interpolated, the price alone can: say drop or fill:VALUE", field)
		case a.kind == fill && slices.Contains(telling, field):
			return fmt.Errorf("missing: no value stands for any %s: say %s=drop", field, field)
		case a.kind == fill:
			if err := d.field(&Record{}, field, a.value); err != nil {
				return fmt.Errorf("missing: %s cannot be filled: %w", field, err)
			}
		}
	}
	return nil
}

// absent tells of the fields that a row lacked, refuses it where one is needed,
// and reads prices off the item's others.
func absent(m *Mapping, p *priceLines) Rule {
	return &rule{"missing_value", "rows that lack a field are dropped, or it is filled or interpolated, as asked", func(r *Record) (Effect, string) {
		p.learn(r)
		var told []string
		for _, field := range r.Absent {
			switch a := m.Absent[field]; a.kind {
			case drop:
				return Refused, "no " + field
			case fill:
				told = append(told, field+" is taken as "+a.value)
			case interpolate:
				if price, ok := p.at(r); ok {
					r.Event.Price.Micros = price
					told = append(told, fmt.Sprintf("price of %s is taken as %.2f between its others", r.Event.Item, r.Event.Price.Units()))
				}
			}
		}
		if told == nil {
			return Kept, ""
		}
		return Changed, strings.Join(told, "; ")
	}}
}

// priceLines are what items cost over time, learnt in the first pass and read in the
// second. A nil one learns nothing and knows nothing.
type priceLines struct {
	of    map[goods][]pricedAt
	known bool // the first pass is over
}

// goods are what has a price of its own.
type goods struct{ item, market, currency string }

// pricedAt is a price in millionths at a time in milliseconds.
type pricedAt struct{ at, micros int64 }

// newPriceLines is nil unless the mapping asks for prices between others.
func newPriceLines(m *Mapping) *priceLines {
	if a, ok := m.Absent["price"]; !ok || a.kind != interpolate {
		return nil
	}
	return &priceLines{of: map[goods][]pricedAt{}}
}

func priceOf(r *Record) goods {
	return goods{r.Event.Item, r.Event.Market, r.Event.Price.Currency}
}

func (p *priceLines) learn(r *Record) {
	if p == nil || p.known || r.Event.Price.Micros <= 0 || r.Event.Time.IsZero() {
		return
	}
	k := priceOf(r)
	p.of[k] = append(p.of[k], pricedAt{r.Event.Time.UnixMilli(), r.Event.Price.Micros})
}

// learnt puts the prices of each item in the order of time.
func (p *priceLines) learnt() {
	if p == nil {
		return
	}
	for _, all := range p.of {
		slices.SortFunc(all, func(a, b pricedAt) int { return cmp.Compare(a.at, b.at) })
	}
	p.known = true
}

// at lies on the line between the item's prices before and after, in its market
// and currency; before the first and after the last it is that one.
func (p *priceLines) at(r *Record) (micros int64, ok bool) {
	if p == nil || !p.known || r.Event.Time.IsZero() {
		return 0, false
	}
	all := p.of[priceOf(r)]
	if len(all) == 0 {
		return 0, false
	}
	t := r.Event.Time.UnixMilli()
	i, _ := slices.BinarySearchFunc(all, t, func(a pricedAt, t int64) int { return cmp.Compare(a.at, t) })
	switch {
	case i == 0:
		return all[0].micros, true
	case i == len(all):
		return all[i-1].micros, true
	}
	a, b := all[i-1], all[i]
	part := float64(t-a.at) / float64(b.at-a.at)
	return a.micros + int64(math.Round(part*float64(b.micros-a.micros))), true
}
