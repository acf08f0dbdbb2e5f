package release

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/attune-rec/attune/features"
)

// Store keeps releases and serving states: a folder or a bucket. It is safe
// for concurrent use, also by several processes.
type Store interface {
	// Shops lists the shops that have a release or a serving state, in order.
	Shops(ctx context.Context) ([]features.ShopID, error)
	// Versions lists a shop's complete releases, oldest first.
	Versions(ctx context.Context, shop features.ShopID) ([]string, error)
	Close() error

	// disk is where a new release is written before it is complete.
	disk() disk
	// stage makes an empty local directory for a new release.
	stage(ctx context.Context, shop features.ShopID, version string) (dir string, err error)
	// commit makes the staged release visible, whole, under its version, and
	// durable. The staged files are synced; paths begins with those that may
	// come first and ends with the manifest.
	commit(ctx context.Context, shop features.ShopID, version, dir string, paths []string) error
	// local is a directory with the release's files, valid until done; fresh
	// asks for them anew where they are a copy.
	local(ctx context.Context, shop features.ShopID, version string, fresh bool) (dir string, done func(), err error)
	// read is one small file of a release, or ErrNotFound.
	read(ctx context.Context, shop features.ShopID, version, path string) ([]byte, error)
	// remove takes a release away; it is never seen in part.
	remove(ctx context.Context, shop features.ShopID, version string) error
	// sweep removes what broken publications left behind more than a day ago.
	sweep(ctx context.Context, shop features.ShopID) error

	// states is the numbers of a shop's serving states, ascending.
	states(ctx context.Context, shop features.ShopID) ([]int64, error)
	state(ctx context.Context, shop features.ShopID, n int64) ([]byte, error)
	// putState creates state n, or reports ErrStale when it is there.
	putState(ctx context.Context, shop features.ShopID, n int64, b []byte) error
}

// OpenStore opens a folder given by its path, or a bucket given by its URL:
// file:///path?metadata=skip, mem://, or s3://name in a build that links that
// driver. Cache is the folder for a bucket's local copies.
func OpenStore(ctx context.Context, where, cache string) (Store, error) {
	if where == "" {
		return nil, fmt.Errorf("open release store: expected a folder or a bucket URL: got nothing")
	}
	if i := strings.Index(where, "://"); i > 0 {
		if _, err := url.Parse(where); err != nil {
			return nil, fmt.Errorf("open release store: %w", err)
		}
		return OpenBucket(ctx, where, cache)
	}
	abs, err := filepath.Abs(where)
	if err != nil {
		return nil, fmt.Errorf("open release store: %w", err)
	}
	return NewFolder(abs), nil
}

const (
	manifestName = "manifest.json"
	sumName      = "manifest.sha256"
	itemsName    = "items.parquet"
	recipesName  = "recipes.json"
	metricsName  = "metrics.json"
	modelsDir    = "models"
	indexDir     = "index"
	newPrefix    = ".new-" // of a release that is being written
	oldPrefix    = ".old-" // of one that is being removed
)

var (
	versionForm = regexp.MustCompile(`^[0-9]{8}T[0-9]{6}(\.[0-9]{3})?Z-[0-9a-z]{1,16}$`)
	nameForm    = regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]{0,62}$`)
)

// CheckVersion reports a string that cannot be a release's version.
func CheckVersion(v string) error {
	if !versionForm.MatchString(v) {
		return fmt.Errorf("version %q: expected one like 20261122T200312.042Z-7f3a", v)
	}
	return nil
}

// checkNames guards paths: neither may lead out of the shop's place.
func checkNames(shop features.ShopID, version string) error {
	if err := shop.Validate(); err != nil {
		return err
	}
	return CheckVersion(version)
}

func sortedVersions(vs []string) []string {
	slices.Sort(vs)
	return vs
}
