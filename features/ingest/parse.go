package ingest

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// layouts are the ways of writing a time that need no telling apart.
var layouts = [...]string{
	"2006-01-02 15:04:05", "2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05.999999999Z07:00", "2006-01-02T15:04:05", "2006-01-02",
	"2006-01-02 15:04", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05 -0700", "2006-01-02T15:04", "20060102T150405Z", "20060102",
	"2006/01/02 15:04:05", "2006/01/02", time.RFC1123Z, time.RFC1123,
}

// times parses times and remembers the layout that fitted last.
type times struct {
	zone   *time.Location
	extra  []string
	recent string
}

func (p *times) parse(s string) (time.Time, error) {
	zone := p.zone
	if zone == nil {
		zone = time.UTC
	}
	if p.recent != "" {
		if t, err := time.ParseInLocation(p.recent, s, zone); err == nil {
			return t.UTC(), nil
		}
	}
	if t, ok := unix(s); ok && len(p.extra) == 0 {
		return t, nil
	}
	for _, set := range [...][]string{p.extra, layouts[:]} {
		for _, l := range set {
			if t, err := time.ParseInLocation(l, s, zone); err == nil {
				p.recent = l
				return t.UTC(), nil
			}
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time: expected like 2011-12-09 12:50:00, 2011-12-09T12:50:00+01:00 or Unix seconds; give another layout if it is written otherwise", short(s))
}

// unix reads seconds, milli-, micro- or nanoseconds by their magnitude, from
// the year 1973 on; shorter numbers may be dates.
func unix(s string) (time.Time, bool) {
	whole, frac, _ := strings.Cut(s, ".")
	if len(whole) < 9 {
		return time.Time{}, false
	}
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || n < 0 {
		return time.Time{}, false
	}
	switch {
	case n < 1e11:
		var nanos int64
		if frac != "" {
			f, err := strconv.ParseFloat("0."+frac, 64)
			if err != nil {
				return time.Time{}, false
			}
			nanos = int64(math.Round(f * 1e9))
		}
		return time.Unix(n, nanos).UTC(), true
	case n < 1e14:
		return time.UnixMilli(n).UTC(), true
	case n < 1e17:
		return time.UnixMicro(n).UTC(), true
	}
	return time.Unix(0, n).UTC(), true
}

// number reads a number; with comma, the comma parts the decimals and the
// point the thousands.
func number(s string, comma bool) (float64, error) {
	thousands, point := ",", "."
	if comma {
		thousands, point = ".", ","
	}
	plain := strings.ReplaceAll(strings.ReplaceAll(s, "\u00a0", ""), " ", "")
	whole, frac, _ := strings.Cut(plain, point)
	if strings.Contains(whole, thousands) {
		groups := strings.Split(strings.TrimLeft(whole, "+-"), thousands)
		for i, g := range groups {
			if (i > 0 && len(g) != 3) || len(g) == 0 || len(g) > 3 {
				return 0, notANumber(s, comma)
			}
		}
		whole = strings.ReplaceAll(whole, thousands, "")
	}
	if frac != "" {
		whole += "." + frac
	}
	v, err := strconv.ParseFloat(whole, 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, notANumber(s, comma)
	}
	return v, nil
}

func notANumber(s string, comma bool) error {
	if !comma && strings.Contains(s, ",") {
		return fmt.Errorf("%q is not a number: if the comma parts the decimals, say so with the decimal comma option", short(s))
	}
	return fmt.Errorf("%q is not a number", short(s))
}

// pieces reads a whole number of pieces, written as 3 or 3.0.
func pieces(s string, comma bool) (int32, error) {
	v, err := number(s, comma)
	if err != nil {
		return 0, err
	}
	if v != math.Trunc(v) || math.Abs(v) > math.MaxInt32 {
		return 0, fmt.Errorf("%q is not a whole number of pieces", short(s))
	}
	return int32(v), nil
}

// identifier drops the decimals that a whole number took on in a table with
// empty cells: 17850.0 is 17850.
func identifier(s string) string {
	whole, ok := strings.CutSuffix(s, ".0")
	if !ok || whole == "" || strings.Trim(whole, "0123456789") != "" {
		return s
	}
	return whole
}

func short(s string) string {
	const most = 40
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// micros is an amount in millionths.
func micros(units float64) (int64, error) {
	v := math.Round(units * 1e6)
	if math.Abs(v) > 1e18 {
		return 0, errors.New("is too large for an amount")
	}
	return int64(v), nil
}
