package job

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/attune-rec/attune/features/ingest"
	"github.com/attune-rec/attune/models/eval"
	"github.com/attune-rec/attune/trainer/replay"
	"github.com/attune-rec/attune/trainer/retrain"
)

// page is what is written down of a demo, for people.
type page struct {
	cleaned        *ingest.Report
	out            *retrain.Outcome
	imported, took time.Duration // of the import, and of everything
	peakRSS        int64
}

// write writes the page in Markdown.
func (p *page) write(w io.Writer) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "# The bundled shop: cleaning, models, answers\n\nWritten by one command, from the raw file to this page:\n\n    make measure-demo\n\n")
	fmt.Fprintf(b, "%s\n\n", machine())
	p.cleaning(b)
	if r := p.out.Report; r != nil {
		p.models(b, r)
	}
	if r := p.out.Pipeline; r != nil {
		answers(b, r)
	}
	fmt.Fprintf(b, "## Cost\n\n| what | |\n|---|---|\n| import and cleaning | %.1f s |\n| choosing weights, judging, training, publishing | %.1f s |\n| of it, the replay of sessions | %.1f s |\n| everything | %.1f s |\n| memory at most | %d MB |\n| release | %.1f MB |\n",
		p.imported.Seconds(), (p.took - p.imported).Seconds(), replayed(p.out), p.took.Seconds(), p.peakRSS>>20, float64(p.out.Bytes)/(1<<20))
	return b.Flush()
}

func replayed(out *retrain.Outcome) float64 {
	if out.Pipeline == nil {
		return 0
	}
	return out.Pipeline.Seconds
}

func (p *page) cleaning(b io.Writer) {
	r := p.cleaned
	fmt.Fprintf(b, "## Cleaning\n\n%s: %d rows, %d kept, %d set aside with the reason; %d shoppers, %d items, %s to %s.\n\n| rule | refused | changed | noted | what it says |\n|---|---|---|---|---|\n",
		r.Source, r.Rows, r.Kept, r.Refused, r.Users, r.Items, r.From.Format(time.DateOnly), r.To.Format(time.DateOnly))
	for i := range r.Rules {
		rule := &r.Rules[i]
		fmt.Fprintf(b, "| %s | %d | %d | %d | %s |\n", rule.Name, rule.Refused, rule.Changed, rule.Noted, rule.Description)
	}
	fmt.Fprintln(b)
}

func (p *page) models(b io.Writer, r *eval.Report) {
	fmt.Fprintf(b, "## Models\n\nTemporal split: the last %.0f days of the log are the test, weights were chosen on those before. %d shoppers, of whom %d are new, without a history, and counted. %d items of the test nobody had bought before (%.1f %% of its purchases).\n",
		retrain.Default().Window.Hours()/24, r.Dataset.Cases, r.Dataset.ColdUsers, r.Dataset.ColdItems, 100*r.Dataset.ColdRelevant)
	for _, t := range []struct {
		title string
		kept  bool
		of    func(*eval.Entry) map[string]eval.Value
	}{
		{"New items only: what a shopper has already is neither answered nor to be found", false, func(e *eval.Entry) map[string]eval.Value { return e.Metrics }},
		{"All items: what a shopper has already may be answered and found again", true, func(e *eval.Entry) map[string]eval.Value { return e.KeepSeen }},
	} {
		fmt.Fprintf(b, "\n%s:\n\n| model | NDCG@10 | recall@10 | HR@10 | coverage@10 |\n|---|---|---|---|---|\n", t.title)
		for i := range r.Models {
			e := &r.Models[i]
			of := t.of(e)
			fmt.Fprintf(b, "| %s | %s | %s | %s | %s |\n", e.Name, replay.Text(of, "ndcg@10"), replay.Text(of, "recall@10"), replay.Text(of, "hr@10"), replay.Text(of, "coverage@10"))
		}
		fmt.Fprintf(b, "\nPaired differences of NDCG@10, 95 %% bootstrap interval over shoppers:\n\n")
		for _, c := range r.Comparisons {
			if c.Metric == "ndcg@10" && c.KeepSeen == t.kept {
				fmt.Fprintf(b, "- %s less %s: %+.4f [%+.4f, %+.4f]\n", c.A, c.B, c.Difference, c.Low, c.High)
			}
		}
	}
	fmt.Fprintln(b)
}

func answers(b io.Writer, r *replay.Report) {
	fmt.Fprintf(b, "## Answers\n\nThe %d purchase sessions of %d shoppers in the same days, put one by one to the pipeline of the surface %s, each with the shopper's history as it was just before; %d were of shoppers of whom nothing was known. Models and weights are from before those days, and an item can be answered from its first event on. What the shopper has bought already the surface answers again only once it is time to, by the interval at which such things are bought again.\n\n",
		r.Sessions, r.Shoppers, r.Surface, r.Cold)
	fmt.Fprintf(b, "| mean over shoppers, 95 %% interval | new items to be found | all items to be found |\n|---|---|---|\n")
	for _, m := range []string{"ndcg@10", "hr@10", "recall@10"} {
		fmt.Fprintf(b, "| %s | %s | %s |\n", m, replay.Text(r.New, m), replay.Text(r.All, m))
	}
	fmt.Fprintf(b, "\n| what | |\n|---|---|\n")
	if r.Reach != nil {
		fmt.Fprintf(b, "| the candidates hold of the ranker's ten best of all items | %.4f |\n", r.Reach.Value)
	}
	fmt.Fprintf(b, "| candidates of an answer | %.0f |\n| items of an answer | %.2f |\n| catalogue in any answer | %.1f %% |\n| items with a reason | %.1f %% (%s) |\n| items by source | %s |\n| degraded answers | %.2f %% |\n\n",
		r.Considered, r.Answered, 100*r.Coverage, 100*r.Reasons, replay.Shares(r.ReasonKind), replay.Shares(r.Sources), 100*r.Degraded)
}

// machine is where and of what the figures are.
func machine() string {
	model := "processor unknown"
	if raw, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(raw)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	load := ""
	if raw, err := os.ReadFile("/proc/loadavg"); err == nil {
		if first, _, ok := strings.Cut(string(raw), " "); ok {
			load = "; load " + first + " at the end, which times depend on and figures do not"
		}
	}
	commit := "unknown to this build"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				commit = s.Value[:min(12, len(s.Value))]
			case s.Key == "vcs.modified" && s.Value == "true":
				commit += " with changes"
			}
		}
	}
	return fmt.Sprintf("Machine: %s, %d cores, %s/%s, %s%s. Commit: %s.", model, runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), load, commit)
}
