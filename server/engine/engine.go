// Package engine makes an opened release ready to answer: indexes over its
// vectors, a pipeline for each surface, and the catalogue kept up to date with
// what the shop changed since, new items at once in the tail.
//
// Start reading at Engines.Build.
package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
	"github.com/attune-rec/attune/features/pace"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/pipeline"
	"github.com/attune-rec/attune/models/pipeline/kit"
	"github.com/attune-rec/attune/models/release"
	"github.com/attune-rec/attune/models/vector"
	"github.com/attune-rec/attune/server/breaker"
)

// Engine is a release that answers. It is safe for concurrent use.
type Engine struct {
	version   string
	pipelines map[string]*pipeline.Pipeline
	surfaces  []string
	items     atomic.Pointer[catalog.Snapshot]

	mu    sync.Mutex // of those who bring changes
	next  int64      // the catalogue change to go on from
	base  []features.Item
	tails []tail
}

// tail is an index that takes new items in.
type tail struct {
	name  string
	index *vector.Tailed
	embed models.ItemEmbedder // nil: it cannot give an item a vector
	dim   int
}

// Version is the release's version.
func (e *Engine) Version() string { return e.version }

// Catalog is the shop's items as they stand, by the release's rows.
func (e *Engine) Catalog() features.Catalog { return e.items.Load() }

// Pipeline answers a surface; nil when the release has no recipe for it.
func (e *Engine) Pipeline(surface string) *pipeline.Pipeline { return e.pipelines[surface] }

// Surfaces lists those that have a recipe, in order.
func (e *Engine) Surfaces() []string { return e.surfaces }

// Options are what engines are made with. Changes is needed.
type Options struct {
	Changes  Changes
	Observer pipeline.Observer // nil: nobody watches
	Switches *pipeline.Switches
	Rules    pipeline.Steerer                                         // nil: none
	Trends   func(features.ShopID) pipeline.Trends                    // of a shop; nil: nobody counts
	Warm     func(context.Context, features.ShopID, features.Catalog) // told of a catalogue before it is served; nil: nobody
	Freed    func(shop features.ShopID, left []features.Catalog)      // told of the shop's catalogues that are left when one is given back; nil: nobody
	Workers  int                                                      // goroutines that make an index; 0: 1

	Cluster  Cluster       // has the vectors of large models; nil: every index is local
	Reopen   time.Duration // between tries of a cluster that was down when the server began; 0: 2 s
	Breakers *breaker.Set  // of searches in the cluster; nil: made

	Logger *slog.Logger // nil: slog.Default
}

// Changes is where what the shop changed is read from.
type Changes interface {
	Changes(ctx context.Context, shop features.ShopID, from int64, f func(store.Change) error) (next int64, err error)
}

// Engines makes engines and keeps those in service up to date. It is safe for
// concurrent use.
type Engines struct {
	o       Options
	mu      sync.Mutex
	all     map[*Engine]features.ShopID
	ledgers map[features.ShopID]*ledger // of shops that have an engine; each is never changed
}

// New returns a maker of engines.
func New(o Options) *Engines {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	o.Workers = max(o.Workers, 1)
	o.Reopen = cmp.Or(o.Reopen, 2*time.Second)
	if o.Breakers == nil {
		o.Breakers = breaker.NewSet(breaker.Options{})
	}
	return &Engines{o: o, all: map[*Engine]features.ShopID{}, ledgers: map[features.ShopID]*ledger{}}
}

// Build makes r ready, with the catalogue as it stands. Free it.
func (es *Engines) Build(ctx context.Context, r *release.Release) (*Engine, error) {
	env := pipeline.Env{Models: map[string]models.Model{}, Indexes: map[string]models.Index{}}
	if es.o.Trends != nil {
		env.Trends = es.o.Trends(r.Manifest.Shop)
	}
	e := &Engine{version: r.Version(), pipelines: map[string]*pipeline.Pipeline{}, base: r.Items, next: first}
	for _, p := range r.Models() {
		env.Models[p.Name] = p.Model
	}
	for _, p := range vector.Searched(r.Models(), r.Recipes) {
		t, err := es.makeTail(ctx, r, p)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("index of model %q: %w", p.Name, err), e.close())
		}
		env.Indexes[p.Name] = t.index
		e.tails = append(e.tails, t)
	}
	for _, recipe := range r.Recipes {
		p, err := kit.New(recipe, env, pipeline.Options{Observer: es.o.Observer, Switches: es.o.Switches, Rules: es.o.Rules, Rows: len(r.Items)})
		if err != nil {
			return nil, errors.Join(err, e.close())
		}
		e.pipelines[recipe.Surface] = p
		e.surfaces = append(e.surfaces, recipe.Surface)
	}
	slices.Sort(e.surfaces)
	items, err := catalog.Prepare(pace.Of(ctx), r.Items)
	if err != nil {
		return nil, errors.Join(err, e.close())
	}
	e.items.Store(items)
	shop := r.Manifest.Shop
	es.mu.Lock()
	es.all[e] = shop // before the changes are read: none may slip between
	es.mu.Unlock()
	if err := es.sync(ctx, shop, e); err != nil {
		return nil, errors.Join(err, es.Free(e))
	}
	es.warm(ctx, shop, e.items.Load())
	return e, nil
}

// makeTail opens the index that r has for the model, or makes one; that of a
// large model is in the cluster, with the release's own to fall back to.
func (es *Engines) makeTail(ctx context.Context, r *release.Release, p models.Part) (tail, error) {
	embed := p.Model.(models.Embedder)
	file, err := r.Index(vector.FileName(p.Name))
	if err != nil && !errors.Is(err, release.ErrNotFound) {
		return tail{}, err
	}
	rows := p.Model.Items()
	elsewhere := es.o.Cluster != nil && es.o.Cluster.Has(rows)
	var base models.Index
	if file != nil || !elsewhere || rows < vector.FileRows {
		var beside vector.File
		if file != nil {
			if beside, err = r.IndexFile(vector.FileName(p.Name)); err != nil {
				return tail{}, err
			}
		}
		if base, err = vector.Load(file, beside, embed.Vectors(), embed.Dim(), es.o.Workers); err != nil {
			return tail{}, err
		}
	}
	if elsewhere {
		x, err := es.openRemote(ctx, r, p, base)
		if err != nil {
			if base != nil {
				err = errors.Join(err, base.Close())
			}
			return tail{}, err
		}
		base = x
	}
	t := tail{name: p.Name, index: vector.WithTail(base, rows, embed.Dim()), dim: embed.Dim()}
	t.embed, _ = p.Model.(models.ItemEmbedder)
	return t, nil
}

// Free gives back what Build made.
func (es *Engines) Free(e *Engine) error {
	es.mu.Lock()
	shop := es.all[e]
	delete(es.all, e)
	var left []features.Catalog
	for other, s := range es.all {
		if s == shop {
			left = append(left, other.items.Load())
		}
	}
	if left == nil {
		delete(es.ledgers, shop)
	}
	es.mu.Unlock()
	if es.o.Freed != nil {
		es.o.Freed(shop, left)
	}
	return e.close()
}

func (e *Engine) close() error {
	errs := make([]error, 0, len(e.tails))
	for i := range e.tails {
		errs = append(errs, e.tails[i].index.Close())
	}
	return errors.Join(errs...)
}
