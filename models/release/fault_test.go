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
)

// errDisk is what an injected fault returns.
var errDisk = errors.New("no space left on device")

// faultyDisk lets the n-th operation go wrong, counting from 1: a write cuts
// short, everything else does nothing.
type faultyDisk struct {
	osDisk
	fail, count int
	onlyOnce    bool
}

func (d *faultyDisk) fault() bool {
	d.count++
	return d.fail > 0 && (d.count == d.fail || !d.onlyOnce && d.count > d.fail)
}

func (d *faultyDisk) MkdirAll(dir string) error {
	if d.fault() {
		return errDisk
	}
	return d.osDisk.MkdirAll(dir)
}

func (d *faultyDisk) Create(path string) (diskFile, error) {
	if d.fault() {
		return nil, errDisk
	}
	f, err := d.osDisk.Create(path)
	return &faultyFile{f, d}, err
}

func (d *faultyDisk) Rename(from, to string) error {
	if d.fault() {
		return errDisk
	}
	return d.osDisk.Rename(from, to)
}

func (d *faultyDisk) Link(from, to string) error {
	if d.fault() {
		return errDisk
	}
	return d.osDisk.Link(from, to)
}

func (d *faultyDisk) SyncDir(dir string) error {
	if d.fault() {
		return errDisk
	}
	return nil // the tests need no durability
}

func (d *faultyDisk) Remove(path string) error {
	if d.fault() {
		return errDisk
	}
	return d.osDisk.Remove(path)
}

func (d *faultyDisk) RemoveAll(path string) error {
	if d.fault() {
		return errDisk
	}
	return d.osDisk.RemoveAll(path)
}

type faultyFile struct {
	diskFile
	d *faultyDisk
}

func (f *faultyFile) Write(p []byte) (int, error) {
	if f.d.fault() {
		n, _ := f.diskFile.Write(p[:len(p)/2])
		return n, errDisk
	}
	return f.diskFile.Write(p)
}

func (f *faultyFile) Sync() error {
	if f.d.fault() {
		return errDisk
	}
	return nil
}

func (f *faultyFile) Close() error {
	err := f.diskFile.Close()
	if f.d.fault() {
		return errDisk
	}
	return err
}

// faultyObjects lets the n-th operation on a bucket go wrong; a put leaves
// nothing, as object stores promise.
type faultyObjects struct {
	objects
	d *faultyDisk
}

func (o faultyObjects) put(ctx context.Context, key string, r io.Reader, ifNew bool) error {
	if o.d.fault() {
		return errDisk
	}
	return o.objects.put(ctx, key, r, ifNew)
}

func (o faultyObjects) remove(ctx context.Context, key string) error {
	if o.d.fault() {
		return errDisk
	}
	return o.objects.remove(ctx, key)
}

// TestPublishFaults makes every operation of a publication fail in turn, once
// and from then on, in a folder and in a bucket. Publish must say so, and what
// is visible must open.
func TestPublishFaults(t *testing.T) {
	ctx := context.Background()
	memory, err := OpenBucket(ctx, "mem://", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer memory.Close()
	for name, open := range map[string]func(d *faultyDisk) Store{
		"folder": func(d *faultyDisk) Store { return &Folder{root: t.TempDir(), d: d} },
		"bucket": func(d *faultyDisk) Store { return newBucket(faultyObjects{memory.o, d}, t.TempDir(), d) },
	} {
		for _, once := range []bool{true, false} {
			dry := &faultyDisk{}
			if _, err := Publish(ctx, open(dry), toyDraft(3, 0)); err != nil {
				t.Fatal(err)
			}
			if dry.count < 30 {
				t.Fatalf("%s: got %d operations, want the fault points of every file", name, dry.count)
			}
			step := 1
			if testing.Short() {
				step = 3
			}
			for n := 1; n <= dry.count; n += step {
				d := &faultyDisk{fail: n, onlyOnce: once}
				st := open(d)
				before, err := st.Versions(ctx, "mugs")
				if err != nil {
					t.Fatal(err)
				}
				_, perr := Publish(ctx, st, toyDraft(3, 0))
				d.fail = 0
				after, err := st.Versions(ctx, "mugs")
				if err != nil {
					t.Fatal(err)
				}
				added := len(after) - len(before)
				if perr == nil && added != 1 {
					t.Errorf("%s, operation %d of %d: got success and %d new releases, want 1", name, n, dry.count, added)
				}
				if perr != nil && !errors.Is(perr, errDisk) {
					t.Errorf("%s, operation %d: got error %v, want the disk's", name, n, perr)
				}
				if once && perr == nil && n <= dry.count-1 {
					t.Errorf("%s, operation %d of %d failed and Publish did not say so", name, n, dry.count)
				}
				for _, v := range after {
					r, err := Open(ctx, st, "mugs", v, toyKinds)
					if err != nil {
						t.Fatalf("%s, operation %d: a release is visible that does not open: %v", name, n, err)
					}
					if err := r.Close(); err != nil {
						t.Error(err)
					}
				}
			}
		}
	}
}

// TestServingFaults does the same to a promotion: either the old state holds,
// or the new one does; never half of one.
func TestServingFaults(t *testing.T) {
	ctx := context.Background()
	root := t.TempDir()
	vs := three(t, NewFolder(root))
	if _, err := Promote(ctx, NewFolder(root), "mugs", vs[0], Change{}); err != nil {
		t.Fatal(err)
	}
	for n := 1; ; n++ {
		d := &faultyDisk{fail: n, onlyOnce: true}
		st := &Folder{root: root, d: d}
		before, err := Current(ctx, st, "mugs")
		if err != nil {
			t.Fatal(err)
		}
		want := vs[n%3]
		s, perr := Promote(ctx, st, "mugs", want, Change{})
		if n > d.count {
			break
		}
		after, err := Current(ctx, st, "mugs")
		if err != nil {
			t.Fatalf("operation %d: %v", n, err)
		}
		if perr == nil && (after.Stable != want || s.Number != after.Number) {
			t.Errorf("operation %d: got success and state %d, want %d", n, after.Number, s.Number)
		}
		if after.Number != before.Number && after.Stable != want {
			t.Errorf("operation %d: got state %+v, want the old or the new", n, after)
		}
	}
}

// copyRelease copies a release's directory to a root of its own.
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

// refused opens the release and expects ErrCorrupt that names a file.
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

// forged rewrites a file and makes the sums fit, as a buggy publisher would.
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

// TestBucketMendsItsCopy flips a byte of the local copy: the bucket's own is
// good, so the release opens.
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
