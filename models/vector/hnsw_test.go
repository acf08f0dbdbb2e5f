package vector_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/raced"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/vector"
	"github.com/attune-rec/attune/models/vectortest"
)

func hnsw(t testing.TB, vecs []float32, dim int, o vector.HNSWOptions) *vector.HNSW {
	t.Helper()
	x, err := vector.BuildHNSW(context.Background(), vecs, dim, o)
	if err != nil {
		t.Fatalf("build: %v", err)
	}
	return x
}

// graphs keeps the graphs of the suites, which build many over the same rows; a
// graph does not change.
var graphs sync.Map // of *vector.HNSW by graphKey

type graphKey struct {
	sum    [sha256.Size]byte
	dim, n int
}

// suiteGraph is a graph for the suite.
func suiteGraph(t testing.TB, vecs []float32, dim int) *vector.HNSW {
	t.Helper()
	h := sha256.New()
	if err := binary.Write(h, binary.LittleEndian, vecs); err != nil {
		t.Fatal(err)
	}
	key := graphKey{[sha256.Size]byte(h.Sum(nil)), dim, len(vecs)}
	if x, ok := graphs.Load(key); ok {
		return x.(*vector.HNSW)
	}
	x := hnsw(t, vecs, dim, vector.HNSWOptions{Workers: 2, Width: 400})
	graphs.Store(key, x)
	return x
}

func graphRows() int {
	if raced.On {
		return 4500 // more than are scanned
	}
	if testing.Short() {
		return 9000
	}
	return 20000
}

func TestHNSW(t *testing.T) {
	vectortest.Run(t, vectortest.Options{
		Recall: .95, Rows: graphRows(),
		Build: func(t *testing.T, vecs []float32, dim int) models.Index {
			return suiteGraph(t, vecs, dim)
		},
	})
}

func TestHNSWTailed(t *testing.T) {
	vectortest.Run(t, vectortest.Options{
		Recall: .95, Rows: graphRows(),
		Build: func(t *testing.T, vecs []float32, dim int) models.Index {
			return vector.WithTail(suiteGraph(t, vecs, dim), len(vecs)/dim, dim)
		},
	})
}

// recall is the share of the best k rows of each query that x finds.
func recall(t testing.TB, x models.Index, truth models.Index, qs []float32, dim, k int, w models.Where) float64 {
	t.Helper()
	found, all := 0, 0
	for i := range len(qs) / dim {
		q := qs[i*dim:][:dim]
		got, err := x.Search(context.Background(), q, k, w, nil)
		if err != nil {
			t.Fatal(err)
		}
		want, err := truth.Search(context.Background(), q, k, w, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != len(want) {
			t.Fatalf("query %d: got %d hits, want %d", i, len(got), len(want))
		}
		rows := map[features.Row]bool{}
		for _, h := range got {
			if !w.Passes(h.Row) {
				t.Fatalf("query %d: row %d does not pass", i, h.Row)
			}
			rows[h.Row] = true
		}
		for _, h := range want {
			if rows[h.Row] {
				found++
			}
		}
		all += len(want)
	}
	return float64(found) / float64(all)
}

// All shares of rows, at random and those farthest from the query: what is
// found must not depend on which rows pass.
func TestHNSWFiltered(t *testing.T) {
	if raced.On {
		t.Skip("searches of one goroutine; the build is watched by others")
	}
	n, dim, nq := 3*graphRows(), 32, 20
	vecs, qs := vectortest.Vectors(n, dim, 4), vectortest.Vectors(nq, dim, 5)
	truth := exact(t, vecs, dim)
	x := hnsw(t, vecs, dim, vector.HNSWOptions{Workers: 2, Queries: vectortest.Vectors(100, dim, 6)})
	found := map[string]float64{}
	for i := range nq {
		q := qs[i*dim:][:dim]
		order, err := truth.Search(context.Background(), q, n, models.Where{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, share := range []float64{.9, .5, .3, .15, .1, .01, .001} {
			far, random := features.NewBitmap(n), features.NewBitmap(n)
			for _, h := range order[n-int(share*float64(n)):] {
				far.Set(h.Row)
			}
			for row := range n {
				if uint32(row)*2654435761%1000 < uint32(1000*share) {
					random.Set(features.Row(row))
				}
			}
			for name, allow := range map[string]*features.Bitmap{"random": random, "farthest": far} {
				key := fmt.Sprintf("%g of the rows, %s", share, name)
				found[key] += recall(t, x, truth, q, dim, 100, models.Where{Allow: allow})
			}
		}
	}
	for key, sum := range found {
		if got := sum / float64(nq); got < .95 {
			t.Errorf("%s: got recall %.3f, want .95", key, got)
		}
	}
}

func TestHNSWIsTheSameEachTime(t *testing.T) {
	if raced.On {
		t.Skip("the build has one goroutine")
	}
	n, dim := graphRows(), 16
	vecs := vectortest.Vectors(n, dim, 8)
	a, b := hnsw(t, vecs, dim, vector.HNSWOptions{Width: 100}), hnsw(t, vecs, dim, vector.HNSWOptions{Width: 100})
	if !slices.Equal(file(t, a), file(t, b)) {
		t.Fatal("two builds on one goroutine differ")
	}
}

// Many equal rows make islands that no path leads to: they must be found all
// the same.
func TestHNSWOfEqualRows(t *testing.T) {
	n, dim := graphRows(), 16
	vecs := vectortest.Vectors(n, dim, 9)
	q := make([]float32, dim)
	for j := range q {
		q[j] = 1
	}
	for row := range n { // a third of the rows are the best of all, and equal
		if row%3 == 0 {
			for j := range dim {
				vecs[row*dim+j] = 30
			}
		}
	}
	x := hnsw(t, vecs, dim, vector.HNSWOptions{Width: 100, Workers: 2})
	got, err := x.Search(context.Background(), q, 50, models.Where{}, nil)
	if err != nil || len(got) != 50 {
		t.Fatalf("got %d hits, %v, want 50", len(got), err)
	}
	for _, h := range got {
		if h.Row%3 != 0 {
			t.Errorf("row %d of score %v is not among the best", h.Row, h.Score)
		}
	}
}

func TestHNSWCalibrates(t *testing.T) {
	n, dim := graphRows(), 32
	vecs := vectortest.Vectors(n, dim, 10)
	x := hnsw(t, vecs, dim, vector.HNSWOptions{Workers: 2, Recall: .98, Queries: vectortest.Vectors(300, dim, 11)})
	if got := recall(t, x, exact(t, vecs, dim), vectortest.Vectors(200, dim, 12), dim, 100, models.Where{}); got < .965 {
		t.Errorf("width %d: got recall %.3f on other queries, want about .98", x.Width(), got)
	}
	narrow := x.WithWidth(1)
	if got, err := narrow.Search(context.Background(), vecs[:dim], 100, models.Where{}, nil); err != nil || len(got) != 100 {
		t.Errorf("width of 1: got %d hits, %v, want 100", len(got), err)
	}
}

func TestHNSWProgressAndCancel(t *testing.T) {
	n, dim := graphRows(), 16
	vecs := vectortest.Vectors(n, dim, 10)
	var last atomic.Int64
	hnsw(t, vecs, dim, vector.HNSWOptions{Workers: 2, Width: 50, Progress: func(done, total int) {
		if total != n {
			t.Errorf("got total %d, want %d", total, n)
		}
		last.Store(int64(done))
	}})
	if last.Load() != int64(n) {
		t.Errorf("got %d rows at the end, want %d", last.Load(), n)
	}
	ctx, cancel := context.WithCancel(context.Background())
	_, err := vector.BuildHNSW(ctx, vecs, dim, vector.HNSWOptions{Progress: func(done, total int) { cancel() }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
}

func TestBuildHNSWRefuses(t *testing.T) {
	good := make([]float32, 6)
	for name, c := range map[string]struct {
		vecs []float32
		dim  int
		o    vector.HNSWOptions
	}{
		"no dimension": {nil, 0, vector.HNSWOptions{}}, "ragged": {make([]float32, 7), 3, vector.HNSWOptions{}},
		"NaN":   {[]float32{1, float32(math.NaN())}, 2, vector.HNSWOptions{}},
		"M":     {good, 2, vector.HNSWOptions{M: 1}},
		"width": {good, 2, vector.HNSWOptions{Width: -1}}, "queries": {good, 2, vector.HNSWOptions{Queries: make([]float32, 3)}},
	} {
		if _, err := vector.BuildHNSW(context.Background(), c.vecs, c.dim, c.o); !errors.Is(err, vector.ErrVectors) {
			t.Errorf("%s: got %v, want ErrVectors", name, err)
		}
	}
}
