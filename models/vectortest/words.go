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
	kind, side := make([]string, o.Rows), make([]string, o.Rows)
	for i, h := range twin(vecs, dim, qs[:dim], o.Rows, models.Where{}) {
		switch share := float64(i) / float64(o.Rows); {
		case i == o.Rows-1:
			kind[h.Row] = "last"
		case share > .98:
			kind[h.Row] = `far "quo\ted"`
		case share > .5:
			kind[h.Row] = "farther"
		default:
			kind[h.Row] = "日本"
		}
		side[h.Row] = strconv.Itoa(i % 10)
	}
	x := o.BuildAttr(t, vecs, dim, map[string][]string{"kind": kind, "side": side})
	t.Cleanup(func() { _ = x.Close() })
	deny := features.NewBitmap(o.Rows)
	for i := 0; i < o.Rows; i += 3 {
		deny.Set(features.Row(i))
	}
	for _, attr := range []map[string][]string{
		{"kind": {"日本"}}, {"kind": {"farther"}}, {"kind": {`far "quo\ted"`}}, {"kind": {"last"}}, {"kind": {"none"}}, {"kind": {}},
		{"kind": {"last", `far "quo\ted"`, "farther"}}, {"side": {"3"}}, {"kind": {"farther"}, "side": {"3", "4"}},
	} {
		allow := features.NewBitmap(o.Rows)
		for i := range o.Rows {
			_, k := attr["kind"]
			_, s := attr["side"]
			if (!k || slices.Contains(attr["kind"], kind[i])) && (!s || slices.Contains(attr["side"], side[i])) {
				allow.Set(features.Row(i))
			}
		}
		for name, w := range map[string]models.Where{
			"alone": {Attr: attr}, "and deny": {Attr: attr, Deny: deny}, "and allow": {Attr: attr, Allow: allow},
		} {
			truth := models.Where{Allow: allow, Deny: w.Deny}
			var sum tally
			for i := range 3 {
				q, what := qs[i*dim:][:dim], fmt.Sprintf("%v %s, query %d", attr, name, i)
				got := o.search(t, x, q, top, w)
				if want := len(twin(vecs, dim, q, top, truth)); len(got) != want {
					t.Errorf("%s: got %d hits, want %d", what, len(got), want)
				}
				o.check(t, &sum, what, vecs, dim, q, top, truth, got)
			}
			o.judge(t, fmt.Sprintf("%v %s", attr, name), sum)
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
