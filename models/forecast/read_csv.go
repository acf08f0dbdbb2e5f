package forecast

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Step is the distance of values in time.
type Step int

// The steps. Weeks begin on Monday.
const (
	Day Step = iota
	Week
	Month
)

var stepNames = [...]string{"day", "week", "month"}

func (s Step) String() string {
	if s < 0 || int(s) >= len(stepNames) {
		return fmt.Sprintf("step(%d)", int(s))
	}
	return stepNames[s]
}

// MarshalText writes the name of the step.
func (s Step) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads day, week or month.
func (s *Step) UnmarshalText(text []byte) error {
	i := slices.Index(stepNames[:], string(text))
	if i < 0 {
		return fmt.Errorf("step %q is not one of day, week, month", text)
	}
	*s = Step(i)
	return nil
}

// index numbers the steps of time; start undoes it.
func (s Step) index(t time.Time) int {
	year, month, day := t.Date()
	days := int(time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Unix() / 86400)
	switch s {
	case Month:
		return year*12 + int(month) - 1
	case Week:
		return (days+3)/7 - 1 // day 0, in 1970, is a Thursday
	default:
		return days
	}
}

func (s Step) start(index int) time.Time {
	switch s {
	case Month:
		return time.Date(index/12, time.Month(index%12+1), 1, 0, 0, 0, 0, time.UTC)
	case Week:
		return time.Unix(int64((index+1)*7-3)*86400, 0).UTC()
	default:
		return time.Unix(int64(index)*86400, 0).UTC()
	}
}

// Dated is a series whose values begin at a known time.
type Dated struct {
	Series
	step  Step
	first int
}

// Date returns the beginning of the step of value i, which may lie beyond the
// values.
func (d Dated) Date(i int) time.Time { return d.step.start(d.first + i) }

// longestSpan bounds the steps of a table, and with them the memory it takes.
const longestSpan = 100_000

// ReadCSV reads rows of the columns date (YYYY-MM-DD, from 1970), series and
// value, in any order. Values of one series in one step are added up. Every
// series goes from its first step to the last step of the table; steps without a
// row are zero, as demand is where nothing was sold. Series come in the order of
// their first row. Errors in the text are of type *LineError.
func ReadCSV(r io.Reader, step Step, seasons []int) ([]Dated, error) {
	t, err := openTable(r)
	if err != nil {
		return nil, err
	}
	at, err := t.columns("date", "series", "value")
	if err != nil {
		return nil, err
	}
	type cell struct {
		index int
		value float64
	}
	cells := map[string][]cell{}
	var order []string
	low, high := math.MaxInt, 0
	for {
		row, err := t.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if len(row) <= slices.Max(at) {
			return nil, &LineError{t.line, fmt.Errorf("%d fields, want at least %d", len(row), slices.Max(at)+1)}
		}
		date, err := time.Parse(time.DateOnly, row[at[0]])
		if err != nil || date.Year() < 1970 {
			return nil, &LineError{t.line, fmt.Errorf("date %q, want YYYY-MM-DD from 1970", row[at[0]])}
		}
		value, err := strconv.ParseFloat(row[at[2]], 64)
		if err != nil || math.IsNaN(value) || math.IsInf(value, 0) {
			return nil, &LineError{t.line, fmt.Errorf("value %q, want a number", row[at[2]])}
		}
		name := row[at[1]]
		if _, known := cells[name]; !known {
			name = strings.Clone(name)
			order = append(order, name)
		}
		i := step.index(date)
		low, high = min(low, i), max(high, i)
		if high-low >= longestSpan {
			return nil, &LineError{t.line, fmt.Errorf("date %s is more than %d steps from another", row[at[0]], longestSpan)}
		}
		cells[name] = append(cells[name], cell{i, value})
	}
	out := make([]Dated, 0, len(order))
	for _, name := range order {
		first := high
		for _, c := range cells[name] {
			first = min(first, c.index)
		}
		d := Dated{Series: Series{Name: name, Values: make([]float64, high-first+1), Seasons: seasons}, step: step, first: first}
		for _, c := range cells[name] {
			d.Values[c.index-first] += c.value
		}
		if err := d.check(); err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
}
