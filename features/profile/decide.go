package profile

import (
	"fmt"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/expr"
)

// Definition is how one segment is decided: by exactly one of Rule, Model and
// Cluster.
type Definition struct {
	Name    string
	Rule    string      // in CEL, of kind expr.Segment; it may name segments before it
	Model   *Classifier // who is like the examples
	Cluster int         // the number of a cluster, from 1
}

// Segments decides who belongs to which of a shop's segments. It is immutable
// and safe for concurrent use.
type Segments struct {
	defs     []Definition
	programs []*expr.Program // nil where it is no rule
	clusters *Clusters       // nil: none are kept
	grid     *Grid           // nil: buyers are in no cell
}

// NewSegments compiles definitions, in the order they are decided in. ErrSegment
// names the one that cannot be.
func NewSegments(engine *expr.Engine, defs []Definition, clusters *Clusters, grid *Grid) (*Segments, error) {
	s := &Segments{defs: defs, programs: make([]*expr.Program, len(defs)), clusters: clusters, grid: grid}
	seen := map[string]bool{}
	for i, d := range defs {
		if d.Name == "" || seen[d.Name] {
			return nil, fmt.Errorf("%w: name %q is empty or twice", ErrSegment, d.Name)
		}
		seen[d.Name] = true
		switch {
		case d.Model != nil:
		case d.Cluster > 0:
			if clusters == nil || d.Cluster > clusters.K() {
				return nil, fmt.Errorf("%w %q: there is no cluster %d: discover them anew", ErrSegment, d.Name, d.Cluster)
			}
		default:
			p, err := engine.Compile(d.Rule, expr.Segment)
			if err != nil {
				return nil, fmt.Errorf("%w %q: %w", ErrSegment, d.Name, err)
			}
			s.programs[i] = p
		}
	}
	return s, nil
}

// Of is the names of the segments that p belongs to at now, in the order of the
// definitions, then the cell of the grid. What p.Segments holds is not looked
// at.
func (s *Segments) Of(p *features.Profile, now time.Time) []string {
	var names []string
	var r *features.Request // that rules look at
	cluster := -1
	for i := range s.defs {
		var in bool
		d := &s.defs[i]
		switch {
		case d.Model != nil:
			in = d.Model.Of(p)
		case d.Cluster > 0:
			if cluster < 0 {
				cluster = s.clusters.Of(p)
			}
			in = p.Orders > 0 && cluster == d.Cluster-1
		default:
			if r == nil {
				seen := *p
				r = &features.Request{
					Query: features.Query{Now: now}, Item: features.NoRow,
					Shopper: &features.Shopper{Profile: &seen, Consent: features.AllPurposes},
				}
			}
			r.Shopper.Profile.Segments = names // those before it
			in = s.programs[i].Holds(r)
		}
		if in {
			names = append(names, d.Name)
		}
	}
	if s.grid != nil {
		if cell := s.grid.Name(p); cell != "" {
			names = append(names, cell)
		}
	}
	return names
}

// Grid is the grid that buyers are placed in; nil when there is none.
func (s *Segments) Grid() *Grid { return s.grid }

// Definition is the one of that name.
func (s *Segments) Definition(name string) (Definition, bool) {
	for _, d := range s.defs {
		if d.Name == name {
			return d, true
		}
	}
	return Definition{}, false
}
