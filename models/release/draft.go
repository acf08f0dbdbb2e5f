package release

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"path"
	"strings"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/pace"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/release/safetensors"
)

// ErrDraft is returned for a draft that cannot become a release.
var ErrDraft = errors.New("bad draft")

// Draft is what a release is made from.
type Draft struct {
	Shop    features.ShopID
	Items   []features.Item // by row; ids are unique
	Models  []models.Part   // parts before the composites that are made of them
	Recipes []models.Recipe // one a surface
	Metrics Metrics
	Lineage Lineage
	// Index holds data that indexes are opened from, by name; each function
	// writes its file. Release.Index gives the bytes back.
	Index map[string]func(io.Writer) error
	// Now is the release's time; zero: the present.
	Now time.Time
}

// Metrics is what a release was judged by: "ndcg@10", "hybrid/ndcg@10".
type Metrics map[string]Metric

// Metric is a figure with its interval of confidence.
type Metric struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low,omitzero"`
	High  float64 `json:"high,omitzero"`
}

// check reports with ErrDraft what keeps d from being published.
func (d *Draft) check() error {
	if err := d.Shop.Validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrDraft, err)
	}
	if _, err := checkItems(d.Items, nil); err != nil {
		return fmt.Errorf("%w: %w", ErrDraft, err)
	}
	kinds := map[string]string{}
	for _, p := range d.Models {
		if err := d.checkModel(p, kinds); err != nil {
			return fmt.Errorf("%w: model %q: %w", ErrDraft, p.Name, err)
		}
		kinds[p.Name] = p.Model.Kind()
	}
	if err := checkRecipes(d.Recipes, kinds); err != nil {
		return fmt.Errorf("%w: %w", ErrDraft, err)
	}
	for name, m := range d.Metrics {
		for _, v := range []float64{m.Value, m.Low, m.High} {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return fmt.Errorf("%w: metric %q is %v: leave out what could not be measured", ErrDraft, name, v)
			}
		}
	}
	for name := range d.Index {
		if !nameForm.MatchString(name) {
			return fmt.Errorf("%w: index file %q: expected a-z, 0-9, '_', '.' and '-'", ErrDraft, name)
		}
	}
	return nil
}

func (d *Draft) checkModel(p models.Part, before map[string]string) error {
	if !nameForm.MatchString(p.Name) {
		return fmt.Errorf("name: expected 1 to 63 of a-z, 0-9, '_', '.' and '-', beginning with a letter or digit")
	}
	if p.Model == nil {
		return fmt.Errorf("no model given")
	}
	if _, ok := before[p.Name]; ok {
		return fmt.Errorf("name is there twice")
	}
	if n := p.Model.Items(); n > len(d.Items) {
		return fmt.Errorf("scores %d items: the release has %d", n, len(d.Items))
	}
	c, ok := p.Model.(models.Composite)
	if !ok {
		return nil
	}
	for _, part := range c.Parts() {
		kind, ok := before[part.Name]
		if !ok {
			return fmt.Errorf("is made of %q, which does not come before it: add it, or put it first", part.Name)
		}
		if kind != part.Model.Kind() {
			return fmt.Errorf("is made of %q of kind %s: the one before it is of kind %s", part.Name, part.Model.Kind(), kind)
		}
	}
	return nil
}

// checkItems is the rows of items by id; it reports those that are unnamed or
// there twice.
func checkItems(items []features.Item, job *pace.Job) (rows map[string]features.Row, err error) {
	if len(items) == 0 {
		return nil, fmt.Errorf("no items")
	}
	rows = make(map[string]features.Row, len(items))
	for i := range items {
		id := items[i].ID
		if id == "" {
			return nil, fmt.Errorf("item of row %d has no id", i)
		}
		if before, ok := rows[id]; ok {
			return nil, fmt.Errorf("item %q has rows %d and %d", id, before, i)
		}
		rows[id] = features.Row(i)
		job.Step()
	}
	return rows, nil
}

// checkRecipes reports with models.ErrRecipe a recipe that asks for what the
// release does not have. Kinds holds the release's models.
func checkRecipes(recipes []models.Recipe, kinds map[string]string) error {
	bad := func(surface, format string, args ...any) error {
		return fmt.Errorf("%w for surface %q: %s", models.ErrRecipe, surface, fmt.Sprintf(format, args...))
	}
	surfaces := map[string]bool{}
	for i := range recipes {
		r := &recipes[i]
		if !nameForm.MatchString(r.Surface) || surfaces[r.Surface] {
			return bad(r.Surface, "expected one recipe a surface, named by a-z, 0-9, '_', '.' and '-'")
		}
		surfaces[r.Surface] = true
		names := map[string]bool{}
		for _, list := range [][]models.SourceSpec{r.Sources, r.Fallback} {
			for _, s := range list {
				switch _, known := kinds[s.Model]; {
				case s.Name == "" || s.Source == "":
					return bad(r.Surface, "a source without a name or component")
				case names[s.Name]:
					return bad(r.Surface, "source %q is there twice", s.Name)
				case s.Limit <= 0:
					return bad(r.Surface, "source %q has limit %d: expected at least 1", s.Name, s.Limit)
				case s.Model != "" && !known:
					return bad(r.Surface, "source %q asks model %q, which is not in the release", s.Name, s.Model)
				}
				names[s.Name] = true
			}
		}
		if _, known := kinds[r.Ranker.Model]; r.Ranker.Model != "" && !known {
			return bad(r.Surface, "the ranker asks model %q, which is not in the release", r.Ranker.Model)
		}
	}
	return nil
}

// modelWriter takes one model's parts; it implements models.Writer.
type modelWriter struct {
	tensors []safetensors.Named
	names   map[string]bool
	jsons   map[string]json.RawMessage
}

// Tensor holds t until Save has returned, without a copy.
func (w *modelWriter) Tensor(name string, t models.Tensor) error {
	if !nameForm.MatchString(name) || w.names[name] {
		return fmt.Errorf("tensor %q: expected a new name of a-z, 0-9, '_', '.' and '-'", name)
	}
	if err := safetensors.Check(t); err != nil {
		return fmt.Errorf("tensor %q: %w", name, err)
	}
	if err := checkFinite(t, nil); err != nil {
		return fmt.Errorf("tensor %q: %w", name, err)
	}
	w.names[name] = true
	w.tensors = append(w.tensors, safetensors.Named{Name: name, Tensor: t})
	return nil
}

// JSON implements models.Writer.
func (w *modelWriter) JSON(name string, v any) error {
	if _, ok := w.jsons[name]; ok || !nameForm.MatchString(name) {
		return fmt.Errorf("%q: expected a new name of a-z, 0-9, '_', '.' and '-'", name)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("%q: %w", name, err)
	}
	w.jsons[name] = b
	return nil
}

// checkFinite reports the first NaN or infinity of a float tensor.
func checkFinite(t models.Tensor, job *pace.Job) error {
	const stretch = 1 << 18 // bytes, of whole numbers
	for at := 0; at < len(t.Data); at += stretch {
		if i, size := notFinite(t.DType, t.Data[at:min(at+stretch, len(t.Data))]); i >= 0 {
			return fmt.Errorf("number %d is NaN or infinite: expected finite numbers", (at+i)/size)
		}
		job.Look()
	}
	return nil
}

// notFinite is where the first number begins that is not finite, -1 where all
// are, and how many bytes a number has.
func notFinite(d models.DType, b []byte) (at, size int) {
	switch d {
	case models.F32:
		for i := 0; i+4 <= len(b); i += 4 {
			if b[i+3]&0x7f == 0x7f && b[i+2]&0x80 != 0 {
				return i, 4
			}
		}
	case models.F64:
		for i := 0; i+8 <= len(b); i += 8 {
			if b[i+7]&0x7f == 0x7f && b[i+6]&0xf0 == 0xf0 {
				return i, 8
			}
		}
	}
	return -1, 1
}

// newVersion is a name that sorts by time and that no other publisher takes.
func newVersion(now time.Time) string {
	return now.UTC().Format("20060102T150405.000Z") + "-" + suffix()
}

func suffix() string {
	var b [4]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

func modelFiles(name string) (tensors, params string) {
	return path.Join(modelsDir, name+".safetensors"), path.Join(modelsDir, name+".json")
}

// expectedFiles is every file a manifest's release must have.
func (m *Manifest) expectedFiles() map[string]bool {
	want := map[string]bool{itemsName: true, recipesName: true, metricsName: true}
	for _, e := range m.Models {
		t, p := modelFiles(e.Name)
		want[t], want[p] = true, true
	}
	for _, f := range m.Files {
		if name, ok := strings.CutPrefix(f.Path, indexDir+"/"); ok && nameForm.MatchString(name) {
			want[f.Path] = true
		}
	}
	return want
}
