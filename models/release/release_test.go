package release

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
)

func TestOpenReturnsWhatWasPublished(t *testing.T) {
	for name, st := range stores(t) {
		t.Run(name, func(t *testing.T) {
			d := toyDraft(5, 10)
			m := published(t, st, d)
			r := opened(t, st, m)
			if !reflect.DeepEqual(r.Manifest, m) {
				t.Errorf("got manifest %+v, want %+v", r.Manifest, m)
			}
			if !reflect.DeepEqual(r.Items, d.Items) {
				t.Errorf("got items %+v, want %+v", r.Items, d.Items)
			}
			if !reflect.DeepEqual(r.Metrics, d.Metrics) || !reflect.DeepEqual(r.Manifest.Lineage, d.Lineage) {
				t.Errorf("got %v and %v, want %v and %v", r.Metrics, r.Manifest.Lineage, d.Metrics, d.Lineage)
			}
			if row, ok := r.Row("mug-3"); !ok || row != 3 {
				t.Errorf("got row %d, %v, want 3", row, ok)
			}
			if rec, ok := r.Recipe("home"); !ok || !reflect.DeepEqual(rec.Sources, d.Recipes[0].Sources) {
				t.Errorf("got recipe %+v, want %+v", rec, d.Recipes[0])
			}
			for _, p := range d.Models {
				got, ok := r.Model(p.Name)
				if !ok {
					t.Fatalf("model %q is missing", p.Name)
				}
				rows := []features.Row{4, 0, 2}
				a, b := make([]float32, 3), make([]float32, 3)
				p.Model.Score(nil, rows, a)
				got.Score(nil, rows, b)
				if !reflect.DeepEqual(a, b) {
					t.Errorf("model %q: got scores %v, want %v", p.Name, b, a)
				}
			}
			shops, err := st.Shops(context.Background())
			if err != nil || !reflect.DeepEqual(shops, []features.ShopID{"mugs"}) {
				t.Errorf("got shops %v, %v, want mugs", shops, err)
			}
		})
	}
}

func TestVersionsSortByTime(t *testing.T) {
	for name, st := range stores(t) {
		t.Run(name, func(t *testing.T) {
			var want []string
			for i := range 3 {
				d := toyDraft(2, 0)
				d.Now = d.Now.Add(time.Duration(i) * time.Millisecond)
				want = append(want, published(t, st, d).Version)
			}
			got, err := st.Versions(context.Background(), "mugs")
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Fatalf("got %v, %v, want %v", got, err, want)
			}
			if got, err := st.Versions(context.Background(), "plates"); err != nil || len(got) != 0 {
				t.Fatalf("got %v, %v of another shop, want none", got, err)
			}
		})
	}
}

func TestPublishRefusesDrafts(t *testing.T) {
	for name, c := range map[string]struct {
		edit func(d *Draft)
		says string
	}{
		"shop":          {func(d *Draft) { d.Shop = "../mugs" }, "shop id must be"},
		"no items":      {func(d *Draft) { d.Items = nil }, "no items"},
		"no id":         {func(d *Draft) { d.Items[1].ID = "" }, "row 1 has no id"},
		"id twice":      {func(d *Draft) { d.Items[1].ID = "mug-0" }, `"mug-0" has rows 0 and 1`},
		"name":          {func(d *Draft) { d.Models[0].Name = "../up" }, "expected 1 to 63"},
		"name twice":    {func(d *Draft) { d.Models[1].Name = "up" }, "twice"},
		"part missing":  {func(d *Draft) { d.Models = d.Models[1:] }, `made of "up"`},
		"part after":    {func(d *Draft) { d.Models[0], d.Models[2] = d.Models[2], d.Models[0] }, "put it first"},
		"too many rows": {func(d *Draft) { d.Items = d.Items[:2] }, "scores 3 items: the release has 2"},
		"recipe model":  {func(d *Draft) { d.Recipes[0].Sources[0].Model = "left" }, `asks model "left"`},
		"recipe ranker": {func(d *Draft) { d.Recipes[0].Ranker.Model = "left" }, `asks model "left"`},
		"recipe limit":  {func(d *Draft) { d.Recipes[0].Sources[0].Limit = 0 }, "at least 1"},
		"recipe twice":  {func(d *Draft) { d.Recipes = append(d.Recipes, d.Recipes[0]) }, "one recipe a surface"},
		"metric":        {func(d *Draft) { d.Metrics["hr@10"] = Metric{Value: math.NaN()} }, "hr@10"},
		"NaN factor":    {func(d *Draft) { d.Models[0].Model.(*toy).scores[1] = float32(math.NaN()) }, "number 1 is NaN"},
		"infinity":      {func(d *Draft) { d.Models[0].Model.(*toy).scores[2] = float32(math.Inf(-1)) }, "number 2 is NaN or inf"},
	} {
		st := NewFolder(t.TempDir())
		d := toyDraft(3, 0)
		c.edit(&d)
		_, err := Publish(context.Background(), st, d)
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got error %v, want one that says %q", name, err, c.says)
		}
		if vs, err := st.Versions(context.Background(), "mugs"); err != nil || len(vs) != 0 {
			t.Errorf("%s: got versions %v, %v, want none", name, vs, err)
		}
	}
}

func TestOpenRefusesUnknown(t *testing.T) {
	ctx := context.Background()
	for name, st := range stores(t) {
		for _, v := range []string{"", "..", "../../x", "20261122T200312.042Z-7f3a"} {
			if _, err := Open(ctx, st, "mugs", v, toyKinds); !errors.Is(err, ErrNotFound) {
				t.Errorf("%s: version %q: got error %v, want ErrNotFound", name, v, err)
			}
		}
		m := published(t, st, toyDraft(2, 0))
		none := func(string) (models.Kind, bool) { return models.Kind{}, false }
		if _, err := Open(ctx, st, m.Shop, m.Version, none); !errors.Is(err, ErrFormat) || !errors.Is(err, models.ErrKind) {
			t.Errorf("%s: got error %v, want ErrFormat and ErrKind", name, err)
		}
	}
}

func TestIndexData(t *testing.T) {
	st := NewFolder(t.TempDir())
	d := toyDraft(2, 0)
	d.Index = map[string]func(w io.Writer) error{"up.hnsw": func(w io.Writer) error { _, err := fmt.Fprint(w, "graph"); return err }}
	r := opened(t, st, published(t, st, d))
	if b, err := r.Index("up.hnsw"); err != nil || string(b) != "graph" {
		t.Errorf("got %q, %v, want graph", b, err)
	}
	if f, err := r.IndexFile("up.hnsw"); err != nil {
		t.Errorf("index file: %v", err)
	} else if b, err := io.ReadAll(f); err != nil || string(b) != "graph" {
		t.Errorf("index file: got %q, %v, want graph", b, err)
	} else if err := f.Close(); err != nil {
		t.Error(err)
	}
	if _, err := r.IndexFile("down.hnsw"); !errors.Is(err, ErrNotFound) {
		t.Errorf("index file: got %v, want ErrNotFound", err)
	}
	if _, err := r.Index("down.hnsw"); !errors.Is(err, ErrNotFound) {
		t.Errorf("got error %v, want ErrNotFound", err)
	}
}

func TestReferences(t *testing.T) {
	st := NewFolder(t.TempDir())
	m := published(t, st, toyDraft(2, 0))
	r, err := Open(context.Background(), st, m.Shop, m.Version, toyKinds)
	if err != nil {
		t.Fatal(err)
	}
	freed := false
	r.free = append(r.free, func() error { freed = true; return nil })
	if !r.Acquire() {
		t.Fatal("got no reference to an open release")
	}
	for range 2 {
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if freed {
		t.Fatal("was freed while a request held it")
	}
	if !r.Acquire() {
		t.Fatal("got no reference while another was held")
	}
	for range 2 {
		if err := r.Release(); err != nil {
			t.Fatal(err)
		}
	}
	if !freed || r.Acquire() {
		t.Fatalf("got freed %v after the last reference, or a reference after it", freed)
	}
	if r.Release() == nil {
		t.Fatal("got no error for a reference given back that nobody took")
	}
}

func TestReadAlignedIsAsMapped(t *testing.T) {
	path := t.TempDir() + "/f"
	for _, n := range []int{0, 1, 63, 4096} {
		if err := os.WriteFile(path, []byte(strings.Repeat("x", n)), 0o644); err != nil {
			t.Fatal(err)
		}
		a, freeA, err := mapFile(path)
		if err != nil {
			t.Fatal(err)
		}
		b, freeB, err := readAligned(path)
		if err != nil {
			t.Fatal(err)
		}
		if string(a) != string(b) {
			t.Errorf("%d bytes: got %d mapped and %d read, want the same", n, len(a), len(b))
		}
		if err := errors.Join(freeA(), freeB()); err != nil {
			t.Error(err)
		}
	}
}
