package release

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/attune-rec/attune/features/raced"
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
			if raced.On {
				step = 12
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

// refused opens the release and expects ErrCorrupt that names a file.

// forged rewrites a file and makes the sums fit, as a buggy publisher would.

// TestBucketMendsItsCopy flips a byte of the local copy: the bucket's own is

// good, so the release opens.
