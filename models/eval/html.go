package eval

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
)

//go:embed report.html
var page string

// bar is one model's value as the page draws it: numbers are shares of the
// drawing's width.
type bar struct {
	Name, Text     string
	Y              int
	Width          float64
	Low, High      float64
	HasInterval    bool
	LabelY, WhiskY int
}

// chart is one metric's bars.
type chart struct {
	Metric string
	Height int
	Bars   []bar
}

// WriteHTML writes the report as one page that needs nothing else.
func (r *Report) WriteHTML(w io.Writer) error {
	t, err := template.New("report").Parse(page)
	if err != nil {
		return fmt.Errorf("report page: %w", err)
	}
	var order []string
	if len(r.Models) > 0 {
		order = r.Models[0].order
	}
	view := struct {
		*Report
		Order  []string
		Charts []chart
	}{Report: r, Order: order}
	for _, name := range order {
		view.Charts = append(view.Charts, r.chart(name))
	}
	return t.Execute(w, view)
}

// Text is the value with its interval.
func (v Value) Text() string { return v.text() }

// MB is the peak memory in MiB.
func (e Entry) MB() int64 { return e.PeakRSS >> 20 }

func (r *Report) chart(metric string) chart {
	const width, row = 420, 26
	most := 0.
	for i := range r.Models {
		v := r.Models[i].Metrics[metric]
		most = max(most, v.Value)
		if v.High != nil {
			most = max(most, *v.High)
		}
	}
	if most <= 0 {
		most = 1
	}
	c := chart{Metric: metric, Height: row*len(r.Models) + 4}
	for i := range r.Models {
		v := r.Models[i].Metrics[metric]
		b := bar{Name: r.Models[i].Name, Text: v.text(), Y: i*row + 4, LabelY: i*row + 19, WhiskY: i*row + 13, Width: max(v.Value, 0) / most * width}
		if v.Low != nil {
			b.HasInterval, b.Low, b.High = true, 150+max(*v.Low, 0)/most*width, 150+max(*v.High, 0)/most*width
		}
		c.Bars = append(c.Bars, b)
	}
	return c
}
