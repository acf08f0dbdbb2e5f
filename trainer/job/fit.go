package job

import (
	"encoding/json"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
	"github.com/attune-rec/attune/models/release"
	"github.com/attune-rec/attune/models/vector"
)

// Fit trains models on the log of a shop, or on files, and keeps them as a
// release that nobody serves yet, unless told to promote it.
type Fit struct {
	Data     `embed:""`
	Models   `embed:""`
	Releases `embed:""`
	By       `embed:""`
	Shelf    `embed:""`
	Cluster  `embed:""`
	FairBy   `embed:""`
	FairGate `embed:""`
	Promote  bool `help:"Serve the release. Of a log: only where its answers are not significantly worse than those of what is served."`
	Warm     bool `help:"With --data: start the factors of the release from those of what is served."`
	Force    bool `help:"Promote it even if they are worse, or differ by group."`
}

// Validate implements kong's check of flags that depend on one another. Where
// no split is asked for, everything is trained on.
func (f *Fit) Validate() error {
	if f.Force && !f.Promote {
		return fmt.Errorf("--force is for --promote: give both")
	}
	if f.Dir != "" {
		return f.validateLog()
	}
	if f.Warm {
		return errors.New("--warm starts from the release served before, whose items the catalogue of a shop tells: give --data DIR")
	}
	if err := f.given(&f.Models); err != nil {
		return err
	}
	if err := f.unused(); err != nil {
		return err
	}
	if len(f.Fairness) > 0 || len(f.Limits) > 0 {
		return errors.New("--fairness and --fair-limit compare answers over the log of a shop: give --data DIR")
	}
	if f.Split == "" {
		f.Split = string(dataset.Given)
	}
	if err := f.Data.Validate(); err != nil {
		return err
	}
	if err := f.Models.Validate(); err != nil {
		return err
	}
	return f.Releases.Validate()
}

// fitSummary is the command's result.
type fitSummary struct {
	Shop    string       `json:"shop"`
	Version string       `json:"version"`
	To      string       `json:"to"`
	Bytes   int64        `json:"bytes"`
	Users   int          `json:"users"`
	Items   int          `json:"items"`
	Rows    int          `json:"interactions"`
	Remarks []string     `json:"remarks,omitempty"`
	Models  []fitOutcome `json:"models"`

	Serving *release.Serving `json:"serving,omitempty"`
}

type fitOutcome struct {
	Name    string          `json:"name"`
	Kind    string          `json:"kind"`
	Params  json.RawMessage `json:"params"`
	FitCPU  float64         `json:"fit_cpu_s"`
	FitWall float64         `json:"fit_wall_s"`
	PeakRSS int64           `json:"peak_rss_bytes"`
}

// Run implements the command.
func (f *Fit) Run(env *Env) error {
	if f.Dir != "" {
		return f.runLog(env)
	}
	p, err := f.plan()
	if err != nil {
		return err
	}
	split, err := f.load(env)
	if err != nil {
		return err
	}
	t := newTraining(env, split, &f.Models, p, f.Seed)
	for _, s := range p.specs {
		if _, err := t.fit(s); err != nil {
			return err
		}
	}
	store, err := f.Open(env.Ctx)
	if err != nil {
		return err
	}
	defer store.Close()
	draft := f.draft(split, t)
	if draft.Index, err = vector.Files(env.Ctx, draft.Models, vector.Options{HNSWOptions: vector.HNSWOptions{Workers: linalg.Workers()}}); err != nil {
		return err
	}
	manifest, serving, err := PublishDraft(env, store, draft, f.Promote, f.change(), f.Cluster)
	if err != nil {
		return err
	}
	d := split.Train
	sum := fitSummary{
		Shop: f.Shop, Version: manifest.Version, To: f.Store, Bytes: manifest.Bytes(), Serving: serving,
		Users: d.NumUsers(), Items: d.NumItems(), Rows: len(d.Log), Remarks: split.Remarks,
	}
	for _, name := range t.order {
		m := t.done[name]
		sum.Models = append(sum.Models, fitOutcome{m.name, m.kind.Name, m.raw, m.cpu.Seconds(), m.wall.Seconds(), m.peakRSS})
	}
	if env.JSON {
		return env.WriteJSON(sum)
	}
	return sum.text(env)
}

// draft is the release: items by name only, unless the data has a catalogue.
func (f *Fit) draft(split *dataset.Split, t *training) release.Draft {
	d := split.Train
	draft := release.Draft{Shop: features.ShopID(f.Shop), Items: make([]features.Item, d.NumItems())}
	for row, name := range d.Items {
		draft.Items[row] = features.Item{ID: name, Kind: features.Product}
		if d.Catalog != nil {
			if it := d.Catalog.Item(features.Row(row)); it != nil {
				draft.Items[row] = *it
			}
		}
	}
	draft.Lineage = release.Lineage{Events: int64(len(d.Log)), Users: d.NumUsers(), Seed: f.Seed, Parameters: map[string]any{}, EventWeights: f.Weight}
	var from, to int64
	for i := range d.Log {
		ms := d.Log[i].TimeMS
		if ms <= 0 || dataset.Ordinal(ms) {
			continue
		}
		if from == 0 || ms < from {
			from = ms
		}
		to = max(to, ms)
	}
	if from > 0 {
		draft.Lineage.DataFrom, draft.Lineage.DataTo = time.UnixMilli(from).UTC(), time.UnixMilli(to).UTC()
	}
	for _, name := range t.order {
		m := t.done[name]
		draft.Models = append(append(draft.Models, m.own...), models.Part{Name: name, Model: m.model})
		draft.Lineage.Parameters[name] = m.raw
	}
	return draft
}

func (s *fitSummary) text(env *Env) error {
	fmt.Fprintf(env.Out, "release %s of shop %s in %s: %d users, %d items, %d interactions, %.1f MB\n",
		s.Version, s.Shop, s.To, s.Users, s.Items, s.Rows, float64(s.Bytes)/(1<<20))
	for _, remark := range s.Remarks {
		fmt.Fprintf(env.Out, "remark: %s\n", remark)
	}
	w := tabwriter.NewWriter(env.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "model\tkind\tCPU s\twall s\tpeak MB\n")
	for _, m := range s.Models {
		fmt.Fprintf(w, "%s\t%s\t%.2f\t%.2f\t%d\n", m.Name, m.Kind, m.FitCPU, m.FitWall, m.PeakRSS>>20)
	}
	if err := w.Flush(); err != nil || s.Serving == nil {
		return err
	}
	return writeServing(env, *s.Serving)
}
