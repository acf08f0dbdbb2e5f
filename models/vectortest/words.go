package vectortest

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
)

// words narrows by attributes: alone, with rows besides, and by such as an index
// does not know. The rarer values lie where the query does not look.
func (o Options) words(t *testing.T) {
	if o.BuildAttr == nil {
		t.Skip("cannot read words")
	}
	vecs, qs := Vectors(o.Rows, dim, seed), queries(3, dim)
	said := sayings(vecs, o.Rows, qs[:dim])
	x := o.BuildAttr(t, vecs, dim, said)
	t.Cleanup(func() { _ = x.Close() })
	deny := features.NewBitmap(o.Rows)
	for i := 0; i < o.Rows; i += 3 {
		deny.Set(features.Row(i))
	}
	for _, attr := range []map[string][]string{
		{"kind": {"日本"}}, {"kind": {"farther"}}, {"kind": {`far "quo\ted"`}}, {"kind": {"last"}}, {"kind": {"none"}}, {"kind": {}},
		{"kind": {"last", `far "quo\ted"`, "farther"}}, {"side": {"3"}}, {"kind": {"farther"}, "side": {"3", "4"}},
		{"side": {"even"}}, {"side": {"odd", "4"}}, {"kind": {"日本"}, "side": {"odd", "even"}},
	} {
		allow := having(o.Rows, said, attr)
		for name, w := range map[string]models.Where{
			"alone": {Attr: attr}, "and deny": {Attr: attr, Deny: deny}, "and allow": {Attr: attr, Allow: allow},
		} {
			o.narrowed(t, fmt.Sprintf("%v %s", attr, name), x, vecs, qs, w, models.Where{Allow: allow, Deny: w.Deny})
		}
	}
	unknown := map[string][]string{"unknown": {"x"}}
	if _, err := x.Search(context.Background(), qs[:dim], top, models.Where{Attr: unknown}, nil); err == nil {
		t.Error("an attribute that it does not know: got no error")
	}
	if got := o.search(t, x, qs[:dim], top, models.Where{Attr: unknown, Deny: nil, Allow: deny}); len(got) != top {
		t.Errorf("the same with the rows that it stands for: got %d hits, want %d", len(got), top)
	}
}

// wordsBefore gives words that hold no longer beside rows that do: the rows
// decide, in an index that reads words and in one that does not.
func (o Options) wordsBefore(t *testing.T) {
	vecs, qs := Vectors(o.Rows, dim, seed), queries(3, dim)
	said := sayings(vecs, o.Rows, qs[:dim])
	var x models.Index
	if o.BuildAttr != nil {
		x = o.BuildAttr(t, vecs, dim, said)
		t.Cleanup(func() { _ = x.Close() })
	} else {
		x = o.build(t, vecs, dim)
	}
	best := twin(vecs, dim, qs[:dim], o.Rows, models.Where{})
	for _, attr := range []map[string][]string{{"kind": {`far "quo\ted"`}}, {"kind": {"farther"}, "side": {"odd"}}, {"side": {"7"}}, {"kind": {"none"}}} {
		for what, share := range map[string]int{"few": 100, "half": 2} {
			now := having(o.Rows, said, attr)
			for i := 0; i < o.Rows; i += share { // some came in, the best among them, and some went out
				now.Set(best[i].Row)
				now.Clear(best[min(i+1, o.Rows-1)].Row)
			}
			o.narrowed(t, fmt.Sprintf("%v, %s changed", attr, what), x, vecs, qs, models.Where{Allow: now, Attr: attr}, models.Where{Allow: now})
		}
	}
}

// wordsAlone are refused by an index that cannot read them.
func (o Options) wordsAlone(t *testing.T) {
	x := o.build(t, Vectors(100, dim, seed), dim)
	w := models.Where{Attr: map[string][]string{"kind": {"x"}}}
	if _, err := x.Search(context.Background(), queries(1, dim), 5, w, nil); err == nil {
		t.Error("attributes alone: got no error")
	}
	if err := x.SearchMany(context.Background(), queries(1, dim), 5, w, make([][]models.Hit, 1)); err == nil {
		t.Error("attributes alone, many: got no error")
	}
}

// narrowed searches under w and compares with a scan under truth, which means
// the same.
func (o Options) narrowed(t *testing.T, what string, x models.Index, vecs, qs []float32, w, truth models.Where) {
	t.Helper()
	var sum tally
	for i := range len(qs) / dim {
		q, what := qs[i*dim:][:dim], fmt.Sprintf("%s, query %d", what, i)
		got := o.search(t, x, q, top, w)
		if want := len(twin(vecs, dim, q, top, truth)); len(got) != want {
			t.Errorf("%s: got %d hits, want %d", what, len(got), want)
		}
		o.check(t, &sum, what, vecs, dim, q, top, truth, got)
	}
	o.judge(t, what, sum)
}

// sayings is the values of n rows, one of kind and two or three of side: the
// rarer kinds lie farther from the query.
func sayings(vecs []float32, n int, query []float32) map[string][][]string {
	kind, side := make([][]string, n), make([][]string, n)
	for i, h := range twin(vecs, dim, query, n, models.Where{}) {
		switch share := float64(i) / float64(n); {
		case i == n-1:
			kind[h.Row] = []string{"last"}
		case share > .98:
			kind[h.Row] = []string{`far "quo\ted"`}
		case share > .5:
			kind[h.Row] = []string{"farther"}
		default:
			kind[h.Row] = []string{"日本"}
		}
		side[h.Row] = []string{[]string{"even", "odd"}[i%2], strconv.Itoa(i % 10)}
		if i%7 == 0 {
			side[h.Row] = append(side[h.Row], "every")
		}
		if i%50 == 0 {
			side[h.Row] = nil
		}
	}
	return map[string][][]string{"kind": kind, "side": side}
}

// having is the rows that have one of the values of each attribute.
func having(n int, said map[string][][]string, attr map[string][]string) *features.Bitmap {
	rows := features.NewBitmap(n)
	for i := range n {
		has := true
		for name, values := range attr {
			has = has && slices.ContainsFunc(said[name][i], func(v string) bool { return slices.Contains(values, v) })
		}
		if has {
			rows.Set(features.Row(i))
		}
	}
	return rows
}
