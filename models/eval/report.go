package eval

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"
)

// Report is the outcome of an evaluation, as it is written to JSON.
type Report struct {
	Dataset     Summary      `json:"dataset"`
	Models      []Entry      `json:"models"`
	Comparisons []Comparison `json:"comparisons,omitempty"`
}

// Summary says what was evaluated on.
type Summary struct {
	Name         string   `json:"name"`
	Split        string   `json:"split"`
	Ranking      string   `json:"ranking"` // "full" or "sampled"
	Users        int      `json:"users"`
	Items        int      `json:"items"`
	Train        int      `json:"train"` // interactions
	Validate     int      `json:"validate"`
	Test         int      `json:"test"`
	Cases        int      `json:"cases"`
	ColdUsers    int      `json:"cold_users"`    // users of the test without history
	ColdItems    int      `json:"cold_items"`    // items of the test that nobody had
	ColdRelevant float64  `json:"cold_relevant"` // share of the test's interactions with those items
	Seed         uint64   `json:"seed"`
	Remarks      []string `json:"remarks,omitempty"`
}

// Entry is what one model achieved and cost.
type Entry struct {
	Name        string           `json:"name"`
	Kind        string           `json:"kind"`
	Params      json.RawMessage  `json:"params"`
	Parts       []string         `json:"parts,omitempty"`   // of a composite; costs include theirs
	Account     []string         `json:"account,omitempty"` // how it chose its parameters, a line each
	Metrics     map[string]Value `json:"metrics"`
	KeepSeen    map[string]Value `json:"metrics_keep_seen,omitempty"` // with items of the history ranked as well
	Segments    []Segment        `json:"segments,omitempty"`
	Silent      int              `json:"cases_without_answer"`
	FitCPU      float64          `json:"fit_cpu_s"`
	FitWall     float64          `json:"fit_wall_s"`
	EvalWall    float64          `json:"evaluate_wall_s"`
	PeakRSS     int64            `json:"peak_rss_bytes"`
	order       []string         // of Metrics
	perCase     [][]float64
	perCaseKept [][]float64
}

// Value is a metric's mean over the cases with its 95 % bootstrap interval.
// Metrics of the whole (coverage, gini) have none: Low and High are nil.
type Value struct {
	Value float64  `json:"value"`
	Low   *float64 `json:"low,omitempty"`
	High  *float64 `json:"high,omitempty"`
}

// Segment is a metric's mean over some of the cases.
type Segment struct {
	By      string             `json:"by"`    // "history", "market", "items"
	Value   string             `json:"value"` // "5-19", "DE", "cold"
	Cases   int                `json:"cases"`
	Metrics map[string]float64 `json:"metrics"`
}

// Text is the metric's value, or a dash where the segment has none.
func (s Segment) Text(metric string) string {
	if v, ok := s.Metrics[metric]; ok {
		return fmt.Sprintf("%.4f", v)
	}
	return "-"
}

// Comparison is the paired difference of two models.
type Comparison struct {
	Metric      string  `json:"metric"`
	A           string  `json:"a"`
	B           string  `json:"b"`
	Difference  float64 `json:"difference"` // of A less B
	Low         float64 `json:"low"`
	High        float64 `json:"high"`
	Significant bool    `json:"significant"` // the interval does not hold 0
	KeepSeen    bool    `json:"keep_seen,omitempty"`
}

// Fill puts what Run measured into the entry; kept is the run that ranked seen
// items as well, nil for none.
func (e *Entry) Fill(res, kept *Result, seed uint64, workers int) {
	e.order = nil
	for _, m := range res.Metrics {
		e.order = append(e.order, m.String())
	}
	e.Metrics, e.perCase = values(res, seed, workers), res.Values
	e.Silent, e.EvalWall = res.Silent, res.Wall.Seconds()
	if kept != nil {
		e.KeepSeen, e.perCaseKept = values(kept, seed, workers), kept.Values
		e.EvalWall += kept.Wall.Seconds()
	}
}

func values(res *Result, seed uint64, workers int) map[string]Value {
	var series [][]float64
	for _, v := range res.Values {
		if v != nil {
			series = append(series, v)
		}
	}
	intervals := Intervals(series, seed, workers)
	out := map[string]Value{}
	for i, m := range res.Metrics {
		v := Value{Value: res.Whole[i]}
		if res.Values[i] != nil {
			low, high := intervals[0].Low, intervals[0].High
			intervals = intervals[1:]
			if !math.IsNaN(low) {
				v.Low, v.High = &low, &high
			}
		}
		if math.IsNaN(v.Value) { // JSON has no NaN: a metric that is nowhere defined is left out
			continue
		}
		out[m.String()] = v
	}
	return out
}

// Compare adds the paired differences of the entry called base to every other
// one, metric by metric: above 0, base has more.
func (r *Report) Compare(base string, seed uint64, workers int) error {
	var b *Entry
	for i := range r.Models {
		if r.Models[i].Name == base {
			b = &r.Models[i]
		}
	}
	if b == nil {
		return fmt.Errorf("cannot compare with %q: it is not among the models", base)
	}
	for i := range r.Models {
		other := &r.Models[i]
		if other == b {
			continue
		}
		r.compare(b, other, b.perCase, other.perCase, false, seed, workers)
		r.compare(b, other, b.perCaseKept, other.perCaseKept, true, seed, workers)
	}
	return nil
}

func (r *Report) compare(a, b *Entry, x, y [][]float64, kept bool, seed uint64, workers int) {
	var series [][]float64
	var names []string
	for i := range x {
		if x[i] != nil {
			series, names = append(series, Differences(x[i], y[i])), append(names, a.order[i])
		}
	}
	for i, iv := range Intervals(series, seed, workers) {
		if d := mean(series[i]); !math.IsNaN(d) && !math.IsNaN(iv.Low) {
			r.Comparisons = append(r.Comparisons, Comparison{
				Metric: names[i], A: a.Name, B: b.Name, Difference: d, Low: iv.Low, High: iv.High,
				Significant: iv.Low > 0 || iv.High < 0, KeepSeen: kept,
			})
		}
	}
}

// WriteText writes the report as aligned tables.
func (r *Report) WriteText(w io.Writer) error {
	d := &r.Dataset
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d users, %d items; %d train, %d validate, %d test interactions; split %s, %s ranking, %d cases\n",
		d.Name, d.Users, d.Items, d.Train, d.Validate, d.Test, d.Split, d.Ranking, d.Cases)
	fmt.Fprintf(&b, "cold: %d users without history, %d items nobody had (%.1f %% of the test)\n", d.ColdUsers, d.ColdItems, 100*d.ColdRelevant)
	for _, remark := range d.Remarks {
		fmt.Fprintf(&b, "remark: %s\n", remark)
	}
	if len(r.Models) > 0 {
		r.table(&b, "seen items left out", func(e *Entry) map[string]Value { return e.Metrics })
		if r.Models[0].KeepSeen != nil {
			r.table(&b, "seen items ranked as well", func(e *Entry) map[string]Value { return e.KeepSeen })
		}
		r.segments(&b)
	}
	r.comparisons(&b)
	for i := range r.Models {
		if e := &r.Models[i]; len(e.Account) > 0 {
			fmt.Fprintf(&b, "\nhow %s was chosen\n  %s\n", e.Name, strings.Join(e.Account, "\n  "))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Report) table(b *strings.Builder, title string, of func(*Entry) map[string]Value) {
	if r.Dataset.Ranking == "sampled" {
		title = "sampled candidates"
	}
	fmt.Fprintf(b, "\n%s, mean [95 %% interval]\n", title)
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "model")
	for _, name := range r.Models[0].order {
		fmt.Fprintf(t, "\t%s", name)
	}
	fmt.Fprintf(t, "\tfit CPU s\tfit wall s\tevaluate s\tpeak MB\n")
	for i := range r.Models {
		e := &r.Models[i]
		fmt.Fprint(t, e.Name)
		for _, name := range e.order {
			fmt.Fprintf(t, "\t%s", of(e)[name].text())
		}
		fmt.Fprintf(t, "\t%.2f\t%.2f\t%.2f\t%d\n", e.FitCPU, e.FitWall, e.EvalWall, e.PeakRSS>>20)
	}
	t.Flush()
}

func (v Value) text() string {
	if v == (Value{}) {
		return "-"
	}
	if v.Low == nil {
		return fmt.Sprintf("%.4f", v.Value)
	}
	return fmt.Sprintf("%.4f [%.4f, %.4f]", v.Value, *v.Low, *v.High)
}

func (r *Report) segments(b *strings.Builder) {
	if len(r.Models[0].Segments) == 0 {
		return
	}
	fmt.Fprintf(b, "\nby segment\n")
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "by\tsegment\tcases\tmodel")
	for _, name := range r.Models[0].order {
		fmt.Fprintf(t, "\t%s", name)
	}
	fmt.Fprintln(t)
	for s := range r.Models[0].Segments {
		for i := range r.Models {
			e := &r.Models[i]
			seg := &e.Segments[s]
			fmt.Fprintf(t, "%s\t%s\t%d\t%s", seg.By, seg.Value, seg.Cases, e.Name)
			for _, name := range e.order {
				fmt.Fprintf(t, "\t%s", seg.Text(name))
			}
			fmt.Fprintln(t)
		}
	}
	t.Flush()
}

func (r *Report) comparisons(b *strings.Builder) {
	if len(r.Comparisons) == 0 {
		return
	}
	fmt.Fprintf(b, "\npaired differences, mean [95 %% interval]\n")
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for _, c := range r.Comparisons {
		verdict, note := "no difference shown", ""
		if c.Significant {
			verdict = "differs"
		}
		if c.KeepSeen {
			note = " (seen ranked)"
		}
		fmt.Fprintf(t, "%s less %s\t%s%s\t%+.4f [%+.4f, %+.4f]\t%s\n", c.A, c.B, c.Metric, note, c.Difference, c.Low, c.High, verdict)
	}
	t.Flush()
}
