package release

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"gocloud.dev/blob"
	_ "gocloud.dev/blob/fileblob" // file://
	_ "gocloud.dev/blob/memblob"  // mem://
	"gocloud.dev/gcerrors"

	"github.com/attune-rec/attune/features"
)

// copiesKept is how many local copies of a shop's releases a bucket keeps
// beside those in use: the one to roll back to is opened without a download.
const copiesKept = 2

// Bucket is a Store in an object store. A release's manifest is uploaded last
// and only if it does not exist: before it, nothing is seen. Releases are
// opened from a verified local copy.
type Bucket struct {
	o     objects
	cache string
	d     disk

	mu   sync.Mutex
	used map[string]int // by copy's directory
}

// objects is what a Bucket asks of an object store.
type objects interface {
	put(ctx context.Context, key string, r io.Reader, ifNew bool) error // ErrExists
	get(ctx context.Context, key string) (io.ReadCloser, error)         // ErrNotFound
	list(ctx context.Context, prefix string, f func(key string)) error
	dirs(ctx context.Context, prefix string, f func(name string)) error
	remove(ctx context.Context, key string) error
	close() error
}

// OpenBucket opens the bucket of a URL. Cache is the folder for local copies.
func OpenBucket(ctx context.Context, url, cache string) (*Bucket, error) {
	if cache == "" {
		return nil, fmt.Errorf("open bucket %s: expected a folder for local copies", url)
	}
	b, err := blob.OpenBucket(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", url, err)
	}
	return newBucket(cloud{b}, cache, osDisk{}), nil
}

func newBucket(o objects, cache string, d disk) *Bucket {
	return &Bucket{o: o, cache: cache, d: d, used: map[string]int{}}
}

// Close implements Store.
func (b *Bucket) Close() error { return b.o.close() }

func releaseKey(shop features.ShopID, parts ...string) string {
	return path.Join(append([]string{string(shop), "releases"}, parts...)...)
}

func servingKey(shop features.ShopID, name string) string {
	return path.Join(string(shop), "serving") + "/" + name
}

// Shops implements Store.
func (b *Bucket) Shops(ctx context.Context) ([]features.ShopID, error) {
	var shops []features.ShopID
	err := b.o.dirs(ctx, "", func(name string) {
		if shop := features.ShopID(name); shop.Validate() == nil {
			shops = append(shops, shop)
		}
	})
	slices.Sort(shops)
	return shops, err
}

// Versions implements Store.
func (b *Bucket) Versions(ctx context.Context, shop features.ShopID) ([]string, error) {
	if err := shop.Validate(); err != nil {
		return nil, err
	}
	var vs []string
	prefix := releaseKey(shop) + "/"
	err := b.o.list(ctx, prefix, func(key string) {
		v, file, _ := strings.Cut(strings.TrimPrefix(key, prefix), "/")
		if file == manifestName && CheckVersion(v) == nil {
			vs = append(vs, v)
		}
	})
	return sortedVersions(vs), err
}

func (b *Bucket) disk() disk { return b.d }

func (b *Bucket) stage(_ context.Context, shop features.ShopID, version string) (string, error) {
	dir := filepath.Join(b.cache, string(shop), newPrefix+version)
	return dir, b.d.MkdirAll(dir)
}

func (b *Bucket) commit(ctx context.Context, shop features.ShopID, version, dir string, paths []string) error {
	for i, p := range paths {
		if err := b.upload(ctx, releaseKey(shop, version, p), filepath.Join(dir, filepath.FromSlash(p)), p == manifestName); err != nil {
			// Without a manifest these are not seen; they are only in the way.
			for _, q := range paths[:i] {
				err = errors.Join(err, b.o.remove(context.WithoutCancel(ctx), releaseKey(shop, version, q)))
			}
			return fmt.Errorf("upload %s: %w", p, err)
		}
	}
	return b.d.RemoveAll(dir)
}

func (b *Bucket) upload(ctx context.Context, key, file string, ifNew bool) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	return b.o.put(ctx, key, f, ifNew)
}

func (b *Bucket) local(ctx context.Context, shop features.ShopID, version string, fresh bool) (string, func(), error) {
	dir := filepath.Join(b.cache, string(shop), version)
	b.mu.Lock()
	defer b.mu.Unlock()
	if fresh && b.used[dir] == 0 {
		if err := b.d.RemoveAll(dir); err != nil {
			return "", nil, err
		}
	}
	if _, err := os.Stat(dir); err != nil {
		if err := b.download(ctx, shop, version, dir); err != nil {
			return "", nil, err
		}
	}
	b.used[dir]++
	return dir, sync.OnceFunc(func() { b.done(dir) }), nil
}

// download copies the files the manifest lists, verified, into place.
func (b *Bucket) download(ctx context.Context, shop features.ShopID, version, dir string) error {
	manifest, err := b.read(ctx, shop, version, manifestName)
	if err != nil {
		return err
	}
	sum, err := b.read(ctx, shop, version, sumName)
	if errors.Is(err, ErrNotFound) {
		return corrupt(sumName, errors.New("is missing"))
	}
	if err != nil {
		return err
	}
	m, err := parseManifest(manifest, sum, shop, version)
	if err != nil {
		return err
	}
	temp := filepath.Join(b.cache, string(shop), newPrefix+version+"-"+suffix())
	if err := b.fill(ctx, &m, temp, manifest, sum); err != nil {
		return errors.Join(err, b.d.RemoveAll(temp))
	}
	return b.d.Rename(temp, dir)
}

func (b *Bucket) fill(ctx context.Context, m *Manifest, dir string, manifest, sum []byte) error {
	s := &staging{d: b.d, dir: dir, dirs: map[string]bool{}}
	for _, want := range m.Files {
		err := s.file(want.Path, func(w io.Writer) error {
			r, err := b.o.get(ctx, releaseKey(m.Shop, m.Version, want.Path))
			if errors.Is(err, ErrNotFound) {
				return corrupt(want.Path, errors.New("is missing"))
			}
			if err != nil {
				return err
			}
			defer r.Close()
			_, err = io.Copy(w, io.LimitReader(r, want.Bytes+1))
			return err
		})
		if err != nil {
			return err
		}
		if got := s.files[len(s.files)-1]; got != want {
			return corrupt(want.Path, fmt.Errorf("has %d bytes and checksum %s: expected %d and %s", got.Bytes, got.SHA256, want.Bytes, want.SHA256))
		}
	}
	if err := s.file(sumName, func(w io.Writer) error { return write(w, sum) }); err != nil {
		return err
	}
	return s.file(manifestName, func(w io.Writer) error { return write(w, manifest) })
}

// done gives a copy back and removes the oldest ones that nobody uses.
func (b *Bucket) done(dir string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used[dir]--; b.used[dir] > 0 {
		return
	}
	delete(b.used, dir)
	var idle []string
	for name, err := range entries(filepath.Dir(dir)) {
		if p := filepath.Join(filepath.Dir(dir), name); err == nil && CheckVersion(name) == nil && b.used[p] == 0 {
			idle = append(idle, p)
		}
	}
	slices.Sort(idle)
	for _, p := range idle[:max(0, len(idle)-copiesKept)] {
		if b.d.RemoveAll(p) != nil {
			return // the next one to finish tries again
		}
	}
}

func (b *Bucket) read(ctx context.Context, shop features.ShopID, version, name string) ([]byte, error) {
	return b.get(ctx, releaseKey(shop, version, name))
}

func (b *Bucket) get(ctx context.Context, key string) ([]byte, error) {
	r, err := b.o.get(ctx, key)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func (b *Bucket) remove(ctx context.Context, shop features.ShopID, version string) error {
	if err := b.o.remove(ctx, releaseKey(shop, version, manifestName)); err != nil {
		return err
	}
	var keys []string
	if err := b.o.list(ctx, releaseKey(shop, version)+"/", func(key string) { keys = append(keys, key) }); err != nil {
		return err
	}
	var errs []error
	for _, key := range keys {
		errs = append(errs, b.o.remove(ctx, key))
	}
	return errors.Join(errs...)
}

func (b *Bucket) sweep(_ context.Context, shop features.ShopID) error {
	return sweepDir(b.d, filepath.Join(b.cache, string(shop)))
}

func (b *Bucket) states(ctx context.Context, shop features.ShopID) ([]int64, error) {
	var ns []int64
	prefix := servingKey(shop, "")
	err := b.o.list(ctx, prefix, func(key string) {
		if n, ok := stateNumber(strings.TrimPrefix(key, prefix)); ok {
			ns = append(ns, n)
		}
	})
	slices.Sort(ns)
	return ns, err
}

func (b *Bucket) state(ctx context.Context, shop features.ShopID, n int64) ([]byte, error) {
	return b.get(ctx, servingKey(shop, stateName(n)))
}

func (b *Bucket) putState(ctx context.Context, shop features.ShopID, n int64, state []byte) error {
	err := b.o.put(ctx, servingKey(shop, stateName(n)), strings.NewReader(string(state)), true)
	if errors.Is(err, ErrExists) {
		return fmt.Errorf("%w: state %s is there", ErrStale, strconv.FormatInt(n, 10))
	}
	return err
}

// cloud is a bucket of gocloud.dev.
type cloud struct{ b *blob.Bucket }

func (c cloud) close() error { return c.b.Close() }

func (c cloud) put(ctx context.Context, key string, r io.Reader, ifNew bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // a writer that is not closed is given up
	w, err := c.b.NewWriter(ctx, key, &blob.WriterOptions{IfNotExist: ifNew, ContentType: "application/octet-stream"})
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, r); err != nil {
		cancel()
		return errors.Join(err, w.Close())
	}
	if err := w.Close(); err != nil {
		if gcerrors.Code(err) == gcerrors.FailedPrecondition {
			return fmt.Errorf("%w: %s", ErrExists, key)
		}
		return err
	}
	return nil
}

func (c cloud) get(ctx context.Context, key string) (io.ReadCloser, error) {
	r, err := c.b.NewReader(ctx, key, nil)
	if gcerrors.Code(err) == gcerrors.NotFound {
		return nil, fmt.Errorf("%w: %s", ErrNotFound, key)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (c cloud) list(ctx context.Context, prefix string, f func(string)) error {
	return c.each(ctx, &blob.ListOptions{Prefix: prefix}, func(o *blob.ListObject) { f(o.Key) })
}

func (c cloud) dirs(ctx context.Context, prefix string, f func(string)) error {
	return c.each(ctx, &blob.ListOptions{Prefix: prefix, Delimiter: "/"}, func(o *blob.ListObject) {
		if o.IsDir {
			f(strings.TrimSuffix(strings.TrimPrefix(o.Key, prefix), "/"))
		}
	})
}

func (c cloud) each(ctx context.Context, opts *blob.ListOptions, f func(*blob.ListObject)) error {
	for it := c.b.List(opts); ; {
		o, err := it.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		f(o)
	}
}

func (c cloud) remove(ctx context.Context, key string) error {
	err := c.b.Delete(ctx, key)
	if gcerrors.Code(err) == gcerrors.NotFound {
		return nil
	}
	return err
}
