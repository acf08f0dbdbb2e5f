package replay

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"time"
)

//go:embed report.html
var page string

// WriteHTML writes the report as one page that needs nothing else.
func (r *Report) WriteHTML(w io.Writer) error {
	t, err := template.New("report").Funcs(template.FuncMap{
		"day": func(t time.Time) string { return t.Format(time.DateOnly) }, "percent": func(v float64) string { return fmt.Sprintf("%.1f %%", 100*v) },
	}).Parse(page)
	if err != nil {
		return fmt.Errorf("report page: %w", err)
	}
	type row struct{ Name, New, All string }
	view := struct {
		*Report
		Rows []row
	}{Report: r}
	for _, m := range metrics() {
		view.Rows = append(view.Rows, row{m.String(), Text(r.New, m.String()), Text(r.All, m.String())})
	}
	return t.Execute(w, view)
}
