package replay

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/profile"
	"github.com/attune-rec/attune/models/eval"
)

// noStage stands where nothing was known of a shopper.
const noStage = "unknown"

// stages is how the answers fared by the stage of the lifecycle that shoppers
// were in when their session began, all that was bought to be found: a shopper
// counts once in each stage, however often they came. Cases are sessions; stages
// without one are left out.
func (p *player) stages() []eval.Segment {
	var out []eval.Segment
	for _, stage := range append(profile.Stages(), noStage) {
		one := eval.Segment{By: "lifecycle", Value: stage, Metrics: map[string]float64{}}
		of := map[features.UserKey]int{}
		var each []byShopper
		for range metrics() {
			each = append(each, newByShopper(len(p.cases)))
		}
		for i := range p.cases {
			c := &p.cases[i]
			if !c.asked || c.stage != stage {
				continue
			}
			one.Cases++
			who, ok := of[p.tape.visits[i].user]
			if !ok {
				who = len(of)
				of[p.tape.visits[i].user] = who
			}
			for m, metric := range metrics() {
				each[m].add(who, metric.Of(c.hits, c.bought))
			}
		}
		if one.Cases == 0 {
			continue
		}
		for m, metric := range metrics() {
			var all mean
			for _, v := range each[m].means() {
				all.add(v, 1)
			}
			if all.n > 0 {
				one.Metrics[metric.String()] = all.mean()
			}
		}
		out = append(out, one)
	}
	return out
}

func writeStages(w io.Writer, all []eval.Segment) error {
	if len(all) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "\nby stage of the lifecycle, all items\tsessions")
	for _, m := range metrics() {
		fmt.Fprintf(t, "\t%s", m)
	}
	fmt.Fprintln(t)
	for i := range all {
		fmt.Fprintf(t, "%s\t%d", all[i].Value, all[i].Cases)
		for _, m := range metrics() {
			fmt.Fprintf(t, "\t%s", all[i].Text(m.String()))
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}
