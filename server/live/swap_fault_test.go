package live

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/blob/driver"
	"gocloud.dev/gcerrors"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models/release"
)

var errIO = errors.New("input/output error")

// The ways in which reading a bucket goes wrong.
const (
	badOpen  = "EIO"        // the call fails
	badRead  = "EIO midway" // half an object comes, then an error
	badShort = "short read" // half an object comes, and its end
)

// faultyBucket reads objects from a folder, and lets the n-th call go wrong.
type faultyBucket struct {
	root string

	mu          sync.Mutex
	how         string
	fail, count int
}

func (b *faultyBucket) arm(how string, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.how, b.fail, b.count = how, n, 0
}

// disarm mends the bucket, and reports whether it had broken.
func (b *faultyBucket) disarm() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	broke := b.fail > 0 && b.count >= b.fail
	b.fail = 0
	return broke
}

func (b *faultyBucket) strike() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count++
	if b.fail > 0 && b.count == b.fail {
		return b.how
	}
	return ""
}

func (b *faultyBucket) ErrorCode(err error) gcerrors.ErrorCode {
	if errors.Is(err, fs.ErrNotExist) {
		return gcerrors.NotFound
	}
	return gcerrors.Internal
}
func (*faultyBucket) As(any) bool             { return false }
func (*faultyBucket) ErrorAs(error, any) bool { return false }
func (*faultyBucket) Close() error            { return nil }

func (b *faultyBucket) Attributes(_ context.Context, key string) (*driver.Attributes, error) {
	if b.strike() != "" {
		return nil, errIO
	}
	info, err := os.Stat(filepath.Join(b.root, key))
	if err != nil {
		return nil, err
	}
	return &driver.Attributes{Size: info.Size(), ModTime: info.ModTime(), ContentType: "application/octet-stream"}, nil
}

func (b *faultyBucket) ListPaged(_ context.Context, o *driver.ListOptions) (*driver.ListPage, error) {
	if b.strike() != "" {
		return nil, errIO
	}
	page, dirs := &driver.ListPage{}, map[string]bool{}
	err := filepath.WalkDir(b.root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		key, err := filepath.Rel(b.root, path)
		if err != nil || !strings.HasPrefix(key, o.Prefix) {
			return err
		}
		if head, _, deeper := strings.Cut(key[len(o.Prefix):], "/"); o.Delimiter != "" && deeper {
			if !dirs[head] {
				dirs[head] = true
				page.Objects = append(page.Objects, &driver.ListObject{Key: o.Prefix + head + "/", IsDir: true})
			}
			return nil
		}
		page.Objects = append(page.Objects, &driver.ListObject{Key: key})
		return nil
	})
	slices.SortFunc(page.Objects, func(x, y *driver.ListObject) int { return strings.Compare(x.Key, y.Key) })
	return page, err
}

type faultyReader struct {
	io.Reader
	file *os.File
	size int64
}

func (r *faultyReader) Close() error { return r.file.Close() }
func (r *faultyReader) As(any) bool  { return false }
func (r *faultyReader) Attributes() *driver.ReaderAttributes {
	return &driver.ReaderAttributes{Size: r.size, ContentType: "application/octet-stream"}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errIO }

func (b *faultyBucket) NewRangeReader(_ context.Context, key string, offset, length int64, _ *driver.ReaderOptions) (driver.Reader, error) {
	how := b.strike()
	if how == badOpen {
		return nil, errIO
	}
	f, err := os.Open(filepath.Join(b.root, key))
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if length < 0 {
		length = info.Size() - offset
	}
	r := &faultyReader{io.NewSectionReader(f, offset, length), f, info.Size()}
	switch how {
	case badRead:
		r.Reader = io.MultiReader(io.NewSectionReader(f, offset, length/2), broken{})
	case badShort:
		r.Reader = io.NewSectionReader(f, offset, length/2)
	}
	return r, nil
}

func (*faultyBucket) NewTypedWriter(context.Context, string, string, *driver.WriterOptions) (driver.Writer, error) {
	return nil, errIO
}
func (*faultyBucket) Copy(context.Context, string, string, *driver.CopyOptions) error { return errIO }
func (*faultyBucket) Delete(context.Context, string, *driver.DeleteOptions) error     { return errIO }
func (*faultyBucket) SignedURL(context.Context, string, *driver.SignedURLOptions) (string, error) {
	return "", errIO
}

// faultyURL opens one bucket, whatever the URL.
type faultyURL struct{ b *faultyBucket }

func (u faultyURL) OpenBucketURL(context.Context, *url.URL) (*blob.Bucket, error) {
	return blob.NewBucket(u.b), nil
}

// Every read of a swap goes wrong in turn, in three ways: the old release
// serves on until the new one is there whole, which it is at the next look.
func TestSwapSurvivesFaults(t *testing.T) {
	ctx := context.Background()
	const shop = features.ShopID("mugs")
	bucket := &faultyBucket{root: t.TempDir()}
	blob.DefaultURLMux().RegisterBucket("faulty", faultyURL{bucket})
	writer, err := release.OpenStore(ctx, "file://"+bucket.root+"?metadata=skip&no_tmp_dir=true", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	old, next := publish(t, writer, shop, 1), publish(t, writer, shop, 2)
	step, points, refused := 1, 0, 0
	if testing.Short() {
		step = 5
	}
	for _, how := range []string{badOpen, badRead, badShort} {
		for n := 1; ; n += step {
			promote(t, writer, shop, old)
			st, err := release.OpenStore(ctx, "faulty://it", t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			var events journal
			o := options(st, &events)
			hours := time.Unix(0, 0)
			o.Now = func() time.Time { hours = hours.Add(2 * time.Hour); return hours } // a refusal is soon forgotten
			s, err := New(o)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Load(ctx, shop); err != nil {
				t.Fatal(err)
			}
			wants(t, s, shop, old)
			promote(t, writer, shop, next)
			bucket.arm(how, n)
			lerr := s.Load(ctx, shop)
			broke := bucket.disarm()
			got, _, err := answer(s, shop, nil)
			switch {
			case err != nil:
				t.Fatalf("%s at read %d: no answer: %v", how, n, err)
			case lerr == nil && got != next:
				t.Fatalf("%s at read %d: said to be swapped, and release %s answers", how, n, got)
			case got != next && got != old:
				t.Fatalf("%s at read %d: got release %s", how, n, got)
			}
			if lerr != nil {
				refused++
			}
			if err := s.Load(ctx, shop); err != nil {
				t.Fatalf("%s at read %d, mended: %v", how, n, err)
			}
			wants(t, s, shop, next)
			if err := errors.Join(s.Close(), st.Close()); err != nil {
				t.Fatal(err)
			}
			if !broke {
				break
			}
			points++
		}
	}
	if refused == 0 {
		t.Error("no swap was refused: the test shows nothing")
	}
	t.Logf("FIGURE swap: %d fault points (EIO, EIO midway, short read at every read), %d swaps refused: the old release answered on, the new one was taken once it could be read", points, refused)
}
