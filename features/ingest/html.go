package ingest

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
)

//go:embed report.html
var reportPage string

var reportTemplate = template.Must(template.New("report").Parse(reportPage))

// HTML writes the report as a page for people, with bars. It needs nothing from
// elsewhere.
func (r *Report) HTML(w io.Writer) error {
	if err := reportTemplate.Execute(w, r); err != nil {
		return fmt.Errorf("write the report of %s: %w", r.Source, err)
	}
	return nil
}

// Most is the greatest count of a rule.
func (r *Report) Most() (most int64) {
	for i := range r.Rules {
		most = max(most, r.Rules[i].Count())
	}
	return most
}

// Width is the part n of all on a scale of 1000, at least 1 of something.
func (r *Report) Width(n, all int64) int64 {
	if n == 0 || all == 0 {
		return 0
	}
	return max(1, n*1000/all)
}
