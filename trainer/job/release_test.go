package job

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/kind"
	"github.com/attune-rec/attune/models/modeltest"
	"github.com/attune-rec/attune/models/release"
)

// command runs a command with JSON and decodes its result into v.
func command(t *testing.T, c interface{ Run(*Env) error }, v any) error {
	t.Helper()
	var out bytes.Buffer
	env := NewEnv(context.Background(), &out, io.Discard, true, slog.LevelError)
	if err := c.Run(env); err != nil {
		return err
	}
	if v != nil {
		if err := json.Unmarshal(out.Bytes(), v); err != nil {
			t.Fatalf("%v in %s", err, out.Bytes())
		}
	}
	return nil
}

// boardRelease publishes a checkerboard's models in a new store.
func boardRelease(t *testing.T, names ...string) (Releases, release.Manifest, *dataset.Dataset) {
	t.Helper()
	where := Releases{Store: t.TempDir(), Shop: "mugs"}
	board := modeltest.Board(20, nil)
	d := release.Draft{Shop: "mugs", Metrics: release.Metrics{"ndcg@10": {Value: .5}}}
	for row := range board.Items {
		d.Items = append(d.Items, *board.Catalog.Item(features.Row(row)))
	}
	for _, name := range names {
		k, err := kind.Of(name)
		if err != nil {
			t.Fatal(err)
		}
		m, err := k.Fit(context.Background(), models.FitInput{Train: board, Seed: 1, Workers: 1})
		if err != nil {
			t.Fatal(err)
		}
		d.Models = append(d.Models, models.Part{Name: name, Model: m})
	}
	st, err := where.Open(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	env := NewEnv(context.Background(), io.Discard, io.Discard, false, slog.LevelError)
	m, _, err := PublishDraft(env, st, d, false, release.Change{}, Cluster{})
	if err != nil {
		t.Fatal(err)
	}
	return where, m, board
}

func TestReleaseCommands(t *testing.T) {
	where, m, _ := boardRelease(t, "popular", "ials")
	var v verified
	if err := command(t, &Verify{Releases: where}, &v); err != nil || v.Version != m.Version || len(v.Models) != 2 || v.Models[1].Scored == 0 {
		t.Fatalf("got %+v, %v, want both models verified", v, err)
	}
	var s release.Serving
	if err := command(t, &Promote{Releases: where}, &s); err != nil || s.Stable != m.Version {
		t.Fatalf("got %+v, %v, want %s served", s, err, m.Version)
	}
	dir := filepath.Join(t.TempDir(), "out")
	if err := command(t, &Export{Releases: where, To: dir}, nil); err != nil {
		t.Fatal(err)
	}
	if err := command(t, &Export{Releases: where, To: dir}, nil); err == nil {
		t.Error("got no error for a directory that is there")
	}
	if err := command(t, &Export{Releases: where, To: dir + ".tar"}, nil); err != nil {
		t.Fatal(err)
	}
	other := Releases{Store: t.TempDir(), Shop: "mugs"}
	var p published
	if err := command(t, &Publish{Releases: other, From: dir, Promote: true}, &p); err != nil || p.Serving == nil || p.Serving.Stable != m.Version {
		t.Fatalf("got %+v, %v, want it published and served elsewhere", p, err)
	}
	ids := filepath.Join(t.TempDir(), "ids")
	lines := make([]string, 20)
	for i := range lines {
		lines[i] = fmt.Sprintf("item-%d", i)
	}
	if err := os.WriteFile(ids, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	im := &ImportVectors{Releases: where, Vectors: filepath.Join(dir, "models", "ials.safetensors"), Tensor: "items", IDs: ids, Model: "spark", Base: m.Version, Params: "{}"}
	var brought published
	if err := command(t, im, &brought); err != nil || len(brought.Manifest.Models) != 3 {
		t.Fatalf("got %+v, %v, want a third model", brought, err)
	}
	if err := command(t, &Promote{Releases: where, Canary: .5}, &s); err != nil || s.Canary == nil || s.Canary.Version != brought.Manifest.Version {
		t.Fatalf("got %+v, %v, want the newest as a canary", s, err)
	}
	var list struct{ Releases []listed }
	if err := command(t, &List{Releases: where, Prune: 5}, &list); err != nil || len(list.Releases) != 2 || list.Releases[1].Serves != "stable" || list.Releases[1].Metrics["ndcg@10"].Value != .5 {
		t.Fatalf("got %+v, %v, want two releases, the second served", list, err)
	}
	var after release.Serving
	if err := command(t, &Rollback{Releases: where}, &after); err != nil || after.Canary != nil || after.Stable != m.Version {
		t.Fatalf("got %+v, %v, want the canary ended", after, err)
	}
	path := filepath.Join(where.Store, "mugs", "releases", m.Version, "items.parquet")
	if err := os.Truncate(path, 100); err != nil {
		t.Fatal(err)
	}
	if err := command(t, &Verify{Releases: where, Version: m.Version}, nil); err == nil || !strings.Contains(err.Error(), "items.parquet") {
		t.Fatalf("got error %v, want one that names items.parquet", err)
	}
}

func TestImportSparkFactors(t *testing.T) {
	dir := t.TempDir()
	parts := filepath.Join(dir, "itemFactors")
	if err := os.Mkdir(parts, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(
		parquet.WriteFile(filepath.Join(parts, "part-0.parquet"), []factorRecord{{7, []float32{1, 0}}, {3, []float32{0, 1}}}),
		parquet.WriteFile(filepath.Join(parts, "part-1.parquet"), []factorRecord{{9, []float32{1, 1}}}),
		os.WriteFile(filepath.Join(dir, "ids"), []byte("3\tcup\n7\tmug\n9\tplate\n11\tnever trained\n"), 0o644),
	); err != nil {
		t.Fatal(err)
	}
	where := Releases{Store: t.TempDir(), Shop: "mugs"}
	im := &ImportVectors{Releases: where, Vectors: parts, IDs: filepath.Join(dir, "ids"), Model: "spark", Params: `{"alpha":2}`}
	var p published
	if err := command(t, im, &p); err != nil {
		t.Fatal(err)
	}
	st, err := where.Open(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	r, err := release.Open(context.Background(), st, "mugs", p.Manifest.Version, kinds)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	m, ok := r.Model("spark")
	if !ok || len(r.Items) != 3 || r.Items[0].ID != "cup" {
		t.Fatalf("got %v with items %+v, want three", r, r.Items)
	}
	got := m.(models.Embedder).Vectors()
	if want := []float32{0, 1, 1, 0, 1, 1}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got vectors %v, want %v", got, want)
	}
	for name, edit := range map[string]func(im *ImportVectors){
		"params":  func(im *ImportVectors) { im.Params = `{"beta":1}` },
		"no file": func(im *ImportVectors) { im.Vectors = filepath.Join(dir, "none.safetensors") },
		"no part": func(im *ImportVectors) { im.Vectors = t.TempDir() },
		"no base": func(im *ImportVectors) { im.Base = "20200101T000000.000Z-0000" },
		"lost": func(im *ImportVectors) {
			im.Base = p.Manifest.Version
			im.IDs = filepath.Join(dir, "other")
			if err := os.WriteFile(im.IDs, []byte("3\tspoon\n7\tmug\n9\tplate\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		},
	} {
		bad := *im
		edit(&bad)
		if err := command(t, &bad, nil); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

// TestOpenInPython has a Python program open an exported release with pyarrow
// and safetensors and compute the scores itself. ATTUNE_PYTHON names a Python
// that has both; CI makes one.
func TestOpenInPython(t *testing.T) {
	python := os.Getenv("ATTUNE_PYTHON")
	if python == "" {
		t.Skip("ATTUNE_PYTHON names no Python with pyarrow, safetensors and numpy")
	}
	where, m, board := boardRelease(t, "ials")
	dir := filepath.Join(t.TempDir(), "release")
	if err := command(t, &Export{Releases: where, To: dir}, nil); err != nil {
		t.Fatal(err)
	}
	st, err := where.Open(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	r, err := release.Open(context.Background(), st, "mugs", m.Version, kinds)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	model, ok := r.Model("ials")
	if !ok {
		t.Fatal("no model ials")
	}
	type sample struct {
		User   []float32 `json:"user"`
		Scores []float32 `json:"scores"`
	}
	samples := map[string]any{"tensors": "models/ials.safetensors", "items": "items"}
	var list []sample
	rows := make([]features.Row, len(r.Items))
	for i := range rows {
		rows[i] = features.Row(i)
	}
	for u := range 5 {
		req := modeltest.Request(board, u)
		e := model.(models.Embedder)
		s := sample{make([]float32, e.Dim()), make([]float32, len(rows))}
		if !e.Embed(req, s.User) {
			t.Fatal("no vector")
		}
		model.Score(req, rows, s.Scores)
		list = append(list, s)
	}
	samples["samples"] = list
	b, err := json.Marshal(samples)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "samples.json")
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(python, filepath.Join("testdata", "open_release.py"), dir, path).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}
