package release

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/pace"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/release/safetensors"
)

// Kinds finds a kind of model by its name.
type Kinds func(name string) (models.Kind, bool)

// Open verifies the release and opens it: every file's length and checksum,
// formats, that no float tensor holds NaN or infinity, that recipes ask only
// for models there are. Tensors are memory-mapped where the system can. The
// caller must Close it. With nil kinds the models' files are verified and the
// models not opened. A pacer in ctx paces it. Errors wrap ErrNotFound, ErrCorrupt or ErrFormat and
// say which file, what was expected and what to do.
func Open(ctx context.Context, st Store, shop features.ShopID, version string, kinds Kinds) (*Release, error) {
	r, err := open(ctx, st, shop, version, kinds, false)
	if errors.Is(err, ErrCorrupt) {
		if _, ok := st.(*Bucket); ok { // the local copy may be what is bad
			r, err = open(ctx, st, shop, version, kinds, true)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open release %s of shop %s: %w", version, shop, err)
	}
	return r, nil
}

func open(ctx context.Context, st Store, shop features.ShopID, version string, kinds Kinds, fresh bool) (*Release, error) {
	if err := checkNames(shop, version); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	dir, done, err := st.local(ctx, shop, version, fresh)
	if err != nil {
		return nil, err
	}
	r := &Release{dir: dir, files: map[string][]byte{}, models: map[string]models.Model{}}
	r.free = append(r.free, func() error { done(); return nil })
	r.refs.Store(1)
	if err := r.load(ctx, shop, version, kinds); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func (r *Release) load(ctx context.Context, shop features.ShopID, version string, kinds Kinds) error {
	if err := r.manifest(shop, version); err != nil {
		return err
	}
	job := pace.Of(ctx)
	for _, f := range r.Manifest.Files {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := r.verify(f, job); err != nil {
			return err
		}
	}
	items, err := readItems(r.files[itemsName], job)
	if err == nil {
		r.rows, err = checkItems(items, job)
	}
	if err == nil && len(items) != r.Manifest.Items {
		err = fmt.Errorf("%d items: the manifest says %d", len(items), r.Manifest.Items)
	}
	if err != nil {
		return corrupt(itemsName, err)
	}
	r.Items = items
	byName := map[string]string{}
	for _, e := range r.Manifest.Models {
		if err := ctx.Err(); err != nil {
			return err
		}
		if kinds != nil {
			if err := r.openModel(e, kinds, job); err != nil {
				return fmt.Errorf("model %q: %w", e.Name, err)
			}
			job.Look()
		}
		byName[e.Name] = e.Kind
	}
	if err := strict(r.files[recipesName], &r.Recipes); err != nil {
		return corrupt(recipesName, err)
	}
	if err := checkRecipes(r.Recipes, byName); err != nil {
		return corrupt(recipesName, err)
	}
	if err := strict(r.files[metricsName], &r.Metrics); err != nil {
		return corrupt(metricsName, err)
	}
	return nil
}

// manifest reads and checks the manifest of an opened directory.
func (r *Release) manifest(shop features.ShopID, version string) error {
	m, err := r.mapped(manifestName)
	if err != nil {
		return err
	}
	sum, err := r.mapped(sumName)
	if err != nil {
		return err
	}
	r.Manifest, err = parseManifest(m, sum, shop, version)
	return err
}

// parseManifest checks a manifest against its sum and against the place it was
// found in.
func parseManifest(b, sum []byte, shop features.ShopID, version string) (Manifest, error) {
	if want := manifestSum(b); !bytes.Equal(sum, want) {
		return Manifest{}, corrupt(manifestName, fmt.Errorf("checksum is not the one in %s: expected %.64s", sumName, want))
	}
	var head struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return Manifest{}, corrupt(manifestName, err)
	}
	if head.Format < FormatOldest || head.Format > FormatCurrent {
		return Manifest{}, fmt.Errorf("%w: format %d: this program reads %d to %d; use the version of Attune that published it, or publish again", ErrFormat, head.Format, FormatOldest, FormatCurrent)
	}
	var m Manifest
	if err := strict(b, &m); err != nil {
		return Manifest{}, corrupt(manifestName, err)
	}
	if m.Shop != shop || m.Version != version {
		return Manifest{}, corrupt(manifestName, fmt.Errorf("is that of release %s of shop %s: the files were moved", m.Version, m.Shop))
	}
	seen, want := map[string]bool{}, m.expectedFiles()
	for _, f := range m.Files {
		if seen[f.Path] || !want[f.Path] || path.Clean(f.Path) != f.Path || f.Bytes < 0 || len(f.SHA256) != 2*sha256.Size {
			return Manifest{}, corrupt(manifestName, fmt.Errorf("lists %q, which does not belong to a release", f.Path))
		}
		seen[f.Path] = true
	}
	for p := range want {
		if !seen[p] {
			return Manifest{}, corrupt(manifestName, fmt.Errorf("does not list %s", p))
		}
	}
	names := map[string]bool{}
	for _, e := range m.Models {
		if !nameForm.MatchString(e.Name) || names[e.Name] {
			return Manifest{}, corrupt(manifestName, fmt.Errorf("model name %q is bad or there twice", e.Name))
		}
		names[e.Name] = true
	}
	return m, nil
}

// verify maps a file and compares its length and checksum. It leaves nothing of
// it in memory.
func (r *Release) verify(f File, job *pace.Job) error {
	b, err := r.mapped(f.Path)
	if err != nil {
		return err
	}
	if int64(len(b)) != f.Bytes {
		return corrupt(f.Path, fmt.Errorf("has %d bytes: expected %d", len(b), f.Bytes))
	}
	sum := sha256.New()
	for part := range slices.Chunk(b, 1<<18) {
		_, _ = sum.Write(part) // it never fails
		job.Look()
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != f.SHA256 {
		return corrupt(f.Path, fmt.Errorf("has checksum %s: expected %s", got, f.SHA256))
	}
	forget(b) // most of it may never be needed
	return nil
}

// mapped maps a file of the release until it is closed.
func (r *Release) mapped(name string) ([]byte, error) {
	b, free, err := mapFile(filepath.Join(r.dir, filepath.FromSlash(name)))
	if err != nil {
		if err = notFound(err, name); errors.Is(err, ErrNotFound) {
			return nil, corrupt(name, errors.New("is missing"))
		}
		return nil, err
	}
	r.files[name] = b
	r.free = append(r.free, free)
	return b, nil
}

func (r *Release) openModel(e ModelEntry, kinds Kinds, job *pace.Job) error {
	kind, ok := kinds(e.Kind)
	if !ok {
		return fmt.Errorf("%w: %w %q: use the version of Attune that published it", ErrFormat, models.ErrKind, e.Kind)
	}
	tensors, params := modelFiles(e.Name)
	file, err := safetensors.Parse(r.files[tensors])
	if err != nil {
		return corrupt(tensors, err)
	}
	for _, name := range file.Names() {
		if err := checkFinite(file.Tensors[name], job); err != nil {
			return corrupt(tensors, fmt.Errorf("tensor %q: %w", name, err))
		}
	}
	in := &modelReader{r: r, tensors: file.Tensors, job: job}
	if err := paced(job, r.files[params], &in.jsons); err != nil {
		return corrupt(params, err)
	}
	m, err := kind.Open(in)
	if err != nil {
		return corrupt(tensors, err)
	}
	if m.Kind() != e.Kind || m.Items() > r.Manifest.Items {
		return corrupt(tensors, fmt.Errorf("is of kind %q with %d items: expected %q with at most %d", m.Kind(), m.Items(), e.Kind, r.Manifest.Items))
	}
	r.models[e.Name] = m
	return nil
}

// modelReader gives a model its parts back; it implements models.Reader.
type modelReader struct {
	r       *Release
	tensors map[string]models.Tensor
	jsons   map[string]json.RawMessage
	job     *pace.Job
}

func (in *modelReader) Tensor(name string) (models.Tensor, error) {
	t, ok := in.tensors[name]
	if !ok {
		return models.Tensor{}, fmt.Errorf("tensor %q is missing", name)
	}
	t.Shape = slices.Clone(t.Shape)
	in.job.Look()
	return t, nil
}

func (in *modelReader) JSON(name string, v any) error {
	b, ok := in.jsons[name]
	if !ok {
		return fmt.Errorf("%q is missing", name)
	}
	return json.NewDecoder(&gentle{b, in.job}).Decode(v) // one value, and nothing behind it, as it was decoded
}

func (in *modelReader) Model(name string) (models.Model, error) {
	m, ok := in.r.models[name]
	if !ok {
		return nil, fmt.Errorf("model %q does not come before the one made of it", name)
	}
	return m, nil
}

// gentle reads bytes at the pace of a job.
type gentle struct {
	rest []byte
	job  *pace.Job
}

// Read implements io.Reader.
func (g *gentle) Read(p []byte) (int, error) {
	if len(g.rest) == 0 {
		return 0, io.EOF
	}
	g.job.Look()
	n := copy(p[:min(len(p), 1<<15)], g.rest)
	g.rest = g.rest[n:]
	return n, nil
}

// strict decodes one JSON value and nothing more, without unknown fields.
func strict(b []byte, v any) error { return paced(nil, b, v) }

// paced is strict at the pace of a job.
func paced(job *pace.Job, b []byte, v any) error {
	dec := json.NewDecoder(&gentle{b, job})
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if rest := strings.TrimSpace(string(b[dec.InputOffset():])); rest != "" {
		return fmt.Errorf("something follows the value")
	}
	return nil
}

func corrupt(file string, err error) error {
	return fmt.Errorf("%w: %s: %w; restore it from a copy or publish again", ErrCorrupt, file, err)
}
