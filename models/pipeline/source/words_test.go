package source_test

import (
	"context"
	"maps"
	"slices"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/pipeline"
	"github.com/attune-rec/attune/models/pipeline/source"
)

// elsewhere is an index over the network that keeps what it was asked.
type elsewhere struct {
	models.Index
	asked []models.Where
}

func (*elsewhere) Remote() bool { return true }

func (e *elsewhere) Search(ctx context.Context, vec []float32, k int, w models.Where, dst []models.Hit) ([]models.Hit, error) {
	e.asked = append(e.asked, w)
	return e.Index.Search(ctx, vec, k, w, dst)
}

// taste is a model of content that knows what a shopper likes.
type taste struct{ *words }

func (taste) Embed(_ *features.Request, dst []float32) bool {
	copy(dst, []float32{1, 0, 0})
	return true
}

// Every source that searches vectors passes on the eligible rows and what the
// request says of them in words, and answers with eligible rows alone.
func TestSearchesGoAlongWithWords(t *testing.T) {
	cat, env := stand(t, "a", "aa", "ab", "b", "aab", "c")
	x := &elsewhere{Index: env.Indexes["words"]}
	env.Models["words"] = taste{env.Models["words"].(*words)}
	env.Indexes["words"] = x
	said := map[string][]string{features.AttrMarket: {"DE", "*"}, features.AttrCategory: {"x"}}
	for _, kind := range []string{"factors", "similar", "related", "bought"} {
		s, err := source.Build(models.SourceSpec{Name: kind, Source: kind, Model: "words"}, env)
		if err != nil {
			t.Fatal(err)
		}
		if r, ok := s.(pipeline.Remote); !ok || !r.Remote() {
			t.Errorf("%s: it is not remote", kind)
		}
		x.asked = nil
		r := &features.Request{
			Query:   features.Query{Now: now},
			Shopper: &features.Shopper{Consent: features.AllPurposes, Recent: []features.Interaction{{Row: 0, Type: features.Purchase, TimeMS: now.UnixMilli()}}},
			Item:    0, Cart: []features.Row{0}, Catalog: cat, Eligible: features.BitmapOf(6, 2, 4, 5), Words: said, Scratch: new(features.Scratch),
		}
		got, err := s.Candidates(context.Background(), r, 10, nil)
		if err != nil || len(got) == 0 {
			t.Errorf("%s: got %d candidates, %v, want some", kind, len(got), err)
		}
		for _, c := range got {
			if !r.Eligible.Has(c.Row) {
				t.Errorf("%s: got row %d, which is not eligible", kind, c.Row)
			}
		}
		if len(x.asked) == 0 {
			t.Errorf("%s: its index was not asked", kind)
		}
		for _, w := range x.asked {
			if w.Allow == nil || !slices.Equal(w.Allow.AppendRows(nil), r.Eligible.AppendRows(nil)) || !maps.EqualFunc(w.Attr, said, slices.Equal) {
				t.Errorf("%s: asked for %v of rows %v, want %v of %v", kind, w.Attr, w.Allow.AppendRows(nil), said, r.Eligible.AppendRows(nil))
			}
		}
	}
}
