package profile

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/profile"
	"github.com/attune-rec/attune/features/store"
)

// reload takes the shop's segments from the store into every profile. Those
// that cannot be decided any more are left out and logged.
func (s *shop) reload(ctx context.Context) {
	s.deciding.Lock()
	defer s.deciding.Unlock()
	if err := s.reloadLocked(ctx); err != nil && ctx.Err() == nil {
		s.k.o.Logger.Error("segments could not be read", "shop", s.id, "error", err)
	}
}

func (s *shop) reloadLocked(ctx context.Context) error {
	groups, err := s.k.o.Store.ListGroups(ctx, s.id)
	if err != nil {
		return err
	}
	clusters, err := fact[profile.Clusters](ctx, s, store.FactClusters)
	if err != nil {
		return err
	}
	grid, err := fact[profile.Grid](ctx, s, store.FactGrid)
	if err != nil {
		return err
	}
	var defs []profile.Definition
	for i := range groups {
		d, err := definition(&groups[i])
		if err == nil {
			_, err = profile.NewSegments(s.k.engine, []profile.Definition{d}, clusters, nil)
		}
		if err != nil {
			s.k.o.Logger.Error("a segment is left out: change or delete it", "shop", s.id, "segment", groups[i].Name, "error", err)
			continue
		}
		defs = append(defs, d)
	}
	segments, err := profile.NewSegments(s.k.engine, defs, clusters, grid)
	if err != nil {
		return err
	}
	s.segments.Store(segments)
	return nil
}

// fact is the newest of a kind; nil when there is none.
func fact[T any](ctx context.Context, s *shop, kind string) (*T, error) {
	bodies, err := s.k.o.Store.Facts(ctx, s.id, kind, 1)
	if err != nil || len(bodies) == 0 {
		return nil, err
	}
	v := new(T)
	if err := json.Unmarshal([]byte(bodies[0]), v); err != nil {
		return nil, fmt.Errorf("%s: %w", kind, err)
	}
	return v, nil
}

// definition is a stored group as it is decided.
func definition(g *store.Group) (profile.Definition, error) {
	d := profile.Definition{Name: g.Name}
	switch g.Kind {
	case store.GroupRule:
		d.Rule = g.Body
	case store.GroupClassifier:
		d.Model = new(profile.Classifier)
		return d, json.Unmarshal([]byte(g.Body), d.Model)
	case store.GroupCluster:
		n, err := strconv.Atoi(g.Body)
		d.Cluster = n
		return d, err
	default:
		return d, fmt.Errorf("%w %q: kind %q is unknown to this program", profile.ErrSegment, g.Name, g.Kind)
	}
	return d, nil
}

// Segments is a shop's segments as they are stored, in their order.
func (k *Keeper) Segments(ctx context.Context, id features.ShopID) ([]store.Group, error) {
	return k.o.Store.ListGroups(ctx, id)
}

// Segment is one of them; store.ErrNotFound when there is none.
func (k *Keeper) Segment(ctx context.Context, id features.ShopID, name string) (store.Group, error) {
	groups, err := k.o.Store.ListGroups(ctx, id)
	if err != nil {
		return store.Group{}, err
	}
	for _, g := range groups {
		if g.Name == name {
			return g, nil
		}
	}
	return store.Group{}, fmt.Errorf("segment %s: %w", name, store.ErrNotFound)
}

// PutSegment stores a segment by a rule; every profile reflects it from then
// on. profile.ErrSegment when the rule cannot be compiled.
func (k *Keeper) PutSegment(ctx context.Context, id features.ShopID, g store.Group) error {
	d, err := definition(&g)
	if err != nil {
		return err
	}
	if _, err := profile.NewSegments(k.engine, []profile.Definition{d}, nil, nil); err != nil {
		return err
	}
	s := k.shop(id)
	s.deciding.Lock()
	defer s.deciding.Unlock()
	if err := k.o.Store.PutGroup(ctx, id, g); err != nil {
		return err
	}
	return s.reloadLocked(ctx)
}

// DeleteSegment takes a segment away; store.ErrNotFound when there is none.
func (k *Keeper) DeleteSegment(ctx context.Context, id features.ShopID, name string) error {
	s := k.shop(id)
	s.deciding.Lock()
	defer s.deciding.Unlock()
	if err := k.o.Store.DeleteGroup(ctx, id, name); err != nil {
		return err
	}
	return s.reloadLocked(ctx)
}
