package replay

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models/eval"
)

// Report is how the answers fared. Metrics are means over shoppers, each of
// whom counts once however often they came, with intervals that resample
// shoppers.
type Report struct {
	Subject    string                `json:"subject"`
	Surface    string                `json:"surface"`
	From       time.Time             `json:"from"`
	To         time.Time             `json:"to"`
	Sessions   int                   `json:"sessions"`
	Shoppers   int                   `json:"shoppers"`
	Cold       int                   `json:"cold_sessions"` // of shoppers of whom nothing was known
	Withheld   int                   `json:"withheld"`      // shoppers who did not agree to figures
	Missing    float64               `json:"missing"`       // share of what was bought that the release does not know
	New        map[string]eval.Value `json:"metrics"`       // what was bought and not had before is to be found
	All        map[string]eval.Value `json:"metrics_keep_seen"`
	Reach      *eval.Value           `json:"candidate_recall,omitempty"` // of the ranker's ten best of all items; nil: it orders by retrieval
	Considered float64               `json:"considered"`                 // candidates of an answer, mean
	Answered   float64               `json:"answered"`                   // items of an answer, mean
	Coverage   float64               `json:"coverage"`                   // share of the catalogue in any answer
	Reasons    float64               `json:"reasons"`                    // share of the items with a reason
	Tested     int                   `json:"reasons_tested"`             // that rest on the history: the item is ranked again without what they name
	Held       float64               `json:"reasons_held"`               // share of those: its score is then lower
	ReasonKind map[string]float64    `json:"reason_kinds"`               // shares of the items
	Sources    map[string]float64    `json:"sources"`                    // shares of the items
	Degraded   float64               `json:"degraded"`                   // share of the answers
	Causes     map[string]int        `json:"degraded_by,omitempty"`
	Stages     []eval.Segment        `json:"segments,omitempty"` // by the lifecycle's stages, of All
	Fairness   []*eval.Fairness      `json:"fairness,omitempty"` // by the groups asked for
	Seconds    float64               `json:"seconds"`
	series     map[string][]float64  // by metric, of New, then shopper
	seriesAll  map[string][]float64
}

// metrics is what answers are judged by.
func metrics() []eval.Metric {
	return []eval.Metric{{Name: eval.NDCG, K: limit}, {Name: eval.HitRate, K: limit}, {Name: eval.Recall, K: limit}}
}

// byShopper is means over a shopper's sessions; NaN where none counts.
type byShopper struct{ sum, n []float64 }

func newByShopper(n int) byShopper {
	return byShopper{sum: make([]float64, n), n: make([]float64, n)}
}

func (b byShopper) add(shopper int, v float64) {
	if !math.IsNaN(v) {
		b.sum[shopper] += v
		b.n[shopper]++
	}
}

func (b byShopper) means() []float64 {
	out := make([]float64, len(b.sum))
	for i := range out {
		out[i] = b.sum[i] / b.n[i]
	}
	return out
}

func (p *player) report(o *Options) *Report {
	r := &Report{
		Subject: p.subject.Name, Surface: p.subject.Recipe.Surface, From: o.From, To: o.To, Withheld: len(p.tape.off),
		ReasonKind: map[string]float64{}, Sources: map[string]float64{}, Causes: map[string]int{},
	}
	shoppers := map[features.UserKey]int{}
	for i, v := range p.tape.visits {
		if _, ok := shoppers[v.user]; !ok && p.cases[i].asked {
			shoppers[v.user] = len(shoppers)
		}
	}
	r.Shoppers = len(shoppers)
	all := metrics()
	fresh, every := make([]byShopper, len(all)), make([]byShopper, len(all))
	for m := range all {
		fresh[m], every[m] = newByShopper(r.Shoppers), newByShopper(r.Shoppers)
	}
	reach := newByShopper(r.Shoppers)
	bought, missing, degraded, held := 0, 0, 0, 0
	shown := features.NewBitmap(p.subject.Items.Len())
	for i := range p.cases {
		c := &p.cases[i]
		if !c.asked {
			continue
		}
		who := shoppers[p.tape.visits[i].user]
		r.Sessions++
		r.Considered += float64(c.considered)
		r.Answered += float64(len(c.answer))
		bought, missing = bought+c.bought, missing+c.missing
		if c.cold {
			r.Cold++
		}
		for m := range all {
			every[m].add(who, all[m].Of(c.hits, c.bought))
			if c.fresh > 0 {
				fresh[m].add(who, all[m].Of(c.hitsFresh, c.fresh))
			}
		}
		reach.add(who, c.reach)
		for _, a := range c.answer {
			shown.Set(a.row)
			r.Sources[a.source]++
			if a.reason != "" {
				r.Reasons++
				r.ReasonKind[string(a.reason)]++
			}
		}
		r.Tested += c.tested
		held += c.held
		if len(c.degraded) > 0 {
			degraded++
		}
		for _, why := range c.degraded {
			r.Causes[why]++
		}
	}
	items := r.Answered
	r.Reasons = share(r.Reasons, items)
	r.Held = share(float64(held), float64(r.Tested))
	for _, m := range []map[string]float64{r.Sources, r.ReasonKind} {
		for k, n := range m {
			m[k] = share(n, items)
		}
	}
	n := float64(r.Sessions)
	r.Considered, r.Answered = share(r.Considered, n), share(r.Answered, n)
	r.Degraded, r.Missing = share(float64(degraded), n), share(float64(missing), float64(bought))
	r.Coverage = share(float64(shown.Count()), float64(p.subject.Items.Len()))
	r.New, r.series = values(all, fresh, o)
	r.All, r.seriesAll = values(all, every, o)
	if v, ok := value(reach.means(), o); ok {
		r.Reach = &v
	}
	return r
}

func share(part, whole float64) float64 {
	if whole == 0 {
		return 0
	}
	return part / whole
}

func values(all []eval.Metric, of []byShopper, o *Options) (map[string]eval.Value, map[string][]float64) {
	out, series := map[string]eval.Value{}, map[string][]float64{}
	for i, m := range all {
		series[m.String()] = of[i].means()
		if v, ok := value(series[m.String()], o); ok {
			out[m.String()] = v
		}
	}
	return out, series
}

// value is the mean of what is defined, with its interval.
func value(series []float64, o *Options) (eval.Value, bool) {
	sum, n := 0., 0
	for _, v := range series {
		if !math.IsNaN(v) {
			sum, n = sum+v, n+1
		}
	}
	if n == 0 {
		return eval.Value{}, false
	}
	iv := eval.Intervals([][]float64{series}, o.Seed, o.Workers)[0]
	v := eval.Value{Value: sum / float64(n)}
	if !math.IsNaN(iv.Low) {
		v.Low, v.High = &iv.Low, &iv.High
	}
	return v, true
}

// Difference is the paired difference of two reports of the same sessions, a
// less b: by shoppers, with what was bought and not had before to be found.
func Difference(a, b *Report, metric string, seed uint64, workers int) (eval.Comparison, error) {
	return difference(a, b, a.series[metric], b.series[metric], metric, seed, workers)
}

// DifferenceOfAll is Difference with all that was bought to be found, what was
// had before included.
func DifferenceOfAll(a, b *Report, metric string, seed uint64, workers int) (eval.Comparison, error) {
	c, err := difference(a, b, a.seriesAll[metric], b.seriesAll[metric], metric, seed, workers)
	c.KeepSeen = true
	return c, err
}

func difference(a, b *Report, x, y []float64, metric string, seed uint64, workers int) (eval.Comparison, error) {
	if len(x) == 0 || len(x) != len(y) || a.Sessions != b.Sessions || a.Surface != b.Surface {
		return eval.Comparison{}, fmt.Errorf("cannot compare %s of %q with %q: they were judged on different sessions", metric, a.Subject, b.Subject)
	}
	d := eval.Differences(x, y)
	sum, n := 0., 0
	for _, v := range d {
		if !math.IsNaN(v) {
			sum, n = sum+v, n+1
		}
	}
	iv := eval.Intervals([][]float64{d}, seed, workers)[0]
	return eval.Comparison{
		Metric: metric, A: a.Subject, B: b.Subject, Difference: sum / float64(max(n, 1)), Low: iv.Low, High: iv.High,
		Significant: iv.Low > 0 || iv.High < 0,
	}, nil
}

// WriteText writes the report for people.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "surface %s of %s, %s to %s: %d purchase sessions of %d shoppers, %d of them by nobody known\n",
		r.Surface, r.Subject, r.From.Format(time.DateOnly), r.To.Format(time.DateOnly), r.Sessions, r.Shoppers, r.Cold)
	if r.Withheld > 0 {
		fmt.Fprintf(&b, "%d shoppers did not agree to figures and are left out\n", r.Withheld)
	}
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "\nmean over shoppers [95 %% interval]\tnew items\tall items\n")
	for _, m := range metrics() {
		fmt.Fprintf(t, "%s\t%s\t%s\n", m, Text(r.New, m.String()), Text(r.All, m.String()))
	}
	_ = t.Flush()
	fmt.Fprintln(&b)
	if r.Reach != nil {
		fmt.Fprintf(t, "candidates hold of the ranker's ten best of all items\t%s\n", text(*r.Reach))
	}
	fmt.Fprintf(t, "candidates of an answer\t%.0f\nitems of an answer\t%.2f\ncatalogue in any answer\t%.1f %%\n", r.Considered, r.Answered, 100*r.Coverage)
	fmt.Fprintf(t, "items with a reason\t%.1f %%\t%s\nitems by source\t\t%s\n", 100*r.Reasons, Shares(r.ReasonKind), Shares(r.Sources))
	if r.Tested > 0 {
		fmt.Fprintf(t, "reasons that hold\t%.2f %%\tof %d that rest on the history: without what they name the item's score is lower\n", 100*r.Held, r.Tested)
	}
	fmt.Fprintf(t, "bought and unknown to the release\t%.2f %%\ndegraded answers\t%.2f %%\t%s\n", 100*r.Missing, 100*r.Degraded, causes(r.Causes))
	_ = t.Flush()
	if err := writeStages(&b, r.Stages); err != nil {
		return err
	}
	for _, f := range r.Fairness {
		if err := f.WriteText(&b); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Text is a metric with its interval, or a dash.
func Text(of map[string]eval.Value, metric string) string {
	v, ok := of[metric]
	if !ok {
		return "-"
	}
	return text(v)
}

func text(v eval.Value) string {
	if v.Low == nil || v.High == nil {
		return fmt.Sprintf("%.4f", v.Value)
	}
	return fmt.Sprintf("%.4f [%.4f, %.4f]", v.Value, *v.Low, *v.High)
}

// Shares lists shares, the largest first.
func Shares(of map[string]float64) string {
	names := slices.SortedFunc(maps.Keys(of), func(a, b string) int {
		if of[a] != of[b] {
			if of[a] > of[b] {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	for i, n := range names {
		names[i] = fmt.Sprintf("%s %.1f %%", n, 100*of[n])
	}
	return strings.Join(names, ", ")
}

func causes(of map[string]int) string {
	names := slices.Sorted(maps.Keys(of))
	for i, n := range names {
		names[i] = fmt.Sprintf("%s %d", n, of[n])
	}
	return strings.Join(names, ", ")
}
