package release

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/attune-rec/attune/features/raced"
)

func copyRelease(t *testing.T, from *Folder, m Manifest) (*Folder, string) {
	t.Helper()
	to := NewFolder(t.TempDir())
	dir := filepath.Join(to.releases(m.Shop), m.Version)
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(from.releases(m.Shop), m.Version))); err != nil {
		t.Fatal(err)
	}
	return to, dir
}

func eachFile(t *testing.T, dir string, f func(path string, b []byte)) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		f(path, b)
		return os.WriteFile(path, b, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 10 {
		t.Fatalf("got %d files, want all of a release", files)
	}
}

func refused(t *testing.T, st Store, m Manifest, format string, args ...any) {
	t.Helper()
	r, err := Open(context.Background(), st, m.Shop, m.Version, toyKinds)
	if err == nil {
		r.Close()
		t.Fatalf(format+": was opened", args...)
	}
	if !errors.Is(err, ErrCorrupt) {
		t.Fatalf(format+": got error %v, want ErrCorrupt", append(args, err)...)
	}
}

func TestEveryFlippedByteIsRefused(t *testing.T) {
	if raced.On {
		t.Skip("one goroutine: there is nothing to race with")
	}
	src := NewFolder(t.TempDir())
	m := published(t, src, toyDraft(3, 0))
	st, dir := copyRelease(t, src, m)
	flips := 0
	eachFile(t, dir, func(path string, b []byte) {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for i := range b {
			if _, err := f.WriteAt([]byte{b[i] ^ 1<<(i%8)}, int64(i)); err != nil {
				t.Fatal(err)
			}
			refused(t, st, m, "%s, byte %d flipped", filepath.Base(path), i)
			if _, err := f.WriteAt(b[i:i+1], int64(i)); err != nil {
				t.Fatal(err)
			}
			flips++
		}
	})
	t.Logf("FIGURE broken releases: %d bytes flipped in turn, each refused", flips)
	opened(t, st, m)
}

func TestEveryTruncationAndMissingFileIsRefused(t *testing.T) {
	if raced.On {
		t.Skip("one goroutine: there is nothing to race with")
	}
	src := NewFolder(t.TempDir())
	m := published(t, src, toyDraft(3, 0))
	st, dir := copyRelease(t, src, m)
	eachFile(t, dir, func(path string, b []byte) {
		for n := len(b) - 1; n >= 0; n-- {
			if err := os.Truncate(path, int64(n)); err != nil {
				t.Fatal(err)
			}
			refused(t, st, m, "%s cut to %d of %d bytes", filepath.Base(path), n, len(b))
		}
		if err := os.WriteFile(path, append(b[:len(b):len(b)], 0), 0o644); err != nil {
			t.Fatal(err)
		}
		refused(t, st, m, "%s with a byte more", filepath.Base(path))
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		refused(t, st, m, "%s missing", filepath.Base(path))
	})
	opened(t, st, m)
}

func forged(t *testing.T, dir string, m Manifest, path string, b []byte) {
	t.Helper()
	files := append([]File(nil), m.Files...)
	for i := range files {
		if files[i].Path == path {
			s := &staging{d: &faultyDisk{}, dir: t.TempDir(), dirs: map[string]bool{}}
			if err := s.file(path, func(w io.Writer) error { return write(w, b) }); err != nil {
				t.Fatal(err)
			}
			files[i] = s.files[0]
		}
	}
	m.Files = files
	writeManifest(t, dir, m)
	if err := os.WriteFile(filepath.Join(dir, path), b, 0o644); err != nil {
		t.Fatal(err)
	}
}

func writeManifest(t *testing.T, dir string, m Manifest) {
	t.Helper()
	b, err := encode(&m)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(filepath.Join(dir, manifestName), b, 0o644), os.WriteFile(filepath.Join(dir, sumName), manifestSum(b), 0o644)); err != nil {
		t.Fatal(err)
	}
}

func TestWrongContentUnderRightSumsIsRefused(t *testing.T) {
	ctx := context.Background()
	src := NewFolder(t.TempDir())
	m := published(t, src, toyDraft(3, 0))
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(src.releases(m.Shop), m.Version, name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	tensors := read("models/up.safetensors")
	nan := append([]byte(nil), tensors...)
	copy(nan[len(nan)-4:], []byte{0, 0, 0xc0, 0x7f})
	inf := append([]byte(nil), tensors...)
	copy(inf[len(inf)-4:], []byte{0, 0, 0x80, 0xff})
	for name, c := range map[string]struct {
		path string
		b    []byte
		says string
	}{
		"NaN factors":      {"models/up.safetensors", nan, "number 2 is NaN"},
		"infinite factors": {"models/up.safetensors", inf, "number 2 is NaN or infinite"},
		"no tensors":       {"models/up.safetensors", nil, "cannot hold"},
		"no parameters":    {"models/up.json", []byte(`{}`), `"params" is missing`},
		"shape":            {"models/up.json", []byte(`{"params":{"items":4}}`), "expected [4]"},
		"no table":         {"items.parquet", []byte("PAR1PAR1"), "items.parquet"},
		"recipes":          {"recipes.json", []byte(strings.ReplaceAll(string(read("recipes.json")), `"both"`, `"left"`)), `asks model "left"`},
		"unknown field":    {"recipes.json", []byte(`[{"surfaces":"home"}]`), "surfaces"},
		"metrics":          {"metrics.json", []byte(`{} {}`), "something follows"},
	} {
		st, dir := copyRelease(t, src, m)
		forged(t, dir, m, c.path, c.b)
		r, err := Open(ctx, st, m.Shop, m.Version, toyKinds)
		if err == nil {
			r.Close()
			t.Errorf("%s: was opened", name)
			continue
		}
		if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got error %v, want ErrCorrupt that says %q", name, err, c.says)
		}
	}
	for name, c := range map[string]struct {
		edit func(m *Manifest)
		want error
	}{
		"format of the future": {func(m *Manifest) { m.Format = FormatCurrent + 1 }, ErrFormat},
		"no format":            {func(m *Manifest) { m.Format = 0 }, ErrFormat},
		"other shop":           {func(m *Manifest) { m.Shop = "plates" }, ErrCorrupt},
		"other version":        {func(m *Manifest) { m.Version = "20200101T000000.000Z-0000" }, ErrCorrupt},
		"file outside":         {func(m *Manifest) { m.Files[0].Path = "../items.parquet" }, ErrCorrupt},
		"file not listed":      {func(m *Manifest) { m.Files = m.Files[1:] }, ErrCorrupt},
		"model twice":          {func(m *Manifest) { m.Models = append(m.Models, m.Models[0]) }, ErrCorrupt},
		"composite first":      {func(m *Manifest) { m.Models[0], m.Models[2] = m.Models[2], m.Models[0] }, ErrCorrupt},
		"items":                {func(m *Manifest) { m.Items++ }, ErrCorrupt},
		"kind":                 {func(m *Manifest) { m.Models[0].Kind = "train" }, ErrFormat},
	} {
		st, dir := copyRelease(t, src, m)
		edited := m
		edited.Files, edited.Models = append([]File(nil), m.Files...), append([]ModelEntry(nil), m.Models...)
		c.edit(&edited)
		writeManifest(t, dir, edited)
		r, err := Open(ctx, st, m.Shop, m.Version, toyKinds)
		if err == nil {
			r.Close()
		}
		if !errors.Is(err, c.want) {
			t.Errorf("%s: got error %v, want %v", name, err, c.want)
		}
	}
}

func TestBucketMendsItsCopy(t *testing.T) {
	ctx := context.Background()
	cache := t.TempDir()
	st, err := OpenBucket(ctx, "mem://", cache)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	m := published(t, st, toyDraft(3, 0))
	opened(t, st, m).Close()
	path := filepath.Join(cache, "mugs", m.Version, "models", "up.safetensors")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-1] ^= 1
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	opened(t, st, m)
}
