package retrain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/eval"
	"github.com/attune-rec/attune/models/pipeline"
	"github.com/attune-rec/attune/models/release"
	"github.com/attune-rec/attune/models/vector"
	"github.com/attune-rec/attune/trainer/replay"
)

// ErrTooLittle is returned for a store that holds too little to learn from.
var ErrTooLittle = errors.New("too little to learn from")

// Store is what is read of a store; features/store is one.
type Store interface {
	replay.Store
	ListItems(ctx context.Context, shop features.ShopID, after string, limit int) ([]features.Item, error)
}

// Outcome is what came of a run.
type Outcome struct {
	Manifest release.Manifest              `json:"-"`
	Version  string                        `json:"version"`
	Events   int64                         `json:"events"`
	Users    int                           `json:"users"`
	Items    int                           `json:"items"`
	Bytes    int64                         `json:"bytes"`
	Report   *eval.Report                  `json:"report,omitempty"`
	Pipeline *replay.Report                `json:"pipeline,omitempty"` // the answers of the plan's surface
	Gate     *Verdict                      `json:"gate,omitempty"`
	Ranker   *Ranker                       `json:"ranker,omitempty"` // learnt on replayed requests
	Remarks  []string                      `json:"remarks,omitempty"`
	Weights  map[string]map[string]float64 `json:"weights,omitempty"` // of composites, chosen on validation
}

// Run trains, judges and publishes a release of the shop, and returns it; it
// is not promoted. A log that is too short to be judged is trained on all the
// same, and the outcome says so.
func Run(ctx context.Context, store Store, shop features.ShopID, to release.Store, plan Plan, watch Watch) (*Outcome, error) {
	if err := plan.Validate(); err != nil {
		return nil, err
	}
	if !plan.Until.IsZero() {
		past, err := before(ctx, store, shop, plan.Until)
		if err != nil {
			return nil, err
		}
		store = past
	}
	items, err := itemsOf(ctx, store, shop)
	if err != nil {
		return nil, err
	}
	step := watch("read the log")
	all, err := dataset.FromLog(ctx, store, shop, items)
	step.Done()
	if err != nil {
		return nil, err
	}
	whole := all[0]
	if len(whole.Data.Log) == 0 {
		return nil, fmt.Errorf("%w: shop %s has %d events, none of a known shopper with an item of the catalogue: import events first, with 'trainer import' or through the API",
			ErrTooLittle, shop, whole.Events)
	}
	out := &Outcome{Events: whole.Events, Users: whole.Data.NumUsers(), Items: items.Len()}
	params := map[string]json.RawMessage{}
	switch span := whole.To.Sub(whole.From); {
	case plan.Blind && span > 2*plan.Window:
		if params, err = plan.choose(ctx, store, shop, items, whole, out, watch); err != nil {
			return nil, err
		}
	case plan.Blind:
		out.Remarks = append(out.Remarks, fmt.Sprintf("no weights were chosen: the log spans %.0f days", span.Hours()/24))
	case span > 3*plan.Window:
		if params, err = plan.judge(ctx, store, shop, items, whole, out, watch); err != nil {
			return nil, err
		}
	default:
		out.Remarks = append(out.Remarks, fmt.Sprintf("not judged: the log spans %.0f days, a test and a validation of %.0f days each need more than three times that",
			span.Hours()/24, plan.Window.Hours()/24))
	}
	if plan.Last != nil {
		plan.was = rowsIn(plan.Last, items)
	}
	parts, err := plan.fit(ctx, whole.Data, nil, params, named(watch, "for the release: "))
	if err != nil {
		return nil, err
	}
	step = watch("publish")
	defer step.Done()
	draft := plan.draft(shop, items, whole, params, parts, out)
	if draft.Index, err = vector.Files(ctx, parts, vector.Options{HNSWOptions: vector.HNSWOptions{Workers: plan.Workers}}); err != nil {
		return nil, err
	}
	manifest, err := release.Publish(ctx, to, draft)
	if err != nil {
		return nil, err
	}
	out.Manifest, out.Version, out.Bytes = manifest, manifest.Version, manifest.Bytes()
	return out, nil
}

// rowsIn is the row that each item has in last.
func rowsIn(last *release.Release, items *catalog.Snapshot) []features.Row {
	was := make([]features.Row, items.Len())
	for i := range was {
		was[i] = features.NoRow
		if row, ok := last.Row(items.ID(features.Row(i))); ok { // #nosec G115 -- rows are int32 by contract
			was[i] = row
		}
	}
	return was
}

// choose finds weights on the last window and judges nothing.
func (p *Plan) choose(ctx context.Context, store Store, shop features.ShopID, items *catalog.Snapshot, whole dataset.Window, out *Outcome, watch Watch) (map[string]json.RawMessage, error) {
	end := whole.To
	if !p.Until.IsZero() {
		end = p.Until
	}
	windows, err := dataset.FromLog(ctx, store, shop, items, end.Add(-p.Window))
	if err != nil {
		return nil, err
	}
	tried, err := p.fit(ctx, windows[0].Data, windows[1].Data, nil, named(watch, "to choose weights: "))
	if err != nil {
		return nil, err
	}
	params, weights, err := learnt(tried)
	out.Weights = weights
	if err != nil {
		return nil, err
	}
	return params, p.learnRanker(ctx, store, shop, items, tried, end.Add(-p.Window), end, out, watch)
}

// judge chooses weights on the window before the last and judges on the last.
// It returns the parameters chosen.
func (p *Plan) judge(ctx context.Context, store Store, shop features.ShopID, items *catalog.Snapshot, whole dataset.Window, out *Outcome, watch Watch) (map[string]json.RawMessage, error) {
	testFrom := whole.To.Add(-p.Window)
	windows, err := dataset.FromLog(ctx, store, shop, items, testFrom.Add(-p.Window), testFrom)
	if err != nil {
		return nil, err
	}
	train, validate, test := windows[0].Data, windows[1].Data, windows[2].Data
	tried, err := p.fit(ctx, train, validate, nil, named(watch, "to choose weights: "))
	if err != nil {
		return nil, err
	}
	params, weights, err := learnt(tried)
	if err != nil {
		return nil, err
	}
	out.Weights = weights
	if err := p.learnRanker(ctx, store, shop, items, tried, testFrom.Add(-p.Window), testFrom, out, watch); err != nil {
		return nil, err
	}
	before := dataset.Join(train, validate)
	before.Catalog = items
	judged, err := p.fit(ctx, before, nil, params, named(watch, "to judge: "))
	if err != nil {
		return nil, err
	}
	out.Report, err = p.report(ctx, withoutRanker(judged), before, purchases(test), named(watch, "judge "))
	if errors.Is(err, eval.ErrTask) {
		out.Remarks = append(out.Remarks, fmt.Sprintf("not judged: %v", err))
		err = nil
	}
	if err != nil || p.Surface == "" {
		return params, err
	}
	return params, p.contest(ctx, store, shop, field{items: items, before: before, from: testFrom, to: whole.To}, judged, out, watch)
}

// report judges every model on the purchases of the test, with and without
// items already bought, and compares each with the last one.
func (p *Plan) report(ctx context.Context, parts []models.Part, history, test *dataset.Dataset, watch Watch) (*eval.Report, error) {
	metrics, err := eval.ParseMetrics(p.Metrics)
	if err != nil {
		return nil, err
	}
	task := eval.Task{History: history, Test: test}
	fresh := eval.Options{Metrics: metrics, Seed: p.Seed, Workers: p.Workers}
	again := fresh
	again.KeepSeen = true
	cases, err := eval.Plan(task, fresh)
	if err != nil {
		return nil, err
	}
	repeat, err := eval.Plan(task, again)
	if err != nil {
		return nil, err
	}
	report := &eval.Report{Dataset: eval.Summarise(task, cases)}
	report.Dataset.Split = "temporal"
	for i, part := range parts {
		step := watch(part.Name)
		fresh.Progress = func(done, total int) { step.Step(done, total, "") }
		res, err := eval.Run(ctx, part.Model, task, cases, fresh)
		if err != nil {
			return nil, err
		}
		kept, err := eval.Run(ctx, part.Model, task, repeat, again)
		if err != nil {
			return nil, err
		}
		step.Done()
		e := eval.Entry{Name: part.Name, Kind: part.Model.Kind(), Params: p.Models[i].Params}
		if c, ok := part.Model.(models.Chooser); ok {
			if e.Params, err = c.Chosen(); err != nil {
				return nil, err
			}
			e.Account = c.Account()
		}
		e.Fill(res, kept, p.Seed, p.Workers)
		e.Segments = eval.Segments(task, cases, res)
		report.Models = append(report.Models, e)
	}
	if len(parts) > 1 {
		err = report.Compare(parts[len(parts)-1].Name, p.Seed, p.Workers)
	}
	return report, err
}

// purchases is d with purchases only: what a test asks for.
func purchases(d *dataset.Dataset) *dataset.Dataset {
	out := *d
	out.Ptr, out.Log, out.Market = make([]int64, 1, len(d.Ptr)), nil, []uint16{}
	for u := range d.Users {
		for i := d.Ptr[u]; i < d.Ptr[u+1]; i++ {
			if d.Log[i].Type == features.Purchase {
				out.Log = append(out.Log, d.Log[i])
				out.Market = append(out.Market, d.Market[i])
			}
		}
		out.Ptr = append(out.Ptr, int64(len(out.Log)))
	}
	return &out
}

// draft is the release to be published.
func (p *Plan) draft(shop features.ShopID, items *catalog.Snapshot, whole dataset.Window, params map[string]json.RawMessage, parts []models.Part, out *Outcome) release.Draft {
	has := map[string]bool{}
	parameters := map[string]any{}
	for i, part := range parts {
		has[part.Name] = true
		parameters[part.Name] = p.Models[i].Params
		if chosen, ok := params[part.Name]; ok {
			parameters[part.Name] = chosen
		}
	}
	d := release.Draft{
		Shop: shop, Items: rows(items), Models: withParts(parts), Metrics: release.Metrics{},
		Lineage: release.Lineage{
			DataFrom: whole.From, DataTo: whole.To, FirstSeq: 1, LastSeq: whole.LastSeq, Events: whole.Events, Users: whole.Data.NumUsers(),
			Parameters: parameters, Seed: p.Seed, Code: version(), EventWeights: p.Weights,
		},
	}
	for _, r := range p.Recipes {
		d.Recipes = append(d.Recipes, pipeline.Trim(r, func(name string) bool { return has[name] }))
	}
	if out.Report != nil {
		for _, e := range out.Report.Models {
			for name, v := range e.Metrics {
				m := release.Metric{Value: v.Value}
				if v.Low != nil && v.High != nil {
					m.Low, m.High = *v.Low, *v.High
				}
				d.Metrics[e.Name+"/"+name] = m
			}
		}
	}
	switch {
	case p.Last != nil:
		d.Lineage.Parent = p.Last.Version()
	case p.Rival != nil:
		d.Lineage.Parent = p.Rival.Version
	}
	if out.Pipeline != nil {
		for name, v := range out.Pipeline.New {
			m := release.Metric{Value: v.Value}
			if v.Low != nil && v.High != nil {
				m.Low, m.High = *v.Low, *v.High
			}
			d.Metrics["surface "+out.Pipeline.Surface+"/"+name] = m
		}
		for _, f := range out.Pipeline.Fairness {
			for _, g := range f.Gaps {
				d.Metrics[f.Metric(g.Measure)] = release.Metric{Value: g.Difference, Low: g.Low, High: g.High}
			}
		}
	}
	if g := out.Gate; g != nil && g.Compared {
		d.Metrics["gate/"+g.Metric] = release.Metric{Value: g.Difference, Low: g.Low, High: g.High}
	}
	return d
}

// version is the program's, as the build knows it.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}

func named(watch Watch, prefix string) Watch {
	return func(stage string) Step { return watch(prefix + stage) }
}

// itemsOf is the shop's catalogue, rows by id.
func itemsOf(ctx context.Context, store Store, shop features.ShopID) (*catalog.Snapshot, error) {
	var items []features.Item
	for after := ""; ; {
		page, err := store.ListItems(ctx, shop, after, 5000)
		if err != nil {
			return nil, fmt.Errorf("read the catalogue of shop %s: %w", shop, err)
		}
		if len(page) == 0 {
			break
		}
		items = append(items, page...)
		after = page[len(page)-1].ID
	}
	if len(items) == 0 {
		return nil, fmt.Errorf("%w: shop %s has no items: import them first", ErrTooLittle, shop)
	}
	return catalog.Of(items)
}
