package release

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/attune-rec/attune/features"
)

// Export verifies a release and gives each of its files to put, the manifest
// last. The bytes are valid until put returns.
func Export(ctx context.Context, st Store, shop features.ShopID, version string, put func(path string, b []byte) error) (Manifest, error) {
	r, err := Open(ctx, st, shop, version, nil)
	if err != nil {
		return Manifest{}, err
	}
	defer r.Close()
	paths := make([]string, 0, len(r.Manifest.Files)+2)
	for _, f := range r.Manifest.Files {
		paths = append(paths, f.Path)
	}
	for _, p := range append(paths, sumName, manifestName) {
		if err := errors.Join(ctx.Err(), put(p, r.files[p])); err != nil {
			return Manifest{}, fmt.Errorf("export release %s: %s: %w", version, p, err)
		}
	}
	return r.Manifest, nil
}

// Add takes a release's directory, as Export wrote it, into the store under its
// own shop and version, verified. ErrExists when the store has it.
func Add(ctx context.Context, st Store, dir string) (Manifest, error) {
	wrap := func(err error) (Manifest, error) {
		return Manifest{}, fmt.Errorf("add release of %s: %w", dir, err)
	}
	b, err := os.ReadFile(filepath.Join(dir, manifestName))
	if err != nil {
		return wrap(notFound(err, manifestName))
	}
	var head struct {
		Shop    features.ShopID `json:"shop"`
		Version string          `json:"version"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return wrap(corrupt(manifestName, err))
	}
	from, err := open(ctx, &directory{dir: dir}, head.Shop, head.Version, nil, false)
	if err != nil {
		return wrap(err)
	}
	defer from.Close()
	m := from.Manifest
	if _, err := st.read(ctx, m.Shop, m.Version, manifestName); err == nil {
		return wrap(fmt.Errorf("%w: %s", ErrExists, m.Version))
	}
	staged, err := st.stage(ctx, m.Shop, m.Version)
	if err != nil {
		return wrap(err)
	}
	s := &staging{d: st.disk(), dir: staged, dirs: map[string]bool{}}
	for _, f := range m.Files {
		if err == nil {
			err = s.file(f.Path, func(w io.Writer) error { return write(w, from.files[f.Path]) })
		}
	}
	if err == nil {
		err = s.manifestBytes(from.files[manifestName])
	}
	if err == nil {
		err = st.commit(ctx, m.Shop, m.Version, staged, s.paths)
	}
	if err != nil {
		return wrap(errors.Join(err, st.disk().RemoveAll(staged)))
	}
	return m, nil
}

// directory is a store of one release, whatever its shop: only Open uses it.
type directory struct {
	*Folder
	dir string
}

func (d *directory) local(context.Context, features.ShopID, string, bool) (string, func(), error) {
	return d.dir, func() {}, nil
}
