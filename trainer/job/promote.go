package job

import (
	"fmt"

	"github.com/attune-rec/attune/models/release"
)

// Promote makes a release the one that is served, to everyone or to a share.
type Promote struct {
	Releases `embed:""`
	By       `embed:""`
	Version  string  `arg:"" optional:"" help:"The release; the newest when none is given."`
	Canary   float64 `help:"Serve it to this share of the shoppers only, above 0 and below 1." placeholder:"SHARE"`
	Shadow   bool    `help:"Let it score beside what is served, unseen."`
	Unread   bool    `help:"Do not verify the release first."`
}

// Validate implements kong's check of flags that depend on one another.
func (p *Promote) Validate() error {
	if p.Canary != 0 && (p.Shadow || !(p.Canary > 0 && p.Canary < 1)) {
		return fmt.Errorf("--canary is %v: expected a share above 0 and below 1, and no --shadow", p.Canary)
	}
	return p.Releases.Validate()
}

// Run implements the command.
func (p *Promote) Run(env *Env) error {
	return p.with(env, func(st release.Store) error {
		version, err := p.newest(env, st, p.Version)
		if err != nil {
			return err
		}
		if !p.Unread {
			r, err := release.Open(env.Ctx, st, p.shop(), version, kinds)
			if err != nil {
				return err
			}
			if err := r.Close(); err != nil {
				return err
			}
		}
		var s release.Serving
		switch {
		case p.Canary > 0:
			s, err = release.StartCanary(env.Ctx, st, p.shop(), version, p.Canary, p.change())
		case p.Shadow:
			s, err = release.SetShadow(env.Ctx, st, p.shop(), version, p.change())
		default:
			s, err = release.Promote(env.Ctx, st, p.shop(), version, p.change())
		}
		if err != nil {
			return err
		}
		return writeServing(env, s)
	})
}
