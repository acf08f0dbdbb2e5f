package release

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/release/safetensors"
)

// Publish writes d as a new release and returns its manifest. The release can
// be opened when Publish has returned, and never before it is whole and
// durable; it is served only after Promote. Whatever goes wrong leaves nothing
// that Versions or Open would see. A draft that cannot be published is
// ErrDraft.
func Publish(ctx context.Context, st Store, d Draft) (Manifest, error) {
	if err := d.check(); err != nil {
		return Manifest{}, fmt.Errorf("publish: %w", err)
	}
	now := d.Now
	if now.IsZero() {
		now = time.Now()
	}
	now = now.UTC().Truncate(time.Millisecond)
	m := Manifest{
		Format: FormatCurrent, Shop: d.Shop, Version: newVersion(now), Created: now,
		Items: len(d.Items), Models: []ModelEntry{}, Lineage: d.Lineage,
	}
	dir, err := st.stage(ctx, d.Shop, m.Version)
	if err != nil {
		return Manifest{}, fmt.Errorf("publish: make room: %w", err)
	}
	s := &staging{d: st.disk(), dir: dir, dirs: map[string]bool{}}
	err = s.write(ctx, &d, &m)
	if err == nil {
		err = st.commit(ctx, d.Shop, m.Version, dir, s.paths)
	}
	if err != nil {
		if rerr := st.disk().RemoveAll(dir); rerr != nil {
			return Manifest{}, fmt.Errorf("publish: %w (and %s is left over: %w)", err, dir, rerr)
		}
		return Manifest{}, fmt.Errorf("publish: %w", err)
	}
	return m, nil
}

// staging writes a release's files into a directory nobody looks at yet.
type staging struct {
	d     disk
	dir   string
	dirs  map[string]bool
	paths []string // in the order written
	files []File
}

func (s *staging) write(ctx context.Context, d *Draft, m *Manifest) error {
	if err := s.file(itemsName, func(w io.Writer) error { return WriteItems(w, d.Items) }); err != nil {
		return err
	}
	for _, p := range d.Models {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.model(p); err != nil {
			return fmt.Errorf("model %q: %w", p.Name, err)
		}
		m.Models = append(m.Models, ModelEntry{Name: p.Name, Kind: p.Model.Kind()})
	}
	for _, name := range sortedKeys(d.Index) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.file(path.Join(indexDir, name), d.Index[name]); err != nil {
			return err
		}
	}
	recipes, metrics := d.Recipes, d.Metrics
	if recipes == nil {
		recipes = []models.Recipe{}
	}
	if metrics == nil {
		metrics = Metrics{}
	}
	if err := s.json(recipesName, recipes); err != nil {
		return err
	}
	if err := s.json(metricsName, metrics); err != nil {
		return err
	}
	slices.SortFunc(s.files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	m.Files = slices.Clone(s.files)
	return s.manifest(m)
}

// manifest writes the sum first, so that a manifest is never without it, and
// syncs the directories.
func (s *staging) manifest(m *Manifest) error {
	b, err := encode(m)
	if err != nil {
		return err
	}
	return s.manifestBytes(b)
}

func (s *staging) manifestBytes(b []byte) error {
	if err := s.file(sumName, func(w io.Writer) error { return write(w, manifestSum(b)) }); err != nil {
		return err
	}
	if err := s.file(manifestName, func(w io.Writer) error { return write(w, b) }); err != nil {
		return err
	}
	for sub := range s.dirs {
		if err := s.d.SyncDir(filepath.Join(s.dir, sub)); err != nil {
			return err
		}
	}
	return nil
}

func (s *staging) model(p models.Part) error {
	w := &modelWriter{names: map[string]bool{}, jsons: map[string]json.RawMessage{}}
	if err := p.Model.Save(w); err != nil {
		return err
	}
	tensors, params := modelFiles(p.Name)
	err := s.file(tensors, func(out io.Writer) error {
		return safetensors.Write(out, w.tensors, map[string]string{"kind": p.Model.Kind(), "name": p.Name})
	})
	if err != nil {
		return err
	}
	return s.json(params, w.jsons)
}

func (s *staging) json(name string, v any) error {
	b, err := encode(v)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return s.file(name, func(w io.Writer) error { return write(w, b) })
}

// file writes and syncs one file, counting and summing what goes through.
func (s *staging) file(name string, f func(io.Writer) error) error {
	sub := path.Dir(name)
	if !s.dirs[sub] {
		if err := s.d.MkdirAll(filepath.Join(s.dir, sub)); err != nil {
			return fmt.Errorf("%s: %w", sub, err)
		}
		s.dirs[sub], s.dirs["."] = true, true
	}
	sum := &sumWriter{hash: sha256.New()}
	err := writeFile(s.d, filepath.Join(s.dir, filepath.FromSlash(name)), func(w io.Writer) error {
		sum.to = w
		buffered := bufio.NewWriterSize(sum, 1<<18)
		if err := f(buffered); err != nil {
			return err
		}
		return buffered.Flush()
	})
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	s.paths = append(s.paths, name)
	s.files = append(s.files, File{Path: name, Bytes: sum.n, SHA256: hex.EncodeToString(sum.hash.Sum(nil))})
	return nil
}

type sumWriter struct {
	to   io.Writer
	hash interface {
		io.Writer
		Sum([]byte) []byte
	}
	n int64
}

func (w *sumWriter) Write(p []byte) (int, error) {
	n, err := w.to.Write(p)
	_, _ = w.hash.Write(p[:n]) // a hash takes everything
	w.n += int64(n)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return n, err
}

// manifestSum is the manifest's checksum as sha256sum writes and checks it.
func manifestSum(manifest []byte) []byte {
	sum := sha256.Sum256(manifest)
	return []byte(hex.EncodeToString(sum[:]) + "  " + manifestName + "\n")
}

func encode(v any) ([]byte, error) {
	b, err := json.MarshalIndent(v, "", "  ")
	return append(b, '\n'), err
}

func write(w io.Writer, b []byte) error {
	_, err := w.Write(b)
	return err
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
