package ingest

import (
	"strings"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
)

const gaps = `order,item,user,time,quantity,price,country,channel
1,A,u1,2024-01-01 00:00:00,1,10.00,DE,web
2,A,u2,2024-01-03 00:00:00,1,,DE,web
3,A,u3,2024-01-05 00:00:00,1,14.00,DE,web
4,A,u4,2024-01-09 00:00:00,1,,DE,web
5,A,u5,2023-12-24 00:00:00,1,,DE,web
6,A,u6,2024-01-03 00:00:00,1,,AT,web
7,A,u7,2024-01-02 00:00:00,1,11.00,,web
8,B,u8,2024-01-02 00:00:00,1,3.00,DE,
9,A,u9,2024-01-05 00:00:00,1,14.00,DE,web
`

func gapMapping(t *testing.T, absent map[string]string) Mapping {
	t.Helper()
	m, err := ParseColumns("order=order,item=item,user=user,time=time,quantity=quantity,price=price,market=country,channel=channel")
	if err != nil {
		t.Fatal(err)
	}
	m.Currency = "EUR"
	if m.Absent, err = ParseAbsences(absent); err != nil {
		t.Fatal(err)
	}
	return m
}

// A price lies on the line between the item's before and after in its market, is
// the nearest outside of them, and is none where the market knows none; a market
// is filled; a row without its channel is dropped. A second import stores
// nothing.
func TestMissingValues(t *testing.T) {
	s := openStore(t)
	path := write(t, "gaps.csv", gaps)
	m := gapMapping(t, map[string]string{"price": "interpolate", "market": "fill:FR", "channel": "drop"})
	r := importFile(t, s, path, m)
	want := map[string]float64{"1": 10, "2": 12, "3": 14, "4": 14, "5": 10, "7": 11, "9": 14}
	got := map[string]features.Event{}
	for _, e := range events(t, s) {
		got[e.Order] = e
	}
	if len(got) != len(want) {
		t.Errorf("got %d events, want %d", len(got), len(want))
	}
	for order, price := range want {
		if p := got[order].Price.Units(); p != price {
			t.Errorf("order %s: price %v, want %v", order, p, price)
		}
	}
	if e := got["7"]; e.Market != "FR" {
		t.Errorf("order 7: market %q, want FR", e.Market)
	}
	if rule := r.Rule("missing_value"); rule.Changed != 4 || rule.Refused != 1 {
		t.Errorf("missing_value: got %+v, want 4 changed and 1 refused", rule)
	}
	if rule := r.Rule("non_positive_price"); rule.Refused != 1 {
		t.Errorf("non_positive_price: got %+v, want the row of the market without prices refused", rule)
	}
	if r := importFile(t, s, path, m); r.Stored != 0 || r.Duplicates != int64(len(want)) {
		t.Errorf("again: %d stored and %d there before, want 0 and %d", r.Stored, r.Duplicates, len(want))
	}
}

// Without being asked, a row without a price is refused and the others are as
// they came.
func TestMissingValuesUntold(t *testing.T) {
	r := importFile(t, openStore(t), write(t, "gaps.csv", gaps), gapMapping(t, nil))
	if rule := r.Rule("missing_value"); rule.Count() != 0 {
		t.Errorf("missing_value: got %+v, want nothing", rule)
	}
	if rule := r.Rule("non_positive_price"); rule.Refused != 4 {
		t.Errorf("non_positive_price: got %+v, want 4 refused", rule)
	}
}

// Interpolated prices equal those that looking at every price finds.
func TestInterpolationTwin(t *testing.T) {
	p := newPriceLines(&Mapping{Absent: map[string]Absence{"price": {kind: interpolate}}})
	start := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	known := map[int]int64{}
	for _, day := range []int{40, 3, 17, 90, 18, 61} {
		known[day] = int64(day*day%37+1) * 1_000_000
		p.learn(priced1(start.AddDate(0, 0, day), known[day]))
	}
	p.learnt()
	for day := range 100 {
		before, after := -1, 1000
		for k := range known {
			if k <= day {
				before = max(before, k)
			}
			if k >= day {
				after = min(after, k)
			}
		}
		var want float64
		switch {
		case before < 0:
			want = float64(known[after])
		case after == 1000 || after == before:
			want = float64(known[before])
		default:
			want = float64(known[before]) + float64(known[after]-known[before])*float64(day-before)/float64(after-before)
		}
		if got, ok := p.at(priced1(start.AddDate(0, 0, day), 0)); !ok || float64(got)-want > 1 || want-float64(got) > 1 {
			t.Errorf("day %d: got %d, %v, want %.0f", day, got, ok, want)
		}
	}
}

func priced1(at time.Time, micros int64) *Record {
	return &Record{Event: features.Event{Item: "A", Time: at, Price: features.Money{Micros: micros, Currency: "EUR"}}}
}

func TestMissingValuesRefused(t *testing.T) {
	for _, c := range []struct{ field, what, want string }{
		{"price", "guess", "expected drop, fill:VALUE or interpolate"},
		{"price", "fill:", "expected drop, fill:VALUE or interpolate"},
		{"quantity", "interpolate", "the price alone can"},
		{"quantity", "fill:many", "quantity cannot be filled"},
		{"user", "fill:u1", "say user=drop"},
		{"device", "drop", "no column is named for device"},
	} {
		m := gapMapping(t, nil)
		var err error
		if m.Absent, err = ParseAbsences(map[string]string{c.field: c.what}); err == nil {
			err = m.Check()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s=%s: got %v, want %q", c.field, c.what, err, c.want)
		}
	}
}
