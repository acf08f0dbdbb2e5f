package job

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/kind"
	"github.com/attune-rec/attune/models/release"
)

// Releases is the flags of where releases are kept.
type Releases struct {
	Store string `name:"releases" help:"Where releases are kept: a folder, or the URL of a bucket. Default: releases, in the data directory where a command has one." placeholder:"WHERE"`
	Cache string `help:"Folder for local copies of a bucket's releases." placeholder:"DIR"`
	Shop  string `help:"The shop." default:"default"`
}

// Validate implements kong's check.
func (r *Releases) Validate() error { return r.shop().Validate() }

func (r *Releases) shop() features.ShopID { return features.ShopID(r.Shop) }

// in makes dir's own folder of releases the default, as the server has it.
func (r *Releases) in(dir string) {
	if r.Store == "" {
		r.Store = filepath.Join(dir, "releases")
	}
}

// Open opens the store; the caller closes it.
func (r *Releases) Open(ctx context.Context) (release.Store, error) {
	r.in("")
	cache := r.Cache
	if cache == "" && strings.Contains(r.Store, "://") {
		dir, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("give --cache, a folder for local copies: %w", err)
		}
		cache = filepath.Join(dir, "attune")
	}
	return release.OpenStore(ctx, r.Store, cache)
}

// with opens the store for the time of f.
func (r *Releases) with(env *Env, f func(st release.Store) error) error {
	st, err := r.Open(env.Ctx)
	if err != nil {
		return err
	}
	return errors.Join(f(st), st.Close())
}

// newest is version, or the newest one where it is empty.
func (r *Releases) newest(env *Env, st release.Store, version string) (string, error) {
	if version != "" {
		return version, nil
	}
	vs, err := st.Versions(env.Ctx, r.shop())
	if err != nil {
		return "", err
	}
	if len(vs) == 0 {
		return "", fmt.Errorf("%w: shop %s has none in %s: publish one first", release.ErrNotFound, r.Shop, r.Store)
	}
	return vs[len(vs)-1], nil
}

// kinds finds the kinds that releases are opened with.
func kinds(name string) (models.Kind, bool) {
	k, err := kind.Of(name)
	return k, err == nil
}

// By is the flags of who changes what is served, and why.
type By struct {
	By     string `help:"Who does it, for the history." env:"USER" default:"trainer"`
	Reason string `help:"Why, for the history."`
	Expect int64  `help:"Number of the serving state this is meant for; 0 takes any." default:"0"`
}

func (b *By) change() release.Change {
	return release.Change{By: b.By, Reason: b.Reason, Expect: b.Expect}
}

// writeServing writes a serving state as a command's result.
func writeServing(env *Env, s release.Serving) error {
	if env.JSON {
		return env.WriteJSON(s)
	}
	fmt.Fprintf(env.Out, "state %d: serves %s", s.Number, s.Stable)
	if s.Canary != nil {
		fmt.Fprintf(env.Out, ", canary %s to %.3g %% of shoppers", s.Canary.Version, 100*s.Canary.Share)
	}
	if s.Shadow != "" {
		fmt.Fprintf(env.Out, ", shadow %s", s.Shadow)
	}
	_, err := fmt.Fprintf(env.Out, " (%s by %s, %s)\n", s.Action, s.By, s.Time.Format(time.RFC3339))
	return err
}
