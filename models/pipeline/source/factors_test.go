package source_test

import (
	"context"
	"slices"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/pipeline"
	"github.com/attune-rec/attune/models/pipeline/source"
)

// line is a model whose vector is a number, and an index of so many rows whose
// order it is. It counts searches with and without a filter.
type line struct {
	models.Model
	rows           int
	filtered, free int
}

func (l *line) Kind() string                                  { return "line" }
func (l *line) Items() int                                    { return l.rows }
func (l *line) Dim() int                                      { return 1 }
func (l *line) Vectors() []float32                            { return nil }
func (l *line) Embed(_ *features.Request, dst []float32) bool { dst[0] = 1; return true }
func (l *line) Len() int                                      { return l.rows }
func (l *line) Close() error                                  { return nil }

func (l *line) SearchMany(context.Context, []float32, int, models.Where, [][]models.Hit) error {
	return nil
}

func (l *line) Search(_ context.Context, _ []float32, k int, w models.Where, dst []models.Hit) ([]models.Hit, error) {
	if w.Allow == nil {
		l.free++
	} else {
		l.filtered++
	}
	for row := features.Row(0); int(row) < l.rows && k > 0; row++ {
		if w.Allow == nil || w.Allow.Has(row) {
			dst = append(dst, models.Hit{Row: row, Score: float32(l.rows - int(row))})
			k--
		}
	}
	return dst, nil
}

// Whether a filter is searched with or looked at afterwards, the best eligible
// rows are found.
func TestFactorsWithAndWithoutFilter(t *testing.T) {
	const n = 10
	for what, c := range map[string]struct {
		rows           int
		out            []features.Row // not eligible
		from           features.Row   // nor are those from here on
		filtered, free int
	}{
		"few rows":                   {rows: 1000, from: 1000, filtered: 1},
		"nothing taken out":          {rows: 60_000, from: 60_000, free: 1},
		"some of the best taken out": {rows: 60_000, out: []features.Row{0, 1, 2, 5, 9, 12}, from: 60_000, free: 1},
		"all of the best taken out":  {rows: 60_000, out: []features.Row{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24}, from: 60_000, filtered: 1, free: 1},
		"much taken out":             {rows: 60_000, from: 50_000, filtered: 1},
	} {
		l := &line{rows: c.rows}
		s, err := source.Build(models.SourceSpec{Name: "factors", Source: "factors", Model: "line"}, pipeline.Env{
			Models: map[string]models.Model{"line": l}, Indexes: map[string]models.Index{"line": l},
		})
		if err != nil {
			t.Fatal(err)
		}
		eligible := features.FullBitmap(c.rows)
		for row := c.from; int(row) < c.rows; row++ {
			eligible.Clear(row)
		}
		for _, row := range c.out {
			eligible.Clear(row)
		}
		r := &features.Request{Eligible: eligible, Scratch: new(features.Scratch)}
		got, err := s.Candidates(context.Background(), r, n, nil)
		if err != nil {
			t.Fatal(err)
		}
		var want, rows []features.Row
		want = eligible.AppendRows(want)[:n]
		for _, c := range got {
			rows = append(rows, c.Row)
		}
		if !slices.Equal(rows, want) || l.free != c.free || l.filtered != c.filtered {
			t.Errorf("%s: got %v after %d searches without and %d with a filter, want %v after %d and %d", what, rows, l.free, l.filtered, want, c.free, c.filtered)
		}
	}
}
