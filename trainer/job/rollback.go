package job

import (
	"errors"

	"github.com/attune-rec/attune/models/release"
)

// Rollback goes back to what was served before, or ends a canary.
type Rollback struct {
	Releases `embed:""`
	By       `embed:""`
	Cluster  `embed:""`
	Version  string `arg:"" optional:"" help:"The release to go back to; when none is given, ends the canary, or goes to the release before."`
}

// Run implements the command.
func (r *Rollback) Run(env *Env) error {
	return r.with(env, func(st release.Store) error {
		s, err := release.Rollback(env.Ctx, st, r.shop(), r.Version, r.change())
		if err != nil {
			return err
		}
		// The state first: servers go back to a collection that is still there.
		return errors.Join(writeServing(env, s), r.follow(env, st, r.shop(), s.Stable))
	})
}
