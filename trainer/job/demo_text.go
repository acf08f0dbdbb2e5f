package job

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/attune-rec/attune/features/ingest"
	"github.com/attune-rec/attune/models/eval"
	"github.com/attune-rec/attune/trainer/replay"
	"github.com/attune-rec/attune/trainer/retrain"
)

// tell prints what an import and a training came to, for people.
func (d *Demo) tell(w io.Writer, cleaned *ingest.Report, out *retrain.Outcome) {
	tellImport(w, cleaned)
	tellTraining(w, out)
}

// tellImport is the report in short: a line a rule that did something.
func tellImport(w io.Writer, r *ingest.Report) {
	fmt.Fprintf(w, "\nimported %s: %d rows, %d kept, %d set aside with the reason\n", r.Source, r.Rows, r.Kept, r.Refused)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for i := range r.Rules {
		rule := &r.Rules[i]
		if rule.Count() > 0 {
			fmt.Fprintf(t, "  %s\t%d\t%s\n", rule.Name, rule.Count(), rule.Description)
		}
	}
	_ = t.Flush()
}

func tellTraining(w io.Writer, out *retrain.Outcome) {
	fmt.Fprintf(w, "\nrelease %s: %d events of %d shoppers, %d items, %.1f MB\n", out.Version, out.Events, out.Users, out.Items, float64(out.Bytes)/(1<<20))
	for _, remark := range out.Remarks {
		fmt.Fprintf(w, "  %s\n", remark)
	}
	if r := out.Report; r != nil {
		fmt.Fprintf(w, "judged on the last %.0f days of the log, with weights chosen on those before: %d shoppers, of whom %d are new and have no history\n",
			retrain.Default().Window.Hours()/24, r.Dataset.Cases, r.Dataset.ColdUsers)
		tellTable(w, r)
	}
	if p := out.Pipeline; p != nil {
		fmt.Fprintf(w, "the answers of %s to the %d purchase sessions of those days: NDCG@10 %s, at least one hit %s, a reason for %.0f %% of the items\n",
			p.Surface, p.Sessions, replay.Text(p.New, "ndcg@10"), replay.Text(p.New, "hr@10"), 100*p.Reasons)
	}
	if r := out.Ranker; r != nil {
		chosen, alone := r.Best()
		fmt.Fprintf(w, "ranker learnt from %d replayed requests (%s): NDCG@10 %.4f on validation, %.4f by the best model alone\n", r.Lists, r.Chosen, chosen, alone)
		for _, c := range r.Comparisons {
			fmt.Fprintf(w, "  its %s on the test less that of the %s: %+.4f, 95 %% interval [%+.4f, %+.4f]\n", c.Metric, c.B, c.Difference, c.Low, c.High)
		}
	}
	if out.Gate != nil {
		fmt.Fprintln(w, out.Gate)
	}
}

func tellTable(w io.Writer, r *eval.Report) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "  model\tNDCG@10, new items\t\tNDCG@10, all items\t\n")
	cell := func(v eval.Value) string {
		if v.Low == nil || v.High == nil {
			return fmt.Sprintf("%.4f\t", v.Value)
		}
		return fmt.Sprintf("%.4f\t[%.4f, %.4f]", v.Value, *v.Low, *v.High)
	}
	for _, m := range r.Models {
		fmt.Fprintf(t, "  %s\t%s\t%s\n", m.Name, cell(m.Metrics["ndcg@10"]), cell(m.KeepSeen["ndcg@10"]))
	}
	_ = t.Flush()
	for _, c := range r.Comparisons {
		if c.Metric == "ndcg@10" && !c.KeepSeen {
			fmt.Fprintf(w, "  %s less %s: %+.4f, 95 %% interval [%+.4f, %+.4f]\n", c.A, c.B, c.Difference, c.Low, c.High)
		}
	}
}
