package vector_test

import (
	"errors"
	"math"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/vector"
	"github.com/attune-rec/attune/models/vectortest"
)

func exact(t testing.TB, vecs []float32, dim int) *vector.Exact {
	t.Helper()
	x, err := vector.NewExact(vecs, dim, 2)
	if err != nil {
		t.Fatalf("new exact: %v", err)
	}
	return x
}

func TestExact(t *testing.T) {
	vectortest.Run(t, vectortest.Options{
		Build: func(t *testing.T, vecs []float32, dim int) models.Index { return exact(t, vecs, dim) },
	})
}

// So many rows that they are arranged.
func TestExactArranged(t *testing.T) {
	vectortest.Run(t, vectortest.Options{
		Rows:  9000,
		Build: func(t *testing.T, vecs []float32, dim int) models.Index { return exact(t, vecs, dim) },
	})
}

func TestExactArrangedOpened(t *testing.T) {
	vectortest.Run(t, vectortest.Options{
		Rows:  6000,
		Build: func(t *testing.T, vecs []float32, dim int) models.Index { return reopen(t, exact(t, vecs, dim)) },
	})
}

func TestTailed(t *testing.T) {
	vectortest.Run(t, vectortest.Options{
		Build: func(t *testing.T, vecs []float32, dim int) models.Index {
			return vector.WithTail(exact(t, vecs, dim), len(vecs)/dim, dim)
		},
	})
}

func TestTailedAllInTheTail(t *testing.T) {
	vectortest.Run(t, vectortest.Options{
		Build: func(t *testing.T, vecs []float32, dim int) models.Index {
			empty, err := vector.NewExact(nil, dim, 1)
			if err != nil {
				t.Fatalf("new exact: %v", err)
			}
			x := vector.WithTail(empty, 0, dim)
			for i := range len(vecs) / dim {
				if err := x.Upsert(rowOf(i), vecs[i*dim:][:dim]); err != nil {
					t.Fatalf("upsert: %v", err)
				}
			}
			return x
		},
	})
}

// One long vector and one coordinate that dwarfs the others leave the codes
// nothing to tell: the scan must fall back to the numbers and still be exact.
func TestExactWhereCodesSayNothing(t *testing.T) {
	const n, dim = 2000, 8
	vecs := vectortest.Vectors(n, dim, 3)
	for i := range n {
		vecs[i*dim] = 1e6
	}
	x := exact(t, vecs, dim)
	q := make([]float32, dim)
	for j := 1; j < dim; j++ {
		q[j] = float32(j)
	}
	got, err := x.Search(t.Context(), q, 10, models.Where{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range got {
		better := 0
		for row := range n {
			var s float64
			for j := range dim {
				s += float64(q[j]) * float64(vecs[row*dim+j])
			}
			if s > float64(got[i].Score)*(1+1e-5) {
				better++
			}
		}
		if better > i {
			t.Fatalf("place %d: %d rows are better", i, better)
		}
	}
}

func TestNewExactRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		vecs []float32
		dim  int
	}{
		"no dimension": {nil, 0}, "ragged": {make([]float32, 7), 3},
		"NaN": {[]float32{1, float32(math.NaN())}, 2}, "infinite": {[]float32{float32(math.Inf(-1))}, 1},
	} {
		if _, err := vector.NewExact(c.vecs, c.dim, 1); !errors.Is(err, vector.ErrVectors) {
			t.Errorf("%s: got %v, want ErrVectors", name, err)
		}
	}
}

// The best rows have codes of nothing but zeros, and a hundred others codes
// that promise twice what they hold: an order by codes, however deep it is
// looked into, is wrong, and only the bound tells.
func TestExactWhereCodesLie(t *testing.T) {
	const n, dim, best, decoys = 4000, 65, 10, 100
	vecs := make([]float32, n*dim)
	q := make([]float32, dim)
	for j := 1; j < dim; j++ {
		q[j] = 1
	}
	for i := range n {
		row := vecs[i*dim:][:dim]
		row[0] = 127 // a step of 1
		for j := 1; j < dim; j++ {
			switch {
			case i%(n/best) == n/best-1:
				row[j] = .49 // rounds to 0
			case i%(n/decoys) != 0:
				row[j] = -.51
			case j%8 < 5:
				row[j] = .51 // rounds to 1
			}
		}
	}
	got, err := exact(t, vecs, dim).Search(t.Context(), q, best, models.Where{}, nil)
	if err != nil || len(got) != best {
		t.Fatalf("got %v, %v, want %d hits", got, err, best)
	}
	for i, h := range got {
		if want := rowOf((i+1)*(n/best) - 1); h.Row != want {
			t.Errorf("place %d: got row %d, want %d", i, h.Row, want)
		}
	}
}

// Attributes without rows are refused, not left out.
func TestAttributesAlone(t *testing.T) {
	vecs := vectortest.Vectors(5000, 8, 1)
	words := map[string][]string{"colour": {"red"}}
	graph := hnsw(t, vecs, 8, vector.HNSWOptions{Width: 50})
	for name, x := range map[string]models.Index{
		"exact": exact(t, vecs, 8), "hnsw": graph, "tail": vector.WithTail(graph, 5000, 8),
	} {
		w := models.Where{Attr: words}
		if _, err := x.Search(t.Context(), vecs[:8], 5, w, nil); !errors.Is(err, vector.ErrQuery) {
			t.Errorf("%s: got %v, want ErrQuery", name, err)
		}
		if err := x.SearchMany(t.Context(), vecs[:16], 5, w, make([][]models.Hit, 2)); !errors.Is(err, vector.ErrQuery) {
			t.Errorf("%s, many: got %v, want ErrQuery", name, err)
		}
		w.Allow = features.BitmapOf(5000, 3, 9)
		if hits, err := x.Search(t.Context(), vecs[:8], 5, w, nil); err != nil || len(hits) != 2 {
			t.Errorf("%s, with rows: got %v, %v, want two hits", name, hits, err)
		}
	}
}
