package forecast

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Task is a series of a forecasting competition with what came after.
type Task struct {
	Series
	Period  string    // yearly, quarterly, monthly, weekly, daily, hourly or other
	Horizon int       // how many values to forecast
	Test    []float64 // what came, of the horizon's length, or nil where it is not given
}

// seasonsOf are the seasons of the periods of the competitions.
func seasonsOf(period string) []int {
	switch period {
	case "quarterly":
		return []int{4}
	case "monthly":
		return []int{12}
	case "weekly":
		return []int{52}
	case "daily":
		return []int{7}
	case "hourly":
		return []int{24, 168}
	default:
		return nil
	}
}

// LineError says what is wrong with which line of a text.
type LineError struct {
	Line int // from 1
	Err  error
}

func (e *LineError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

// Unwrap returns the cause.
func (e *LineError) Unwrap() error { return e.Err }

// table reads a CSV with a header, line by line.
type table struct {
	in     *csv.Reader
	header []string
	line   int
}

func openTable(r io.Reader) (*table, error) {
	in := csv.NewReader(r)
	in.FieldsPerRecord = -1
	in.ReuseRecord = true
	t := &table{in: in}
	row, err := t.next()
	if errors.Is(err, io.EOF) {
		return nil, &LineError{1, errors.New("the file is empty, want a header")}
	}
	if err != nil {
		return nil, err
	}
	for i, name := range row {
		if i == 0 {
			name = strings.TrimPrefix(name, "\ufeff")
		}
		t.header = append(t.header, strings.ToLower(strings.TrimSpace(name)))
	}
	return t, nil
}

// next returns the next row, or io.EOF.
func (t *table) next() ([]string, error) {
	row, err := t.in.Read()
	var bad *csv.ParseError
	if errors.As(err, &bad) {
		return nil, &LineError{bad.Line, bad.Err}
	}
	if err != nil {
		return nil, err
	}
	t.line, _ = t.in.FieldPos(0)
	return row, nil
}

// columns finds columns by name.
func (t *table) columns(names ...string) ([]int, error) {
	out := make([]int, len(names))
	for i, name := range names {
		if out[i] = slices.Index(t.header, name); out[i] < 0 {
			return nil, &LineError{1, fmt.Errorf("no column %q among %s", name, strings.Join(t.header, ", "))}
		}
	}
	return out, nil
}

// ReadM3 reads the M3 competition: CSV with the columns id, period, h, train and
// test, where values are parted by semicolons and test may be empty. Errors in
// the text are of type *LineError.
func ReadM3(r io.Reader) ([]Task, error) {
	t, err := openTable(r)
	if err != nil {
		return nil, err
	}
	at, err := t.columns("id", "period", "h", "train", "test")
	if err != nil {
		return nil, err
	}
	var tasks []Task
	for {
		row, err := t.next()
		if errors.Is(err, io.EOF) {
			return tasks, nil
		}
		if err != nil {
			return nil, err
		}
		task, err := readM3Row(row, at)
		if err != nil {
			return nil, &LineError{t.line, err}
		}
		tasks = append(tasks, task)
	}
}

func readM3Row(row []string, at []int) (Task, error) {
	if len(row) <= slices.Max(at) {
		return Task{}, fmt.Errorf("%d fields, want at least %d", len(row), slices.Max(at)+1)
	}
	t := Task{Series: Series{Name: row[at[0]]}, Period: strings.ToLower(row[at[1]])}
	t.Seasons = seasonsOf(t.Period)
	var err error
	if t.Horizon, err = strconv.Atoi(row[at[2]]); err != nil || t.Horizon < 1 || t.Horizon > 1<<16 {
		return t, fmt.Errorf("series %s: horizon %q, want a number from 1", t.Name, row[at[2]])
	}
	if t.Values, err = values(strings.Split(row[at[3]], ";")); err != nil {
		return t, fmt.Errorf("series %s: %w", t.Name, err)
	}
	if row[at[4]] == "" {
		return t, t.check()
	}
	if t.Test, err = values(strings.Split(row[at[4]], ";")); err != nil {
		return t, fmt.Errorf("series %s: test: %w", t.Name, err)
	}
	if len(t.Test) != t.Horizon {
		return t, fmt.Errorf("series %s: %d test values for a horizon of %d", t.Name, len(t.Test), t.Horizon)
	}
	return t, t.check()
}

// ReadM4 reads the M4 competition: two CSVs of a header and a series a row, its
// name first and its values after, of which empty ones at the end are none. The
// first letter of a name tells the period. The test says the horizon; it must
// name the same series.
func ReadM4(train, test io.Reader) ([]Task, error) {
	past, err := readWide(train)
	if err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	future, err := readWide(test)
	if err != nil {
		return nil, fmt.Errorf("test: %w", err)
	}
	came := make(map[string][]float64, len(future))
	for _, s := range future {
		came[s.Name] = s.Values
	}
	periods := map[byte]string{'Y': "yearly", 'Q': "quarterly", 'M': "monthly", 'W': "weekly", 'D': "daily", 'H': "hourly"}
	tasks := make([]Task, 0, len(past))
	for _, s := range past {
		period, ok := periods[s.Name[0]]
		if !ok {
			period = "other"
		}
		s.Seasons = seasonsOf(period)
		actual := came[s.Name]
		if len(actual) == 0 {
			return nil, fmt.Errorf("test: no series %s, which train has", s.Name)
		}
		tasks = append(tasks, Task{Series: s, Period: period, Horizon: len(actual), Test: actual})
	}
	return tasks, nil
}

func readWide(r io.Reader) ([]Series, error) {
	t, err := openTable(r)
	if err != nil {
		return nil, err
	}
	var out []Series
	seen := map[string]bool{}
	for {
		row, err := t.next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		s := Series{Name: strings.Clone(row[0])}
		if s.Name == "" || seen[s.Name] {
			return nil, &LineError{t.line, fmt.Errorf("series name %q is empty or comes twice", s.Name)}
		}
		seen[s.Name] = true
		fields := row[1:]
		for len(fields) > 0 && fields[len(fields)-1] == "" {
			fields = fields[:len(fields)-1]
		}
		if s.Values, err = values(fields); err == nil {
			err = s.check()
		}
		if err != nil {
			return nil, &LineError{t.line, err}
		}
		out = append(out, s)
	}
}

// values reads numbers.
func values(fields []string) ([]float64, error) {
	out := make([]float64, len(fields))
	for i, text := range fields {
		v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err != nil {
			return nil, fmt.Errorf("value %d is %q, want a number", i+1, text)
		}
		out[i] = v
	}
	return out, nil
}
