package release

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/attune-rec/attune/features"
)

// Folder is a Store in a folder of a file system. A release is written beside
// its place, synced and renamed, so that it is there whole or not at all.
type Folder struct {
	root string
	d    disk
}

// NewFolder is the store under root, which is made when first written to.
func NewFolder(root string) *Folder { return &Folder{root: root, d: osDisk{}} }

// Close implements Store; a folder has nothing to close.
func (f *Folder) Close() error { return nil }

func (f *Folder) releases(shop features.ShopID) string {
	return filepath.Join(f.root, string(shop), "releases")
}

func (f *Folder) serving(shop features.ShopID) string {
	return filepath.Join(f.root, string(shop), "serving")
}

// Shops implements Store.
func (f *Folder) Shops(context.Context) ([]features.ShopID, error) {
	var shops []features.ShopID
	for name, err := range entries(f.root) {
		if err != nil {
			return nil, err
		}
		if shop := features.ShopID(name); shop.Validate() == nil {
			shops = append(shops, shop)
		}
	}
	slices.Sort(shops)
	return shops, nil
}

// Versions implements Store.
func (f *Folder) Versions(_ context.Context, shop features.ShopID) ([]string, error) {
	if err := shop.Validate(); err != nil {
		return nil, err
	}
	var vs []string
	for name, err := range entries(f.releases(shop)) {
		if err != nil {
			return nil, err
		}
		if CheckVersion(name) == nil {
			vs = append(vs, name)
		}
	}
	return sortedVersions(vs), nil
}

// entries are the names in dir; none when it is not there.
func entries(dir string) func(yield func(string, error) bool) {
	return func(yield func(string, error) bool) {
		list, err := os.ReadDir(dir)
		if errors.Is(err, fs.ErrNotExist) {
			return
		}
		if err != nil {
			yield("", err)
			return
		}
		for _, e := range list {
			if !yield(e.Name(), nil) {
				return
			}
		}
	}
}

func (f *Folder) disk() disk { return f.d }

func (f *Folder) stage(_ context.Context, shop features.ShopID, version string) (string, error) {
	dir := filepath.Join(f.releases(shop), newPrefix+version)
	if err := makeDurable(f.d, filepath.Dir(dir)); err != nil {
		return "", err
	}
	return dir, f.d.MkdirAll(dir)
}

func (f *Folder) commit(_ context.Context, shop features.ShopID, version, dir string, _ []string) error {
	to := filepath.Join(f.releases(shop), version)
	if _, err := os.Lstat(to); err == nil {
		return fmt.Errorf("%w: %s", ErrExists, version)
	}
	if err := f.d.Rename(dir, to); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%w: %s", ErrExists, version)
		}
		return err
	}
	if err := f.d.SyncDir(f.releases(shop)); err != nil {
		// What may not outlast a power cut is not published: take it back.
		return errors.Join(err, f.d.Rename(to, dir))
	}
	return nil
}

func (f *Folder) local(_ context.Context, shop features.ShopID, version string, _ bool) (string, func(), error) {
	dir := filepath.Join(f.releases(shop), version)
	if _, err := os.Stat(dir); err != nil {
		return "", nil, notFound(err, "release "+version)
	}
	return dir, func() {}, nil
}

func (f *Folder) read(_ context.Context, shop features.ShopID, version, path string) ([]byte, error) {
	b, err := os.ReadFile(filepath.Join(f.releases(shop), version, filepath.FromSlash(path)))
	return b, notFound(err, path)
}

func notFound(err error, what string) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s", ErrNotFound, what)
	}
	return err
}

func (f *Folder) remove(_ context.Context, shop features.ShopID, version string) error {
	old := filepath.Join(f.releases(shop), oldPrefix+version)
	if err := f.d.Rename(filepath.Join(f.releases(shop), version), old); err != nil {
		return notFound(err, "release "+version)
	}
	return f.d.RemoveAll(old)
}

func (f *Folder) sweep(_ context.Context, shop features.ShopID) error {
	return sweepDir(f.d, f.releases(shop))
}

// sweepDir removes what was being written or removed in dir a day ago.
func sweepDir(d disk, dir string) error {
	var errs []error
	for name, err := range entries(dir) {
		if err != nil {
			return err
		}
		if !strings.HasPrefix(name, newPrefix) && !strings.HasPrefix(name, oldPrefix) {
			continue
		}
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && time.Since(info.ModTime()) > 24*time.Hour {
			errs = append(errs, d.RemoveAll(path))
		}
	}
	return errors.Join(errs...)
}

func (f *Folder) states(_ context.Context, shop features.ShopID) ([]int64, error) {
	var ns []int64
	for name, err := range entries(f.serving(shop)) {
		if err != nil {
			return nil, err
		}
		if n, ok := stateNumber(name); ok {
			ns = append(ns, n)
		}
	}
	slices.Sort(ns)
	return ns, nil
}

// stateNumber reads the name of a state: 1.json.
func stateNumber(name string) (int64, bool) {
	digits, ok := strings.CutSuffix(name, ".json")
	n, err := strconv.ParseInt(digits, 10, 64)
	return n, ok && err == nil && n > 0 && strconv.FormatInt(n, 10) == digits
}

func stateName(n int64) string { return strconv.FormatInt(n, 10) + ".json" }

func (f *Folder) state(_ context.Context, shop features.ShopID, n int64) ([]byte, error) {
	b, err := os.ReadFile(filepath.Join(f.serving(shop), stateName(n)))
	return b, notFound(err, "serving state "+strconv.FormatInt(n, 10))
}

func (f *Folder) putState(_ context.Context, shop features.ShopID, n int64, b []byte) error {
	dir := f.serving(shop)
	if err := makeDurable(f.d, dir); err != nil {
		return err
	}
	temp := filepath.Join(dir, newPrefix+stateName(n)+"-"+suffix())
	err := writeFile(f.d, temp, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
	if err == nil {
		err = f.d.Link(temp, filepath.Join(dir, stateName(n)))
		if errors.Is(err, fs.ErrExist) {
			err = fmt.Errorf("%w: state %d is there", ErrStale, n)
		}
	}
	if err == nil {
		err = f.d.SyncDir(dir)
	}
	if rerr := f.d.Remove(temp); rerr != nil && err == nil {
		err = f.d.SyncDir(dir)
	}
	return err
}
