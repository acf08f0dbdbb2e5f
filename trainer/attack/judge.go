package attack

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/features/risk"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/popular"
)

// Outcome is what became of one attack.
type Outcome struct {
	Kind      risk.Kind `json:"kind"`
	Target    string    `json:"target"`
	Attackers int       `json:"attackers"`
	Flagged   int       `json:"flagged"` // of the attackers, from the threshold on
	Recall    float64   `json:"recall"`
	Rank      int       `json:"rank"`       // of the target in popularity without the attack
	Pushed    int       `json:"pushed"`     // places it moves when nothing is withheld
	Moved     int       `json:"moved"`      // and with what is flagged withheld
	Unnamed   int       `json:"other_kind"` // of the flagged, those found as another kind of attack only
}

// Round is what came of one seed: four attacks in one log.
type Round struct {
	Seed      uint64    `json:"seed"`
	Events    int       `json:"events"`
	Attacks   []Outcome `json:"attacks"`
	Users     int       `json:"users"`         // bought ones that nobody attacked
	Flagged   int       `json:"users_flagged"` // of them
	Share     float64   `json:"share_flagged"`
	Visits    int       `json:"visits"` // honest ones of nobody known
	Wrong     int       `json:"visits_flagged"`
	Precision float64   `json:"precision"` // of all flagged
}

// Report is what came of all seeds.
type Report struct {
	Threshold float64 `json:"threshold"`
	Rounds    []Round `json:"rounds"`
}

// Judge plants every kind of attack in the real purchases and returns of a shop,
// once for each seed, and measures what is found from the threshold on.
func Judge(ctx context.Context, bought []features.Event, items features.Catalog, seeds []uint64, threshold float64) (*Report, error) {
	out := &Report{Threshold: threshold}
	bought = logOf(bought)
	w := worldOf(bought)
	for _, seed := range seeds {
		r := rand.New(rand.NewPCG(seed, 1)) // #nosec G404 -- a plan, no secret
		base := honest(bought, r)
		var attacks []*planted
		parts := [][]features.Event{base}
		for _, kind := range risk.Kinds() {
			p := w.plant(kind, r)
			attacks = append(attacks, p)
			parts = append(parts, p.events)
		}
		round, err := judge(ctx, memory{events: logOf(parts...)}, logOf(base), attacks, items, threshold)
		if err != nil {
			return nil, fmt.Errorf("seed %d: %w", seed, err)
		}
		round.Seed = seed
		out.Rounds = append(out.Rounds, *round)
	}
	return out, nil
}

func judge(ctx context.Context, log memory, base []features.Event, attacks []*planted, items features.Catalog, threshold float64) (*Round, error) {
	a := risk.New(risk.Options{Least: threshold})
	for i := range log.events {
		a.Fold(&log.events[i])
	}
	flags := a.Flags()
	found := map[features.UserKey][]*risk.Flag{}
	for i := range flags {
		found[flags[i].Subject] = append(found[flags[i].Subject], &flags[i])
	}
	out := &Round{Events: len(log.events)}
	attacked := map[features.UserKey]bool{}
	hits := 0
	before, err := ranks(ctx, memory{events: base}, items)
	if err != nil {
		return nil, err
	}
	pushed, err := ranks(ctx, log, items)
	if err != nil {
		return nil, err
	}
	log.withheld = found
	after, err := ranks(ctx, log, items)
	if err != nil {
		return nil, err
	}
	for _, p := range attacks {
		row, ok := items.Row(p.target)
		if !ok {
			return nil, fmt.Errorf("item %s is not in the catalogue", p.target)
		}
		o := Outcome{Kind: p.kind, Target: p.target, Attackers: len(p.who), Rank: before[row], Pushed: before[row] - pushed[row], Moved: before[row] - after[row]}
		for who := range p.who {
			attacked[who] = true
			if len(found[who]) == 0 {
				continue
			}
			o.Flagged++
			hits++
			if !slices.ContainsFunc(found[who], func(f *risk.Flag) bool { return f.Kind == p.kind }) {
				o.Unnamed++
			}
		}
		o.Recall = float64(o.Flagged) / float64(o.Attackers)
		out.Attacks = append(out.Attacks, o)
	}
	users, visits := map[features.UserKey]bool{}, map[features.UserKey]bool{}
	for i := range base {
		switch who := base[i].Subject(); {
		case who.IsZero() || attacked[who]:
		case base[i].User.IsZero():
			visits[who] = true
		default:
			users[who] = true
		}
	}
	for who := range found {
		switch {
		case users[who]:
			out.Flagged++
		case visits[who]:
			out.Wrong++
		}
	}
	out.Users, out.Visits = len(users), len(visits)
	out.Share = float64(out.Flagged) / float64(max(out.Users, 1))
	out.Precision = float64(hits) / float64(max(len(found), 1))
	return out, nil
}

// ranks is the place of each item in popularity, from 1.
func ranks(ctx context.Context, log memory, items features.Catalog) ([]int, error) {
	windows, err := dataset.FromLog(ctx, log, features.DefaultShop, items)
	if err != nil {
		return nil, err
	}
	m, err := popular.Fit(ctx, models.FitInput{Train: windows[0].Data})
	if err != nil {
		return nil, err
	}
	rows := make([]features.Row, items.Len())
	for i := range rows {
		rows[i] = features.Row(i) // #nosec G115 -- rows are int32 by contract
	}
	scores := make([]float32, len(rows))
	m.Score(&features.Request{}, rows, scores)
	slices.SortStableFunc(rows, func(a, b features.Row) int {
		switch {
		case scores[a] > scores[b]:
			return -1
		case scores[a] < scores[b]:
			return 1
		}
		return 0
	})
	places := make([]int, len(rows))
	for place, row := range rows {
		places[row] = place + 1
	}
	return places, nil
}

// memory is a log in memory.
type memory struct {
	events   []features.Event
	withheld map[features.UserKey][]*risk.Flag
}

func (m memory) Scan(_ context.Context, _ features.ShopID, _, _ int64, f func(*features.Event) error) error {
	for i := range m.events {
		if err := f(&m.events[i]); err != nil {
			return err
		}
	}
	return nil
}

func (memory) Resolve(_ context.Context, _ features.ShopID, key features.UserKey) (features.UserKey, error) {
	return key, nil
}

func (memory) Consent(context.Context, features.ShopID, features.UserKey) (features.Purposes, error) {
	return features.AllPurposes, nil
}

func (m memory) Withheld(context.Context, features.ShopID) (func(*features.Event) bool, error) {
	return func(e *features.Event) bool {
		return slices.ContainsFunc(m.withheld[e.Subject()], func(f *risk.Flag) bool { return f.Covers(e) })
	}, nil
}

// CatalogOf is a catalogue of the items that were bought.
func CatalogOf(events []features.Event) (*catalog.Snapshot, error) {
	seen := map[string]bool{}
	var items []features.Item
	for i := range events {
		if id := events[i].Item; id != "" && !seen[id] {
			seen[id] = true
			items = append(items, features.Item{ID: id})
		}
	}
	return catalog.Of(items)
}

// WriteText writes the report as a table in Markdown.
func (r *Report) WriteText(w io.Writer) error {
	_, err := fmt.Fprintf(w, "Flagged: a score of %.2f and more.\n\n| seed | attack | attackers | found | recall | rank | pushed to | with quarantine |\n|---|---|---|---|---|---|---|---|\n", r.Threshold)
	for _, round := range r.Rounds {
		for _, o := range round.Attacks {
			if err == nil {
				_, err = fmt.Fprintf(w, "| %d | %s | %d | %d | %.3f | %d | %d | %d |\n", round.Seed, o.Kind, o.Attackers, o.Flagged, o.Recall, o.Rank, o.Rank-o.Pushed, o.Rank-o.Moved)
			}
		}
	}
	if err == nil {
		_, err = fmt.Fprint(w, "\n| seed | events | customers not attacked | flagged | share | honest visits | flagged | precision |\n|---|---|---|---|---|---|---|---|\n")
	}
	for _, o := range r.Rounds {
		if err == nil {
			_, err = fmt.Fprintf(w, "| %d | %d | %d | %d | %.2f %% | %d | %d | %.3f |\n", o.Seed, o.Events, o.Users, o.Flagged, 100*o.Share, o.Visits, o.Wrong, o.Precision)
		}
	}
	return err
}
