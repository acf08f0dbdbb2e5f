package job

import (
	"errors"
	"fmt"

	"github.com/attune-rec/attune/models/release"
)

// Promote makes a release the one that is served, to everyone or to a share.
type Promote struct {
	Releases `embed:""`
	By       `embed:""`
	Cluster  `embed:""`
	FairGate `embed:""`
	Version  string  `arg:"" optional:"" help:"The release; the newest when none is given."`
	Canary   float64 `help:"Serve it to this share of the shoppers only, above 0 and below 1." placeholder:"SHARE"`
	Shadow   bool    `help:"Let it score beside what is served, unseen."`
	Unread   bool    `help:"Do not verify the release first; not with --milvus-address, which needs it read."`
}

// Validate implements kong's check of flags that depend on one another.
func (p *Promote) Validate() error {
	if p.Canary != 0 && (p.Shadow || !(p.Canary > 0 && p.Canary < 1)) {
		return fmt.Errorf("--canary is %v: expected a share above 0 and below 1, and no --shadow", p.Canary)
	}
	_, err := p.limits()
	return errors.Join(err, p.Releases.Validate(), p.Milvus.Check())
}

// Run implements the command.
func (p *Promote) Run(env *Env) error {
	return p.with(env, func(st release.Store) error {
		version, err := p.newest(env, st, p.Version)
		if err != nil {
			return err
		}
		if err := p.allow(env, st, &p.Releases, version); err != nil {
			return err
		}
		in := &filled{}
		if !p.Unread || p.Milvus.Configured() {
			r, err := release.Open(env.Ctx, st, p.shop(), version, kinds)
			if err != nil {
				return err
			}
			if in, err = p.fill(env, r); err != nil {
				return errors.Join(err, r.Close())
			}
			if err := r.Close(); err != nil {
				return errors.Join(err, in.Close())
			}
		}
		s, err := p.change(env, st, version)
		if err == nil && s.Stable == version {
			err = in.point(env.Ctx, st, p.shop())
		}
		if err = errors.Join(err, in.Close()); err != nil {
			return err
		}
		return writeServing(env, s)
	})
}

// change writes the next state.
func (p *Promote) change(env *Env, st release.Store, version string) (release.Serving, error) {
	switch {
	case p.Canary > 0:
		return release.StartCanary(env.Ctx, st, p.shop(), version, p.Canary, p.By.change())
	case p.Shadow:
		return release.SetShadow(env.Ctx, st, p.shop(), version, p.By.change())
	}
	return release.Promote(env.Ctx, st, p.shop(), version, p.By.change())
}
