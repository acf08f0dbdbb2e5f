package job

import (
	"context"
	"errors"
	"fmt"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models/release"
	"github.com/attune-rec/attune/models/vector/milvus"
)

// Cluster is the flags of a Milvus that has the vectors of large models, the
// same as the server's.
type Cluster struct {
	Milvus milvus.Flags `embed:"" prefix:"milvus-"`
}

// errCluster is beside a change of what is served that stands all the same.
var errCluster = errors.New("what is served was changed, but milvus was not: run the command again")

// filled is a release whose collections are there.
type filled struct {
	cluster *milvus.Cluster // nil: none is configured
	names   []milvus.Name
}

// fill makes the collections of a release, so that servers find them when it is
// promoted. Without a cluster it does nothing. The result is to be closed.
func (c *Cluster) fill(env *Env, r *release.Release) (*filled, error) {
	if !c.Milvus.Configured() {
		return &filled{}, nil
	}
	cluster, err := milvus.NewCluster(c.Milvus)
	if err != nil {
		return nil, err
	}
	bar := env.Progress("milvus")
	defer bar.Done()
	f := &filled{cluster: cluster}
	if f.names, err = cluster.Fill(env.Ctx, r, func(done, total int) { bar.Step(done, total, "rows") }); err != nil {
		return nil, errors.Join(fmt.Errorf("fill milvus: %w", err), f.Close())
	}
	return f, nil
}

// point makes the aliases follow what is served to most, and drops what nobody
// searches any more.
func (f *filled) point(ctx context.Context, st release.Store, shop features.ShopID) error {
	if f.cluster == nil {
		return nil
	}
	past, err := release.History(ctx, st, shop, release.Remembered)
	if err == nil {
		err = f.cluster.Point(ctx, f.names, milvus.Needed(past))
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errCluster, err)
	}
	return nil
}

// Close ends the connection.
func (f *filled) Close() error {
	if f.cluster == nil {
		return nil
	}
	return f.cluster.Close()
}

// follow fills what a state serves, and points to it.
func (c *Cluster) follow(env *Env, st release.Store, shop features.ShopID, version string) error {
	if !c.Milvus.Configured() {
		return nil
	}
	r, err := release.Open(env.Ctx, st, shop, version, kinds)
	if err != nil {
		return fmt.Errorf("%w: %w", errCluster, err)
	}
	f, err := c.fill(env, r)
	if err != nil {
		return errors.Join(fmt.Errorf("%w: %w", errCluster, err), r.Close())
	}
	return errors.Join(f.point(env.Ctx, st, shop), f.Close(), r.Close())
}
