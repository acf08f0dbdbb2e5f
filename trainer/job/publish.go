package job

import (
	"errors"
	"fmt"

	"github.com/attune-rec/attune/models/release"
)

// Publish takes a release that was made elsewhere, by fit --out or export, into
// the store, and promotes it when told so.
type Publish struct {
	Releases `embed:""`
	By       `embed:""`
	Cluster  `embed:""`
	FairGate `embed:""`
	From     string `arg:"" help:"Directory of the release: the one with manifest.json." type:"existingdir"`
	Promote  bool   `help:"Serve it at once."`
}

// Validate implements kong's check.
func (p *Publish) Validate() error {
	_, err := p.limits()
	return errors.Join(err, p.Releases.Validate(), p.Milvus.Check())
}

// published is the result of a publication.
type published struct {
	Manifest release.Manifest `json:"manifest"`
	Serving  *release.Serving `json:"serving,omitempty"`
}

// Run implements the command.
func (p *Publish) Run(env *Env) error {
	return p.with(env, func(st release.Store) error {
		m, err := release.Add(env.Ctx, st, p.From)
		if err != nil {
			return err
		}
		if p.Promote {
			if err := p.allow(env, st, &p.Releases, m.Version); err != nil {
				return err
			}
		}
		return p.finishPublish(env, st, m, p.Promote, p.change())
	})
}

// PublishDraft publishes what a training job made, opens it again to be sure
// that it can be served, fills the cluster where there is one, and promotes it
// when told so. It returns what was published, and the serving state when it was
// promoted.
func PublishDraft(env *Env, st release.Store, d release.Draft, promote bool, c release.Change, in Cluster) (release.Manifest, *release.Serving, error) {
	bar := env.Progress("publish")
	defer bar.Done()
	m, err := release.Publish(env.Ctx, st, d)
	if err != nil {
		return release.Manifest{}, nil, err
	}
	s, err := in.promoteVerified(env, st, m, promote, c)
	return m, s, err
}

// promoteVerified opens the release as a server would, fills the cluster, then
// promotes it.
func (c *Cluster) promoteVerified(env *Env, st release.Store, m release.Manifest, promote bool, change release.Change) (*release.Serving, error) {
	r, err := release.Open(env.Ctx, st, m.Shop, m.Version, kinds)
	if err != nil {
		return nil, err
	}
	in, err := c.fill(env, r)
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	if err := r.Close(); err != nil || !promote {
		return nil, errors.Join(err, in.Close())
	}
	s, err := release.Promote(env.Ctx, st, m.Shop, m.Version, change)
	if err == nil {
		err = in.point(env.Ctx, st, m.Shop)
	}
	if err = errors.Join(err, in.Close()); err != nil {
		return nil, err
	}
	return &s, nil
}

// finishPublish verifies, promotes when told so, and writes the result.
func (c *Cluster) finishPublish(env *Env, st release.Store, m release.Manifest, promote bool, change release.Change) error {
	s, err := c.promoteVerified(env, st, m, promote, change)
	if err != nil {
		return err
	}
	if env.JSON {
		return env.WriteJSON(published{m, s})
	}
	fmt.Fprintf(env.Out, "published %s: %d items, %d models, %d bytes\n", m.Version, m.Items, len(m.Models), m.Bytes())
	if s != nil {
		return writeServing(env, *s)
	}
	return nil
}
