package forecast

import (
	"errors"
	"fmt"
	"math"
)

// Series is a sequence of values at equal distances in time.
type Series struct {
	Name   string
	Values []float64 // oldest first; finite
	// Seasons are the lengths of its cycles, rising: {12} for months of a year,
	// {24, 168} for hours of a day and of a week, none for no season.
	Seasons []int
}

func (s Series) check() error {
	if len(s.Values) == 0 {
		return fmt.Errorf("series %s: no values", s.Name)
	}
	for i, v := range s.Values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("series %s: value %d is %v", s.Name, i+1, v)
		}
	}
	last := 1
	for _, m := range s.Seasons {
		if m <= last {
			return fmt.Errorf("series %s: seasons %v, want rising lengths above 1", s.Name, s.Seasons)
		}
		last = m
	}
	return nil
}

// Forecast is what Auto expects of a series. All slices have the horizon's length.
type Forecast struct {
	Name string
	Mean []float64
	// The value lies between Low80 and High80 with a probability of about 80 %,
	// and between Low95 and High95 with about 95 %.
	Low80, High80, Low95, High95 []float64
}

var errHorizon = errors.New("the horizon must be at least 1")
