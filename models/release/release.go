package release

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
)

// Release is an opened, verified release. Everything in it is read-only, safe
// for concurrent use, and valid until the last reference is given back.
type Release struct {
	Manifest Manifest
	Items    []features.Item // by row
	Recipes  []models.Recipe
	Metrics  Metrics

	dir    string
	rows   map[string]features.Row
	models map[string]models.Model
	files  map[string][]byte
	free   []func() error
	refs   atomic.Int64
	closed sync.Once
}

// Version is the release's version.
func (r *Release) Version() string { return r.Manifest.Version }

// Row is the row of the item the shop calls id.
func (r *Release) Row(id string) (features.Row, bool) {
	row, ok := r.rows[id]
	return row, ok
}

// Model is a model by its name in the release.
func (r *Release) Model(name string) (models.Model, bool) {
	m, ok := r.models[name]
	return m, ok
}

// Models is all models, parts before what is made of them.
func (r *Release) Models() []models.Part {
	parts := make([]models.Part, 0, len(r.Manifest.Models))
	for _, e := range r.Manifest.Models {
		parts = append(parts, models.Part{Name: e.Name, Model: r.models[e.Name]})
	}
	return parts
}

// Recipe is the recipe of a surface.
func (r *Release) Recipe(surface string) (models.Recipe, bool) {
	for i := range r.Recipes {
		if r.Recipes[i].Surface == surface {
			return r.Recipes[i], true
		}
	}
	return models.Recipe{}, false
}

// Index is the data that Draft.Index wrote under name, mapped and read-only.
func (r *Release) Index(name string) ([]byte, error) {
	b, ok := r.files[indexDir+"/"+name]
	if !ok {
		return nil, fmt.Errorf("%w: index data %q", ErrNotFound, name)
	}
	return b, nil
}

// IndexFile opens the file behind Index, for reading some of it without mapping
// it; the caller closes it.
func (r *Release) IndexFile(name string) (*os.File, error) {
	path := indexDir + "/" + name
	if _, ok := r.files[path]; !ok {
		return nil, fmt.Errorf("%w: index data %q", ErrNotFound, name)
	}
	return os.Open(filepath.Join(r.dir, filepath.FromSlash(path)))
}

// Bytes is the length of all files.
func (r *Release) Bytes() int64 { return r.Manifest.Bytes() }

// Bytes is the length of all files but the manifest.
func (m *Manifest) Bytes() int64 {
	var n int64
	for _, f := range m.Files {
		n += f.Bytes
	}
	return n
}

// Acquire takes a reference for the time of a request; false when the release
// has been freed, and then nothing of it may be touched.
func (r *Release) Acquire() bool {
	for {
		n := r.refs.Load()
		if n <= 0 {
			return false
		}
		if r.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Release gives back a reference that Acquire took. The last one unmaps the
// files.
func (r *Release) Release() error {
	n := r.refs.Add(-1)
	if n > 0 {
		return nil
	}
	if n < 0 {
		return errors.New("release: more references given back than taken")
	}
	var errs []error
	for _, f := range r.free {
		errs = append(errs, f())
	}
	return errors.Join(errs...)
}

// Close gives back the opener's reference; requests that hold one go on. It
// may be called more than once.
func (r *Release) Close() error {
	var err error
	r.closed.Do(func() { err = r.Release() })
	return err
}

// String is the version and what is in the release.
func (r *Release) String() string {
	names := make([]string, 0, len(r.Manifest.Models))
	for _, e := range r.Manifest.Models {
		names = append(names, e.Name)
	}
	return fmt.Sprintf("%s: %d items, models %s", r.Manifest.Version, r.Manifest.Items, strings.Join(names, ", "))
}
