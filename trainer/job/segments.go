package job

import (
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/features/profile"
	"github.com/attune-rec/attune/features/store"
)

// Segments finds groups of alike shoppers and says in words and by a rule what
// sets each apart; or measures whether the motives in profiles last. It keeps
// nothing: the server's SegmentService does.
type Segments struct {
	Books
	Least int  `help:"At least so many groups." default:"4"`
	Most  int  `help:"At most so many groups." default:"8"`
	Judge bool `help:"Measure the motives: whether halves of a history agree on them, and whether those who carry value go on to buy at a discount."`
}

// segmentsReport is what the command prints.
type segmentsReport struct {
	Shop       string                `json:"shop"`
	At         time.Time             `json:"at"`
	Buyers     int                   `json:"buyers"`
	Lifecycle  map[string]int        `json:"lifecycle,omitempty"`
	Silhouette float64               `json:"silhouette,omitempty"`
	Segments   []profile.Description `json:"segments,omitempty"`
	Halves     []profile.Agreement   `json:"halves,omitempty"`
	Bargains   []profile.Bargains    `json:"bargains,omitempty"`
}

// halfLeast is how many purchases a half of a history has at least.
const halfLeast = 20

// Run implements the command.
func (s *Segments) Run(env *Env) error {
	if err := errors.Join(s.validate(), s.check()); err != nil {
		return err
	}
	shoppers, items, sales, err := s.shoppers(env)
	if err != nil {
		return err
	}
	report := segmentsReport{Shop: s.Shop, Buyers: len(shoppers)}
	var first time.Time
	for _, events := range shoppers {
		for i := range events {
			if t := events[i].Time; t.After(report.At) {
				report.At = t
			}
			if t := events[i].Time; first.IsZero() || t.Before(first) {
				first = t
			}
		}
	}
	if s.Judge {
		report.Halves = profile.Halves(shoppers, profile.NewReference(items, sales.Each), halfLeast)
		span := report.At.Sub(first)
		for _, quarter := range []int{1, 2, 3} {
			at := first.Add(span / 4 * time.Duration(quarter))
			report.Bargains = append(report.Bargains, profile.Ahead(shoppers, items, at, at.Add(span/4+1)))
		}
	} else if err := report.describe(shoppers, profile.NewReference(items, sales.Each), s.Least, s.Most); err != nil {
		return fmt.Errorf("shop %s: %w", s.Shop, err)
	}
	if env.JSON {
		return env.WriteJSON(report)
	}
	return report.write(env)
}

func (s *Segments) check() error {
	if s.Least < 2 || s.Most < s.Least {
		return fmt.Errorf("--least is %d and --most is %d: expected 2 or more groups, and no fewer at most than at least", s.Least, s.Most)
	}
	return nil
}

// shoppers are the events of everybody who bought and agreed to analytics, the
// catalogue, and what was sold.
func (s *Segments) shoppers(env *Env) (histories [][]features.Event, items *catalog.Snapshot, sales *profile.Ledger, err error) {
	st, err := store.OpenReader(env.Ctx, store.Options{Dir: s.Dir, Logger: env.Log})
	if err != nil {
		return nil, nil, nil, fmt.Errorf("--data: %w", err)
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	shop := features.ShopID(s.Shop)
	var list []features.Item
	for after := ""; ; {
		page, err := st.ListItems(env.Ctx, shop, after, 5000)
		if err != nil {
			return nil, nil, nil, err
		}
		if len(page) == 0 {
			break
		}
		list, after = append(list, page...), page[len(page)-1].ID
	}
	if items, err = catalog.Of(list); err != nil {
		return nil, nil, nil, err
	}
	places, bought := map[features.UserKey]int{}, map[int]bool{}
	sales = new(profile.Ledger)
	var all [][]features.Event
	err = dataset.Agreed(env.Ctx, st, shop, features.Analytics, func(who features.UserKey, e *features.Event) error {
		sales.Add(e)
		if who.IsZero() || e.Type == features.Impression {
			return nil
		}
		at, known := places[who]
		if !known {
			at = len(all)
			places[who] = at
			all = append(all, nil)
		}
		all[at] = append(all[at], *e)
		bought[at] = bought[at] || e.Type == features.Purchase
		return nil
	})
	if err != nil {
		return nil, nil, nil, err
	}
	for i := range all {
		if bought[i] {
			histories = append(histories, all[i])
		}
	}
	if len(histories) == 0 {
		return nil, nil, nil, fmt.Errorf("shop %s has no purchases of shoppers who agreed to analytics in %s: import or collect some, or name another with --shop", s.Shop, s.Dir)
	}
	return histories, items, sales, nil
}

// describe groups the shoppers and says what sets each group apart.
func (r *segmentsReport) describe(shoppers [][]features.Event, ref *profile.Reference, least, most int) error {
	profiles := make([]*features.Profile, len(shoppers))
	r.Lifecycle = map[string]int{}
	for i, events := range shoppers {
		profiles[i] = profile.Of(events).Profile(ref, r.At)
		r.Lifecycle[profiles[i].Lifecycle]++
	}
	clusters, err := profile.Fit(profiles, least, most, 1)
	if err != nil {
		return err
	}
	r.Silhouette = clusters.Silhouette
	for n := range clusters.K() {
		member := make([]bool, len(profiles))
		for i, p := range profiles {
			member[i] = clusters.Of(p) == n
		}
		d, err := profile.Describe(profiles, member)
		if err != nil {
			return err
		}
		r.Segments = append(r.Segments, d)
	}
	return nil
}

// write prints the report for people.
func (r *segmentsReport) write(env *Env) error {
	table := tabwriter.NewWriter(env.Out, 0, 0, 2, ' ', 0)
	if r.Halves != nil {
		fmt.Fprintf(table, "motive\thalves agree\tshoppers\tboth carry it\teither does\n")
		for _, a := range r.Halves {
			fmt.Fprintf(table, "%s\t%.1f %%\t%d\t%d\t%d\n", a.Motive, 100*a.Same, a.Shoppers, a.Both, a.Either)
		}
		fmt.Fprintf(table, "\ntagged value before\tshoppers\tof\tlines after\tat a discount\tof others\ttimes\n")
		for _, b := range r.Bargains {
			fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%.1f %%\t%.1f %%\t%.2f\n", b.At.Format(time.DateOnly), b.Tagged, b.Shoppers, b.Lines, 100*b.Share, 100*b.Others, b.Ratio())
		}
		return table.Flush()
	}
	fmt.Fprintf(env.Out, "%d buyers at %s", r.Buyers, r.At.Format(time.DateOnly))
	for _, stage := range []string{profile.New, profile.Active, profile.Loyal, profile.AtRisk, profile.Lost} {
		fmt.Fprintf(env.Out, ", %d %s", r.Lifecycle[stage], strings.ReplaceAll(stage, "_", " "))
	}
	fmt.Fprintf(env.Out, "\n%d segments, silhouette %.3f\n", len(r.Segments), r.Silhouette)
	for i, d := range r.Segments {
		fmt.Fprintf(env.Out, "\n%d: %d buyers; the rule's precision %.3f, recall %.3f\n", i+1, d.Size, d.Precision, d.Recall)
		for _, t := range d.Traits {
			fmt.Fprintf(env.Out, "   %s: %.0f %% of them, %.2f times as often as all\n", t.Words, 100*t.Share, t.Lift)
		}
		fmt.Fprintf(env.Out, "   %s\n", d.Rule)
	}
	return nil
}
