package milvus

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/attune-rec/attune/features/catalog"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/release"
	"github.com/attune-rec/attune/models/vector"
)

// Cluster keeps the large models of releases in Milvus. It connects when it is
// first needed, so that a program starts while Milvus is down. It is safe for
// concurrent use.
type Cluster struct {
	config Config
	from   int

	mu     sync.Mutex
	client *Client // nil: not connected yet
	failed time.Time
	err    error // of the last try
}

// forget is how long a failure to connect answers for the next tries: the models
// of a release do not each wait for a Milvus that is down.
const forget = time.Second

// NewCluster returns the cluster of the flags, which must be configured. It
// connects to nothing. It reports ErrConfig.
func NewCluster(f Flags) (*Cluster, error) {
	c, err := f.Config()
	if err != nil {
		return nil, err
	}
	if err := c.defaults(); err != nil {
		return nil, err
	}
	return &Cluster{config: c, from: cmp.Or(f.From, 1)}, nil
}

// Has reports whether a model of so many rows is kept here.
func (cl *Cluster) Has(rows int) bool { return rows >= cl.from }

// Client is the connection, made when there is none.
func (cl *Cluster) Client(ctx context.Context) (*Client, error) {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	if cl.client != nil {
		return cl.client, nil
	}
	if cl.err != nil && time.Since(cl.failed) < forget {
		return nil, cl.err
	}
	c, err := Connect(ctx, cl.config)
	if err != nil {
		if ctx.Err() == nil {
			cl.failed, cl.err = time.Now(), err
		}
		return nil, err
	}
	cl.client, cl.err = c, nil
	return c, nil
}

// Close ends the connection.
func (cl *Cluster) Close() error {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	if cl.client == nil {
		return nil
	}
	c := cl.client
	cl.client = nil
	return c.Close()
}

// Open finds the collection of a release's model and waits until it can be
// searched, Config.Ready at most.
func (cl *Cluster) Open(ctx context.Context, r *release.Release, model models.Part) (models.Index, error) {
	c, err := cl.Client(ctx)
	if err != nil {
		return nil, err
	}
	x, err := c.OpenReady(ctx, nameOf(r, model.Name), rowsOf(r, model))
	if err != nil {
		return nil, err
	}
	return x, nil
}

// Fill makes the collections of a release's models that are kept here; those
// that are there already, complete and of these very vectors, stay as they are.
// It returns the names of what the release has here. progress, where given, is
// told of rows.
func (cl *Cluster) Fill(ctx context.Context, r *release.Release, progress func(done, total int)) ([]Name, error) {
	var names []Name
	for _, p := range cl.kept(r) {
		name := nameOf(r, p.Name)
		c, err := cl.Client(ctx)
		if err != nil {
			return names, err
		}
		if err := c.Ensure(ctx, name, rowsOf(r, p), progress); err != nil {
			return names, fmt.Errorf("model %q of release %s: %w", p.Name, r.Version(), err)
		}
		names = append(names, name)
	}
	return names, nil
}

// Names is what Fill makes of a release.
func (cl *Cluster) Names(r *release.Release) []Name {
	var names []Name
	for _, p := range cl.kept(r) {
		names = append(names, nameOf(r, p.Name))
	}
	return names
}

// Point moves the alias of each name, as Fill returned them, and drops older
// collections of the same models. Those of the releases in keep stay, and those
// that were published before.
func (cl *Cluster) Point(ctx context.Context, names []Name, keep []string) error {
	for _, name := range names {
		c, err := cl.Client(ctx)
		if err != nil {
			return err
		}
		if err := c.Publish(ctx, name, keep...); err != nil {
			return fmt.Errorf("model %q of release %s: %w", name.Model, name.Version, err)
		}
	}
	return nil
}

// Needed is the releases of a shop whose collections somebody may search: those
// that the newest states name, the one before the last state's included, since
// servers follow it a moment later, and the one a rollback would go back to.
func Needed(past []release.Serving) []string {
	needed := []string{}
	for _, s := range past[max(0, len(past)-2):] {
		needed = append(needed, s.Stable, s.Shadow)
		if s.Canary != nil {
			needed = append(needed, s.Canary.Version)
		}
	}
	needed = append(needed, release.Previous(past))
	slices.Sort(needed)
	return slices.DeleteFunc(slices.Compact(needed), func(v string) bool { return v == "" })
}

// kept is the models of a release that are searched here.
func (cl *Cluster) kept(r *release.Release) []models.Part {
	return slices.DeleteFunc(vector.Searched(r.Models(), r.Recipes), func(p models.Part) bool { return !cl.Has(p.Model.Items()) })
}

func nameOf(r *release.Release, model string) Name {
	return Name{Shop: r.Manifest.Shop, Model: model, Version: r.Version()}
}

// rowsOf is the vectors of a release's model and what the release's catalogue says
// of their items.
func rowsOf(r *release.Release, model models.Part) Rows {
	e := model.Model.(models.Embedder)
	rows := Rows{Vectors: e.Vectors(), Dim: e.Dim(), Attr: map[string]func(int) []string{}}
	for _, attr := range catalog.Worded() {
		rows.Attr[attr] = func(row int) []string {
			if row >= len(r.Items) {
				return nil
			}
			return catalog.Words(&r.Items[row], attr)
		}
	}
	return rows
}
