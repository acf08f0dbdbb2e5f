package vector_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/vector"
	"github.com/attune-rec/attune/models/vectortest"
)

// beside is a file that counts what is read of it.
type beside struct {
	io.ReaderAt
	read, closed int
	err          error
}

func (f *beside) ReadAt(b []byte, at int64) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	f.read += len(b)
	return f.ReaderAt.ReadAt(b, at)
}

func (f *beside) Close() error {
	f.closed++
	return nil
}

// Numbers that are read from the file give the answers of those that are mapped.
func TestOpenAt(t *testing.T) {
	const n, dim = 6000, 16
	vecs, qs := vectortest.Vectors(n, dim, 1), vectortest.Vectors(20, dim, 2)
	b := file(t, exact(t, vecs, dim))
	mapped, err := vector.Open(b)
	if err != nil {
		t.Fatal(err)
	}
	f := &beside{ReaderAt: bytes.NewReader(b)}
	x, err := vector.OpenLargeAt(b, f)
	if err != nil {
		t.Fatal(err)
	}
	few, half := features.BitmapOf(n, 3, 700, 701, 4000), features.NewBitmap(n)
	for row := 0; row < n; row += 2 {
		half.Set(features.Row(row))
	}
	for i := range 20 {
		for _, w := range []models.Where{{}, {Allow: few}, {Deny: half}} {
			q := qs[i*dim:][:dim]
			want, err := mapped.Search(context.Background(), q, 30, w, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := x.Search(context.Background(), q, 30, w, nil); err != nil || !slices.Equal(got, want) {
				t.Fatalf("query %d: got %v, %v, want %v", i, got, err, want)
			}
		}
	}
	if f.read == 0 || f.read > 60*4*n*dim/2 {
		t.Errorf("got %d bytes read by 60 searches of %d, want some and less than half each", f.read, 4*n*dim)
	}
	f.err = io.ErrClosedPipe
	if _, err := x.Search(context.Background(), qs[:dim], 30, models.Where{}, nil); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %v, want the error of the file", err)
	}
	if err := x.Close(); err != nil || f.closed != 1 {
		t.Errorf("closed %d times, %v, want once", f.closed, err)
	}
}

// A file that nothing is read from is closed at once.
func TestOpenAtClosesWhatItDoesNotNeed(t *testing.T) {
	for name, b := range small(t) {
		if name == "arranged" {
			continue
		}
		f := &beside{ReaderAt: bytes.NewReader(b)}
		if _, err := vector.OpenAt(b, f); err != nil || f.closed != 1 {
			t.Errorf("%s: closed %d times, %v, want once", name, f.closed, err)
		}
		broken := &beside{ReaderAt: bytes.NewReader(b)}
		if _, err := vector.OpenAt(b[1:], broken); !errors.Is(err, vector.ErrFile) || broken.closed != 1 {
			t.Errorf("%s, broken: got %v, closed %d times, want ErrFile and once", name, err, broken.closed)
		}
	}
	b := small(t)["arranged"]
	f := &beside{ReaderAt: bytes.NewReader(b)}
	if _, err := vector.Load(b, f, nil, 2, 1); !errors.Is(err, vector.ErrFile) || f.closed != 1 {
		t.Errorf("of other vectors: got %v, closed %d times, want ErrFile and once", err, f.closed)
	}
}
