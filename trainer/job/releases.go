package job

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/attune-rec/attune/models/release"
)

// List lists a shop's releases with what they were judged by.
type List struct {
	Releases `embed:""`
	Metric   []string `help:"Metrics to show; all when none is given."`
	Prune    int      `help:"Remove all but so many of the newest, what is served, and what a rollback needs." placeholder:"KEEP"`
}

// listed is a release in the list.
type listed struct {
	Version string          `json:"version"`
	Created time.Time       `json:"created"`
	Items   int             `json:"items"`
	Events  int64           `json:"events"`
	Models  []string        `json:"models"`
	Bytes   int64           `json:"bytes"`
	Metrics release.Metrics `json:"metrics"`
	Serves  string          `json:"serves,omitempty"` // stable, canary, shadow
	Error   string          `json:"error,omitempty"`
}

// Run implements the command.
func (l *List) Run(env *Env) error {
	return l.with(env, func(st release.Store) error {
		var removed []string
		var err error
		if l.Prune != 0 {
			if removed, err = release.Prune(env.Ctx, st, l.shop(), l.Prune); err != nil {
				return err
			}
		}
		list, err := l.list(env, st)
		if err != nil {
			return err
		}
		if env.JSON {
			return env.WriteJSON(map[string]any{"releases": list, "removed": append([]string{}, removed...)})
		}
		for _, v := range removed {
			fmt.Fprintln(env.Out, "removed", v)
		}
		return writeList(env, list)
	})
}

func (l *List) list(env *Env, st release.Store) ([]listed, error) {
	versions, err := st.Versions(env.Ctx, l.shop())
	if err != nil {
		return nil, err
	}
	s, err := release.Current(env.Ctx, st, l.shop())
	if err != nil && !errors.Is(err, release.ErrNotFound) {
		return nil, err
	}
	slices.Reverse(versions)
	list := []listed{}
	for _, v := range versions {
		e := listed{Version: v, Models: []string{}}
		switch {
		case v == s.Stable:
			e.Serves = "stable"
		case s.Canary != nil && v == s.Canary.Version:
			e.Serves = fmt.Sprintf("canary %.3g %%", 100*s.Canary.Share)
		case v == s.Shadow:
			e.Serves = "shadow"
		}
		m, err := release.ReadManifest(env.Ctx, st, l.shop(), v)
		if err == nil {
			e.Created, e.Items, e.Events, e.Bytes = m.Created, m.Items, m.Lineage.Events, m.Bytes()
			for _, entry := range m.Models {
				e.Models = append(e.Models, entry.Name)
			}
			e.Metrics, err = release.ReadMetrics(env.Ctx, st, l.shop(), v)
		}
		if err != nil {
			e.Error = err.Error()
		}
		for name := range e.Metrics {
			if len(l.Metric) > 0 && !slices.Contains(l.Metric, name) {
				delete(e.Metrics, name)
			}
		}
		list = append(list, e)
	}
	return list, nil
}

func writeList(env *Env, list []listed) error {
	w := tabwriter.NewWriter(env.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "version\titems\tevents\tMiB\tmodels\tmetrics\tserves")
	for _, e := range list {
		if e.Error != "" {
			fmt.Fprintf(w, "%s\t%s\n", e.Version, e.Error)
			continue
		}
		names := make([]string, 0, len(e.Metrics))
		for name := range e.Metrics {
			names = append(names, name)
		}
		slices.Sort(names)
		for i, name := range names {
			names[i] = fmt.Sprintf("%s=%.4f", name, e.Metrics[name].Value)
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%.1f\t%s\t%s\t%s\n", e.Version, e.Items, e.Events, float64(e.Bytes)/(1<<20), strings.Join(e.Models, ","), strings.Join(names, " "), e.Serves)
	}
	return w.Flush()
}
