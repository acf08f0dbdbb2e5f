package milvus_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/vector"
	"github.com/attune-rec/attune/models/vector/milvus"
	"github.com/attune-rec/attune/models/vectortest"
)

// saying is the values of rows as they are published.
func saying(attr map[string][][]string) map[string]func(row int) []string {
	of := map[string]func(int) []string{}
	for name, values := range attr {
		of[name] = func(row int) []string { return values[row] }
	}
	return of
}

// Filters in words, of as many rows as a search by name could not do at once: they
// pass everything, something and nothing of what the words let through.
func attributes(t *testing.T, cl *milvus.Client) {
	const n, dim, k = 20000, 8, 50
	vecs := vectortest.Vectors(n, dim, 1)
	truth, err := vector.NewExact(vecs, dim, 2)
	if err != nil {
		t.Fatal(err)
	}
	q := vectortest.Vectors(1, dim, 2)
	order, err := truth.Search(context.Background(), q, n, models.Where{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	market, category := make([][]string, n), make([][]string, n) // the farther, the deeper in the catalogue
	for i, h := range order {
		market[h.Row] = [][]string{{"us", "de"}, {"*"}, {`"quo\ted"`}, {"日本", "us"}}[i%4]
		category[h.Row] = []string{fmt.Sprint("aisle ", i*10/n), fmt.Sprint("aisle ", i*10/n, "/shelf ", i*1000/n)}
	}
	of := milvus.Name{Shop: "s", Model: "m", Version: "1"}
	rows := milvus.Rows{Vectors: vecs, Dim: dim, Attr: saying(map[string][][]string{"market": market, "category": category})}
	x := put(t, cl, of, rows)
	for what, attr := range map[string]map[string][]string{
		"a market": {"market": {"us", "*"}}, "one in quotes": {"market": {`"quo\ted"`}}, "another script": {"market": {"日本"}},
		"the farthest aisle": {"category": {"aisle 9"}}, "the farthest shelf": {"category": {"aisle 9/shelf 999"}},
		"far aisles in a market": {"category": {"aisle 7", "aisle 9"}, "market": {"us", "*"}}, "a shelf in a market": {"category": {"aisle 9/shelf 950"}, "market": {"de"}},
		"words of nothing": {"category": {"aisle 9/shelf 950"}, "unknown": {"x"}}, "nothing": {"market": {"fr"}},
	} {
		said := features.NewBitmap(n)
		for i := range n {
			one := func(name string, has []string) bool {
				return attr[name] == nil || slices.ContainsFunc(has, func(v string) bool { return slices.Contains(attr[name], v) })
			}
			if one("market", market[i]) && one("category", category[i]) {
				said.Set(features.Row(i))
			}
		}
		some, other := said.Clone(), said.Clone() // fewer than the words say; and some that they do not
		for i := range n {
			if i%10 != 0 {
				some.Clear(features.Row(i))
			}
			if i%97 == 0 {
				other.Set(features.Row(i))
			}
		}
		for which, allow := range map[string]*features.Bitmap{"": said, ", a tenth of them": some, ", and others": other} {
			found(t, x, truth, q, k, what+which, models.Where{Allow: allow, Attr: attr})
		}
	}
	found(t, x, truth, q, k, "all, against the words", models.Where{Allow: features.FullBitmap(n), Attr: map[string][]string{"category": {"aisle 9/shelf 999"}}})
	none, err := x.Search(context.Background(), vecs[:dim], 5, models.Where{Attr: map[string][]string{"market": {"fr"}}}, nil)
	if err != nil || len(none) != 0 {
		t.Errorf("a market without items: got %v, %v, want nothing", none, err)
	}
	if !x.Remote() {
		t.Error("it is not remote")
	}
	rows.Attr = saying(map[string][][]string{"market": category, "category": market})
	other, err := cl.Open(context.Background(), of, rows)
	if err != nil {
		t.Fatalf("open with other words: %v, want it searched without", err)
	}
	far := features.NewBitmap(n)
	for _, h := range order[n-200:] {
		far.Set(h.Row)
	}
	found(t, other, truth, q, k, "without words", models.Where{Allow: far, Attr: map[string][]string{"market": {"us"}}})
	if _, err := other.Search(context.Background(), q, 5, models.Where{Attr: map[string][]string{"market": {"us"}}}, nil); !errors.Is(err, milvus.ErrQuery) {
		t.Errorf("words that the collection was not told: got %v, want ErrQuery", err)
	}
}

// found holds what x finds to what an exact index does: as many, and .95 of them.
func found(t *testing.T, x, truth models.Index, q []float32, k int, what string, w models.Where) {
	t.Helper()
	want, err := truth.Search(context.Background(), q, k, w, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := x.Search(context.Background(), q, k, w, nil)
	if err != nil || len(got) != len(want) {
		t.Errorf("%s: got %d hits, %v, want %d", what, len(got), err, len(want))
		return
	}
	rows := map[features.Row]bool{}
	for _, h := range want {
		rows[h.Row] = true
	}
	same := 0
	for _, h := range got {
		if !w.Passes(h.Row) {
			t.Errorf("%s: got row %d, which does not pass", what, h.Row)
		}
		if rows[h.Row] {
			same++
		}
	}
	if same < len(want)*95/100 {
		t.Errorf("%s: got %d of the best %d, want .95 of them", what, same, len(want))
	}
}

// Filters that are too large to name their rows, at random and against the
// query.
func largeFilters(t *testing.T, cl *milvus.Client) {
	const n, dim, k = 40000, 16, 100
	vecs := vectortest.Vectors(n, dim, 1)
	x := put(t, cl, milvus.Name{Shop: "s", Model: "large", Version: "1"}, milvus.Rows{Vectors: vecs, Dim: dim})
	truth, err := vector.NewExact(vecs, dim, 2)
	if err != nil {
		t.Fatal(err)
	}
	q := vectortest.Vectors(1, dim, 2)
	order, err := truth.Search(context.Background(), q, n, models.Where{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	half, far := features.NewBitmap(n), features.NewBitmap(n)
	for i, h := range order {
		if i >= n/2 {
			far.Set(h.Row)
		}
		if i%2 == 0 {
			half.Set(features.Row(i))
		}
	}
	for what, w := range map[string]models.Where{"half": {Allow: half}, "the farthest half": {Allow: far}, "without half": {Deny: half}} {
		found(t, x, truth, q, k, what, w)
	}
}
