package profile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/profile"
	"github.com/attune-rec/attune/features/store"
)

// ErrFew is returned when there are too few shoppers for what is asked.
var ErrFew = errors.New("too few shoppers")

const (
	atOnce   = 1000
	listRead = 5000 // profiles that one page of a list looks at
)

// each calls f with the profiles of known shoppers, by key.
func (s *shop) each(ctx context.Context, f func(Found) error) error {
	var after features.UserKey
	for {
		keys := s.roster.after(after, atOnce)
		if len(keys) == 0 {
			return nil
		}
		for _, key := range keys {
			after = key
			if err := ctx.Err(); err != nil {
				return err
			}
			found, err := s.peek(ctx, key)
			if err != nil {
				return err
			}
			if found.Profile == nil {
				continue
			}
			if err := f(found); err != nil {
				return err
			}
		}
	}
}

// List is at most n profiles of known shoppers whose key is above after and for
// which keep holds, by key, and the key to go on from; none when it came to the
// end. It looks at a bounded number of shoppers, so that a page may be short.
func (k *Keeper) List(ctx context.Context, id features.ShopID, after features.UserKey, n int, keep func(Found) bool) (list []Found, next *features.UserKey, err error) {
	s := k.shop(id)
	keys := s.roster.after(after, listRead)
	for i, key := range keys {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		found, err := s.peek(ctx, key)
		if err != nil {
			return nil, nil, err
		}
		if found.Profile != nil && keep(found) {
			list = append(list, found)
		}
		if len(list) == n && i+1 < len(keys) {
			return list, &key, nil
		}
	}
	if len(keys) == listRead {
		return list, &keys[len(keys)-1], nil
	}
	return list, nil, nil
}

// Members calls f with the members of a segment, a cell of the grid or a stage
// of the lifecycle who agreed to all of need, by key. Membership is that of the moment each is looked at.
func (k *Keeper) Members(ctx context.Context, id features.ShopID, name string, need features.Purposes, f func(Found) error) error {
	return k.shop(id).each(ctx, func(found Found) error {
		if !found.Consent.Has(need) || !slices.Contains(profile.Groups(found.Profile), name) {
			return nil
		}
		return f(found)
	})
}

// Count is the sizes of segments, cells and stages of the lifecycle and how they
// overlap, among shoppers who agreed to analytics.
func (k *Keeper) Count(ctx context.Context, id features.ShopID) (profile.Census, error) {
	return k.shop(id).count(ctx)
}

func (s *shop) count(ctx context.Context) (profile.Census, error) {
	var members [][]string
	err := s.each(ctx, func(f Found) error {
		if f.Consent.Has(features.Analytics) {
			members = append(members, profile.Groups(f.Profile))
		}
		return nil
	})
	if err != nil {
		return profile.Census{}, err
	}
	return profile.Count(s.k.o.Clock().UTC().Truncate(time.Millisecond), members), nil
}

// Past is at most limit newest counts that were kept, oldest first.
func (k *Keeper) Past(ctx context.Context, id features.ShopID, limit int) (profile.History, error) {
	bodies, err := k.o.Store.Facts(ctx, id, store.FactCensus, limit)
	if err != nil {
		return nil, err
	}
	var h profile.History
	for _, b := range bodies {
		var c profile.Census
		if err := json.Unmarshal([]byte(b), &c); err != nil {
			return nil, fmt.Errorf("census: %w", err)
		}
		h = h.Add(c)
	}
	return h, nil
}

// Keep stores a count, so that Past has it.
func (k *Keeper) Keep(ctx context.Context, id features.ShopID, c profile.Census) error {
	b, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return k.o.Store.PutFact(ctx, id, store.FactCensus, c.At, string(b))
}

// Sizes is the members of each segment at the newest count that was kept; nil
// when there is none.
func (k *Keeper) Sizes(ctx context.Context, id features.ShopID) (map[string]int, error) {
	h, err := k.Past(ctx, id, 1)
	if err != nil || len(h) == 0 {
		return nil, err
	}
	return h[0].Sizes, nil
}

// refreshCounts places buyers in the grid anew and keeps a count.
func (s *shop) refreshCounts(ctx context.Context) {
	if s.roster.len() == 0 {
		return
	}
	err := s.regrid(ctx)
	if err == nil || errors.Is(err, ErrFew) {
		var c profile.Census
		if c, err = s.count(ctx); err == nil {
			err = s.k.Keep(ctx, s.id, c)
		}
	}
	if err != nil && ctx.Err() == nil {
		s.k.o.Logger.Error("segments could not be counted", "shop", s.id, "error", err)
	}
}

// people is the profiles of all who agreed to analytics, by key.
func (s *shop) people(ctx context.Context) (all []*features.Profile, keys []features.UserKey, err error) {
	err = s.each(ctx, func(f Found) error {
		if f.Consent.Has(features.Analytics) {
			all, keys = append(all, f.Profile), append(keys, f.Key)
		}
		return nil
	})
	return all, keys, err
}

// regrid takes the quintiles of the shop's buyers as they are now.
func (s *shop) regrid(ctx context.Context) error {
	people, _, err := s.people(ctx)
	if err != nil {
		return err
	}
	grid, err := profile.NewGrid(people)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFew, err)
	}
	b, err := json.Marshal(grid)
	if err != nil {
		return err
	}
	s.deciding.Lock()
	defer s.deciding.Unlock()
	if err := s.k.o.Store.PutFact(ctx, s.id, store.FactGrid, time.Time{}, string(b)); err != nil {
		return err
	}
	return s.reloadLocked(ctx)
}

// Grid is the shop's grid, made when there is none, and the buyers in each
// cell; ErrFew without five buyers.
func (k *Keeper) Grid(ctx context.Context, id features.ShopID) (*profile.Grid, map[string]int, error) {
	s := k.shop(id)
	if set := s.segments.Load(); set == nil || set.Grid() == nil {
		if err := s.regrid(ctx); err != nil {
			return nil, nil, err
		}
	}
	grid := s.segments.Load().Grid()
	people, _, err := s.people(ctx)
	if err != nil {
		return nil, nil, err
	}
	cells := map[string]int{}
	for _, p := range people {
		if name := grid.Name(p); name != "" {
			cells[name]++
		}
	}
	return grid, cells, nil
}

// Cluster is a group of alike buyers.
type Cluster struct {
	Number int
	profile.Description
}

// Discovered is what Discover found.
type Discovered struct {
	Silhouette float64
	Shoppers   int
	Clusters   []Cluster // the largest first, numbered from 1
}

// Discover finds from least to most groups of alike buyers and describes them;
// with keep they become the shop's segments cluster:1, cluster:2 and so on.
func (k *Keeper) Discover(ctx context.Context, id features.ShopID, least, most int, keep bool) (Discovered, error) {
	s := k.shop(id)
	people, _, err := s.people(ctx)
	if err != nil {
		return Discovered{}, err
	}
	people = slices.DeleteFunc(people, func(p *features.Profile) bool { return p.Orders == 0 })
	clusters, err := profile.Fit(people, least, most, 1)
	if err != nil {
		return Discovered{}, fmt.Errorf("%w: %w", ErrFew, err)
	}
	of := make([]int, len(people))
	for i, p := range people {
		of[i] = clusters.Of(p)
	}
	out := Discovered{Silhouette: clusters.Silhouette, Shoppers: len(people)}
	for n := range clusters.K() {
		member := make([]bool, len(people))
		for i := range member {
			member[i] = of[i] == n
		}
		d, err := profile.Describe(people, member)
		if err != nil {
			return Discovered{}, fmt.Errorf("%w: %w", ErrFew, err)
		}
		out.Clusters = append(out.Clusters, Cluster{n + 1, d})
	}
	if keep {
		if err := s.keepClusters(ctx, clusters, out.Clusters); err != nil {
			return Discovered{}, err
		}
	}
	slices.SortStableFunc(out.Clusters, func(a, b Cluster) int { return b.Size - a.Size })
	return out, nil
}

func (s *shop) keepClusters(ctx context.Context, clusters *profile.Clusters, described []Cluster) error {
	b, err := json.Marshal(clusters)
	if err != nil {
		return err
	}
	groups := make([]store.Group, len(described))
	for i, c := range described {
		groups[i] = store.Group{Name: fmt.Sprintf("cluster:%d", c.Number), Kind: store.GroupCluster, Body: strconv.Itoa(c.Number)}
		for j, t := range c.Traits {
			if j > 0 {
				groups[i].Description += "; "
			}
			groups[i].Description += t.Words
		}
	}
	s.deciding.Lock()
	defer s.deciding.Unlock()
	if err := s.k.o.Store.PutClusters(ctx, s.id, string(b), groups); err != nil {
		return err
	}
	return s.reloadLocked(ctx)
}

// Train learns a segment from examples and stores it. Shoppers without a
// profile or without consent to analytics teach nothing; profile.ErrSegment
// when too few are left.
func (k *Keeper) Train(ctx context.Context, id features.ShopID, name, title string, examples []features.UserKey) (*profile.Classifier, error) {
	s := k.shop(id)
	seeds := map[features.UserKey]bool{}
	for _, key := range examples {
		person, err := s.resolve(ctx, key)
		if err != nil {
			return nil, err
		}
		seeds[person] = true
	}
	people, keys, err := s.people(ctx)
	if err != nil {
		return nil, err
	}
	member := make([]bool, len(keys))
	for i, key := range keys {
		member[i] = seeds[key]
	}
	model, err := profile.Train(people, member)
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(model)
	if err != nil {
		return nil, err
	}
	return model, k.PutSegment(ctx, id, store.Group{Name: name, Title: title, Kind: store.GroupClassifier, Body: string(b)})
}

// CellNames are the names of cells, sorted.
func CellNames(cells map[string]int) []string { return slices.Sorted(maps.Keys(cells)) }
