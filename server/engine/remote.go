package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/release"
	"github.com/attune-rec/attune/models/vector/milvus"
	"github.com/attune-rec/attune/server/breaker"
)

// Milvus is the component that degraded answers name.
const Milvus = "milvus"

// Cluster has the vectors of large models. milvus.Cluster is one.
type Cluster interface {
	// Has reports whether it has models of so many rows.
	Has(rows int) bool
	// Open finds the vectors of a release's model and waits until they can be
	// searched. What it finds must be of these very vectors.
	Open(ctx context.Context, r *release.Release, model models.Part) (models.Index, error)
}

// remoteShare of the time that a search has may be spent on the cluster; the
// rest is for the local index.
const remoteShare = .6

// remote searches a cluster through a circuit breaker and, when that does not
// answer in time, the local index of the same vectors. Its hits then come with a
// models.Degraded error. It implements models.Index.
type remote struct {
	cluster atomic.Pointer[models.Index] // nil: not found yet
	local   models.Index                 // nil: none
	rows    int
	breaker *breaker.Breaker
	drop    func() // takes the breaker out of the metrics
	stop    context.CancelFunc
	opening sync.WaitGroup
}

// errOpening is why a search fails until the collection was found.
var errOpening = errors.New("collection is not opened yet")

// openRemote finds the vectors of r's model in the cluster. Where the shop has a
// release in service already, one that cannot be searched there is refused; the
// first one of a shop is taken with its local index alone, and the cluster is
// tried again until it answers.
func (es *Engines) openRemote(ctx context.Context, r *release.Release, p models.Part, local models.Index) (*remote, error) {
	shop := r.Manifest.Shop
	open := func(ctx context.Context) (models.Index, error) { return es.o.Cluster.Open(ctx, r, p) }
	x := &remote{local: local, rows: p.Model.Items(), stop: func() {}}
	found, err := open(ctx)
	switch {
	case err == nil:
		x.cluster.Store(&found)
	case local == nil || es.serves(shop) || ctx.Err() != nil:
		return nil, fmt.Errorf("in milvus: %w", err)
	default:
		log := es.o.Logger.With("shop", shop, "release", r.Version(), "model", p.Name)
		log.Error("the model cannot be searched in milvus; its local index answers, degraded, until it can", "error", err)
		x.openLater(open, es.o.Reopen, log)
	}
	x.breaker, x.drop = es.o.Breakers.New(breaker.Key{Dependency: Milvus, Shop: string(shop), What: p.Name})
	return x, nil
}

// serves reports whether the shop has an engine.
func (es *Engines) serves(shop features.ShopID) bool {
	es.mu.Lock()
	defer es.mu.Unlock()
	for _, s := range es.all {
		if s == shop {
			return true
		}
	}
	return false
}

// openLater tries every so often until the collection is found or x is closed.
func (x *remote) openLater(open func(context.Context) (models.Index, error), every time.Duration, log *slog.Logger) {
	ctx, cancel := context.WithCancel(context.Background())
	x.stop = cancel
	x.opening.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			found, err := open(ctx)
			if err == nil {
				x.cluster.Store(&found)
				log.Info("the model is searched in milvus now")
				return
			}
			log.Debug("the model still cannot be searched in milvus", "error", err)
		}
	})
}

// Remote says that searches go over the network.
func (x *remote) Remote() bool { return true }

// Search implements models.Index.
func (x *remote) Search(ctx context.Context, vec []float32, k int, w models.Where, dst []models.Hit) ([]models.Hit, error) {
	found := dst
	err := x.ask(ctx, func(ctx context.Context, cluster models.Index) (err error) {
		found, err = cluster.Search(ctx, vec, k, w, dst)
		return err
	})
	switch {
	case err == nil:
		return found, nil
	case ctx.Err() != nil:
		return dst, ctx.Err()
	case x.local == nil || errors.Is(err, milvus.ErrQuery):
		return dst, err
	}
	found, lerr := x.local.Search(ctx, vec, k, w, dst)
	if lerr != nil {
		return dst, lerr
	}
	return found, err
}

// SearchMany implements models.Index.
func (x *remote) SearchMany(ctx context.Context, vecs []float32, k int, w models.Where, dst [][]models.Hit) error {
	was := slices.Clone(dst)
	err := x.ask(ctx, func(ctx context.Context, cluster models.Index) error {
		return cluster.SearchMany(ctx, vecs, k, w, dst)
	})
	if err == nil {
		return nil
	}
	copy(dst, was)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case x.local == nil || errors.Is(err, milvus.ErrQuery):
		return err
	}
	if lerr := x.local.SearchMany(ctx, vecs, k, w, dst); lerr != nil {
		copy(dst, was)
		return lerr
	}
	return err
}

// ask searches the cluster through the breaker, in its share of the time. Its
// error is that of a bad query, or a models.Degraded. Where there is no local
// index, what comes with that is the tail's.
func (x *remote) ask(ctx context.Context, search func(context.Context, models.Index) error) error {
	var bad error
	err := x.breaker.Do(func() error {
		cluster := x.cluster.Load()
		if cluster == nil {
			return errOpening
		}
		limited, cancel := x.within(ctx)
		defer cancel()
		err := search(limited, *cluster)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, milvus.ErrQuery): // not the cluster's fault
			bad = err
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case limited.Err() != nil: // however the connection says it
			return fmt.Errorf("%w: %w", limited.Err(), err)
		}
		return err
	})
	if err == nil {
		return bad
	}
	why := "error"
	switch {
	case errors.Is(err, breaker.ErrOpen):
		why = "open"
	case errors.Is(err, context.DeadlineExceeded):
		why = "timeout"
	}
	return &models.Degraded{Component: Milvus, Why: why, Err: err}
}

// within is the time that the cluster has. The cluster's own limit holds too.
func (x *remote) within(ctx context.Context) (context.Context, context.CancelFunc) {
	until, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Duration(float64(time.Until(until))*remoteShare))
}

// Len implements models.Index.
func (x *remote) Len() int { return x.rows }

// Close implements models.Index.
func (x *remote) Close() error {
	x.stop()
	x.opening.Wait()
	x.drop()
	var errs []error
	if c := x.cluster.Load(); c != nil {
		errs = append(errs, (*c).Close())
	}
	if x.local != nil {
		errs = append(errs, x.local.Close())
	}
	return errors.Join(errs...)
}
