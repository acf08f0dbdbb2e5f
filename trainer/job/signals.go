package job

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/attune-rec/attune/features/signal"
	"github.com/attune-rec/attune/models/ltr"
	"github.com/attune-rec/attune/models/release"
	"github.com/attune-rec/attune/trainer/retrain"
)

// Signals tells what rankers look at beside models' scores, and how much the
// ranker of a release rests on each.
type Signals struct {
	Data     string `help:"Data directory whose newest release tells how much its ranker rests on each; none: what there is." type:"existingdir" placeholder:"DIR"`
	Shop     string `help:"The shop." default:"default"`
	Markdown bool   `help:"As a table in Markdown."`
}

// signalRow is a signal in the table.
type signalRow struct {
	Name    string   `json:"signal"`
	Of      string   `json:"of"`
	From    string   `json:"from"`
	Numbers []string `json:"numbers"`
	Ranks   []string `json:"ranks"`          // surfaces whose ranker sees it, in the plan of a shop that says nothing
	Fall    *float64 `json:"fall,omitempty"` // of NDCG@10 on validation when its numbers are dealt out anew
}

// Run implements the command.
func (s *Signals) Run(env *Env) error {
	var rows []signalRow
	falls, version, err := s.importance(env)
	if err != nil {
		return err
	}
	for _, row := range signalRows() {
		if fall, ok := falls[row.Name]; ok {
			row.Fall = &fall
		}
		rows = append(rows, row)
	}
	switch {
	case env.JSON:
		return env.WriteJSON(map[string]any{"signals": rows, "release": version})
	case s.Markdown:
		_, err := fmt.Fprint(env.Out, signalTable(rows))
		return err
	}
	table := tabwriter.NewWriter(env.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "signal\tabout\tmade of\tnumbers\tranks\timportance")
	for _, r := range rows {
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\t%s\n", r.Name, r.Of, r.From, len(r.Numbers), strings.Join(r.Ranks, ", "), r.fall())
	}
	return table.Flush()
}

// signalRows is the signals of the code, without their importance.
func signalRows() (rows []signalRow) {
	plan := retrain.Default()
	for _, one := range signal.Signals() {
		about := one.About()
		rows = append(rows, signalRow{Name: one.Name(), Of: about.Of, From: about.From, Numbers: about.Numbers, Ranks: plan.Uses(one.Name())})
	}
	return rows
}

func (r *signalRow) fall() string {
	if r.Fall == nil {
		return ""
	}
	return fmt.Sprintf("%.4f", *r.Fall)
}

// signalTable is the rows in Markdown.
func signalTable(rows []signalRow) string {
	var b strings.Builder
	b.WriteString("| signal | about | made of | numbers | ranks | importance |\n|---|---|---|---|---|---|\n")
	for i := range rows {
		r := &rows[i]
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s |\n", r.Name, r.Of, r.From, strings.Join(r.Numbers, "; "), strings.Join(r.Ranks, ", "), r.fall())
	}
	return b.String()
}

// importance is the fall by signal of the ranker of the newest release, and the
// release; none without a data directory.
func (s *Signals) importance(env *Env) (map[string]float64, string, error) {
	if s.Data == "" {
		return nil, "", nil
	}
	var version string
	falls := map[string]float64{}
	at := Releases{Shop: s.Shop}
	at.in(s.Data)
	err := at.with(env, func(st release.Store) error {
		var err error
		if version, err = at.newest(env, st, ""); err != nil {
			return err
		}
		m, err := release.ReadManifest(env.Ctx, st, at.shop(), version)
		if err != nil {
			return err
		}
		for _, raw := range m.Lineage.Parameters {
			b, err := json.Marshal(raw)
			if err != nil {
				return err
			}
			var p ltr.Params
			if json.Unmarshal(b, &p) != nil || p.Story == nil || len(p.Signals) == 0 {
				continue
			}
			for _, i := range p.Story.Importance {
				if name, ok := strings.CutPrefix(i.Name, "signal "); ok {
					falls[name] = i.Fall
				}
			}
		}
		if len(falls) == 0 {
			return fmt.Errorf("release %s of shop %s has no learnt ranker that looks at signals", version, s.Shop)
		}
		return nil
	})
	return falls, version, err
}
