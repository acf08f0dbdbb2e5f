package customer

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// History is what the models know of a customer at the end of the observed
// period.
type History struct {
	Repeats int     // purchases after the first
	Last    float64 // time from the first purchase to the last, 0 without repeats
	Age     float64 // time from the first purchase to the end of the period
}

// Purchase is one order.
type Purchase struct {
	Time  time.Time
	Value float64
}

// Summarise makes the history of a customer at until, and the spend on repeat
// purchases. Purchases may come in any order; those of one day (in the location
// of their times) are one purchase, those after until are not seen, and time is
// in the given unit. It reports false for a customer with no purchase by until.
func Summarise(purchases []Purchase, until time.Time, unit time.Duration) (History, Spend, bool) {
	type visit struct {
		day   int64
		value float64
	}
	var visits []visit
	for _, p := range purchases {
		if !p.Time.After(until) {
			visits = append(visits, visit{dayOf(p.Time), p.Value})
		}
	}
	if len(visits) == 0 {
		return History{}, Spend{}, false
	}
	slices.SortStableFunc(visits, func(a, b visit) int { return int(a.day - b.day) })
	first, last := visits[0].day, visits[len(visits)-1].day
	repeats, total := 0, 0.0
	for i, v := range visits {
		if i > 0 && v.day != visits[i-1].day {
			repeats++
		}
		if v.day != first {
			total += v.value
		}
	}
	perDay := float64(24*time.Hour) / float64(unit)
	h := History{Repeats: repeats, Last: float64(last-first) * perDay, Age: float64(dayOf(until)-first) * perDay}
	s := Spend{Repeats: repeats}
	if repeats > 0 {
		s.Mean = total / float64(repeats)
	}
	return h, s, true
}

// dayOf numbers the calendar days.
func dayOf(t time.Time) int64 {
	year, month, day := t.Date()
	return time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Unix() / 86400
}

// check refuses what cannot be.
func (h History) check() error {
	switch {
	case h.Repeats < 0:
		return fmt.Errorf("%d repeat purchases, want none or more", h.Repeats)
	case !(h.Last >= 0) || !(h.Age >= h.Last) || math.IsInf(h.Age, 0):
		return fmt.Errorf("last purchase at %v of an age of %v, want 0 <= last <= age", h.Last, h.Age)
	case h.Repeats == 0 && h.Last != 0:
		return fmt.Errorf("last purchase at %v with no repeat purchase, want 0", h.Last)
	}
	return nil
}
