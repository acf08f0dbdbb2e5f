package vector_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/raced"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/vector"
	"github.com/attune-rec/attune/models/vectortest"
)

var update = flag.Bool("update", false, "write the golden files of the current format")

func file(t testing.TB, x vector.Saved) []byte {
	t.Helper()
	var b bytes.Buffer
	if n, err := x.WriteTo(&b); err != nil || n != int64(b.Len()) {
		t.Fatalf("write: %d of %d bytes, %v", n, b.Len(), err)
	}
	return b.Bytes()
}

func reopen(t testing.TB, x vector.Saved) vector.Saved {
	t.Helper()
	b := file(t, x)
	if err := vector.Verify(b); err != nil {
		t.Fatalf("verify: %v", err)
	}
	y, err := vector.Open(b)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	if again := file(t, y); !bytes.Equal(again, b) {
		t.Fatal("the opened index writes another file")
	}
	return y
}

func TestOpenedExact(t *testing.T) {
	vectortest.Run(t, vectortest.Options{
		Build: func(t *testing.T, vecs []float32, dim int) models.Index { return reopen(t, exact(t, vecs, dim)) },
	})
}

func TestOpenedHNSW(t *testing.T) {
	again := map[*vector.HNSW]vector.Saved{}
	vectortest.Run(t, vectortest.Options{
		Recall: .95, Rows: graphRows(),
		Build: func(t *testing.T, vecs []float32, dim int) models.Index {
			x := suiteGraph(t, vecs, dim)
			if y, ok := again[x]; ok {
				return y
			}
			again[x] = reopen(t, x)
			return again[x]
		},
	})
}

// An opened index answers as the one that was written.
func TestOpenedAnswersTheSame(t *testing.T) {
	n, dim := graphRows(), 16
	vecs, qs := vectortest.Vectors(n, dim, 1), vectortest.Vectors(10, dim, 2)
	for _, x := range []vector.Saved{exact(t, vecs, dim), hnsw(t, vecs, dim, vector.HNSWOptions{Width: 80})} {
		y := reopen(t, x)
		if y.Len() != x.Len() || y.Dim() != x.Dim() {
			t.Fatalf("got %d rows of %d, want %d of %d", y.Len(), y.Dim(), x.Len(), x.Dim())
		}
		for i := range 10 {
			want, err := x.Search(context.Background(), qs[i*dim:][:dim], 30, models.Where{}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := y.Search(context.Background(), qs[i*dim:][:dim], 30, models.Where{}, nil); err != nil || !slices.Equal(got, want) {
				t.Fatalf("%T, query %d: got %v, %v, want %v", x, i, got, err, want)
			}
		}
	}
}

// small is one file of each kind. The graph is larger than what is scanned.
func small(t testing.TB) map[string][]byte {
	const n, dim = 4200, 2
	return map[string][]byte{
		"exact":    file(t, exact(t, vectortest.Vectors(90, 5, 1), 5)),
		"arranged": file(t, exact(t, vectortest.Vectors(n, dim, 1), dim)),
		"empty":    file(t, exact(t, nil, 3)),
		"hnsw":     file(t, hnsw(t, vectortest.Vectors(n, dim, 1), dim, vector.HNSWOptions{M: 2, Width: 20})),
	}
}

// harmless opens b and, if that is let in, searches it.
func harmless(t testing.TB, b []byte) error {
	x, err := vector.Open(b)
	if err != nil {
		if !errors.Is(err, vector.ErrFile) {
			t.Fatalf("got %v, want ErrFile", err)
		}
		return err
	}
	q := make([]float32, x.Dim())
	q[0] = 1
	for _, w := range []models.Where{{}, {Allow: features.BitmapOf(x.Len(), 1, 3, 7)}} {
		hits, err := x.Search(context.Background(), q, 5, w, nil)
		if err != nil {
			t.Fatalf("search: %v", err)
		}
		for _, h := range hits {
			if h.Row < 0 || int(h.Row) >= x.Len() || !w.Passes(h.Row) {
				t.Fatalf("got row %d of %d", h.Row, x.Len())
			}
		}
	}
	return vector.Verify(b)
}

// Of a file in which any one byte differs, nothing worse is to come than a
// refusal; what Verify lets through is padding.
func TestFlippedBytes(t *testing.T) {
	if raced.On {
		t.Skip("one goroutine: there is nothing to race with")
	}
	for name, b := range small(t) {
		refused, step := 0, 1
		if name == "hnsw" || name == "arranged" {
			step = 41
		}
		tried := 0
		for i := 0; i < len(b); i += step {
			bad := slices.Clone(b)
			bad[i] ^= byte(1 + i%255)
			tried++
			if harmless(t, bad) != nil {
				refused++
			}
		}
		if padding := 9 * 64; (tried-refused)*step > padding {
			t.Errorf("%s: %d of %d flipped bytes went unnoticed", name, tried-refused, tried)
		}
		for _, n := range []int{0, 1, 8, 60, 64, 100, len(b) / 2, len(b) - 64, len(b) - 1} {
			if n < len(b) && harmless(t, b[:max(n, 0)]) == nil {
				t.Errorf("%s: the first %d of %d bytes are taken for a file", name, n, len(b))
			}
		}
		if harmless(t, append(slices.Clone(b), make([]byte, 64)...)) == nil {
			t.Errorf("%s: something that follows it is let in", name)
		}
	}
}

// Files that earlier programs wrote are read by later ones. Those of this format
// are written by -update; it is for a new format to leave them as they are.
func TestGoldenFiles(t *testing.T) {
	for name, c := range map[string]struct {
		rows, dim int
		graph     bool
	}{
		"exact-1": {40, 4, false}, "hnsw-1": {40, 4, true},
		"exact-2": {40, 4, false}, "arranged-2": {4100, 2, false}, "hnsw-2": {4100, 2, true},
	} {
		vecs := vectortest.Vectors(c.rows, c.dim, 3)
		var x vector.Saved = exact(t, vecs, c.dim)
		truth := x
		if c.graph {
			x = hnsw(t, vecs, c.dim, vector.HNSWOptions{M: 2, Width: 100})
		}
		path := filepath.Join("testdata", name+".attnvec")
		if *update && strings.HasSuffix(name, "-2") {
			if err := os.WriteFile(path, file(t, x), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := vector.Verify(b); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		old, err := vector.Open(b)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		want, err := truth.Search(context.Background(), vecs[:c.dim], 10, models.Where{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := old.Search(context.Background(), vecs[:c.dim], 10, models.Where{}, nil)
		if err != nil || len(got) != len(want) {
			t.Fatalf("%s: got %v, %v, want %v", path, got, err, want)
		}
		for i := range got { // the golden file has the numbers; sums differ by instruction set
			if got[i].Row != want[i].Row || math.Abs(float64(got[i].Score-want[i].Score)) > 1e-4 {
				t.Errorf("%s, place %d: got %v, want %v", path, i, got[i], want[i])
			}
		}
	}
}

func TestBuildChooses(t *testing.T) {
	n, dim := graphRows(), 16
	vecs := vectortest.Vectors(n, dim, 1)
	o := vector.Options{HNSWOptions: vector.HNSWOptions{Workers: 2, Width: 60}}
	for _, c := range []struct {
		upTo  int
		graph bool
	}{{0, false}, {n, false}, {n - 1, true}} {
		o.ExactUpTo = c.upTo
		x, err := vector.Build(context.Background(), vecs, dim, o)
		if err != nil {
			t.Fatal(err)
		}
		if _, graph := x.(*vector.HNSW); graph != c.graph {
			t.Errorf("%d rows, exact up to %d: got %T", n, c.upTo, x)
		}
	}
	// So few rows that no walk pays.
	x, err := vector.Build(context.Background(), vecs, dim, vector.Options{ExactUpTo: 10, HNSWOptions: vector.HNSWOptions{Recall: .999}})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := x.(*vector.Exact); !ok {
		t.Errorf("got %T where a walk costs more than a scan", x)
	}
	if _, err := vector.Build(context.Background(), vecs[:dim+1], dim, vector.Options{}); !errors.Is(err, vector.ErrVectors) {
		t.Errorf("ragged: got %v, want ErrVectors", err)
	}
}

func TestLoad(t *testing.T) {
	vecs := vectortest.Vectors(50, 4, 1)
	b := file(t, exact(t, vecs, 4))
	for what, file := range map[string][]byte{"a file": b, "no file": nil} {
		x, err := vector.Load(file, nil, vecs, 4, 1)
		if err != nil || x.Len() != 50 {
			t.Errorf("%s: got %v, want 50 rows", what, err)
		}
	}
	if _, err := vector.Load(b, nil, vecs[:40], 4, 1); !errors.Is(err, vector.ErrFile) {
		t.Errorf("of other vectors: got %v, want ErrFile", err)
	}
	if _, err := vector.Load(b[1:], nil, vecs, 4, 1); !errors.Is(err, vector.ErrFile) {
		t.Errorf("a broken file: got %v, want ErrFile", err)
	}
}
