package features_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/attune-rec/attune/features"
)

// twin is a set of rows as plainly as it can be written.
type twin map[features.Row]bool

func (w twin) rows() []features.Row {
	var rows []features.Row
	for r := range w {
		rows = append(rows, r)
	}
	slices.Sort(rows)
	return rows
}

func TestBitmapAgainstTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 200).Draw(t, "rows")
		b, w := features.NewBitmap(n), twin{}
		row := rapid.Int32Range(-3, 210)
		inside := func(r features.Row) bool { return r >= 0 && int(r) < n }
		for range rapid.IntRange(0, 30).Draw(t, "steps") {
			switch rapid.IntRange(0, 6).Draw(t, "step") {
			case 0, 1:
				r := features.Row(row.Draw(t, "set"))
				b.Set(r)
				if inside(r) {
					w[r] = true
				}
			case 2:
				r := features.Row(row.Draw(t, "clear"))
				b.Clear(r)
				delete(w, r)
			case 3, 4, 5, 6:
				// The other set is over more or fewer rows, or is none at all.
				m := rapid.IntRange(0, 200).Draw(t, "other rows")
				var o *features.Bitmap
				ow := twin{}
				if rapid.Bool().Draw(t, "other is there") {
					o = features.NewBitmap(m)
					for _, r := range rapid.SliceOf(row).Draw(t, "other") {
						o.Set(features.Row(r))
						if r >= 0 && int(r) < m {
							ow[features.Row(r)] = true
						}
					}
				}
				switch rapid.IntRange(0, 3).Draw(t, "operation") {
				case 0:
					b.And(o)
					for r := range w {
						if !ow[r] {
							delete(w, r)
						}
					}
				case 1:
					b.AndNot(o)
					for r := range ow {
						delete(w, r)
					}
				case 2:
					b.Or(o)
					for r := range ow {
						if inside(r) {
							w[r] = true
						}
					}
				case 3:
					b.CopyFrom(o)
					clear(w)
					for r := range ow {
						if inside(r) {
							w[r] = true
						}
					}
				}
			}
			if got, want := b.AppendRows(nil), w.rows(); !slices.Equal(got, want) {
				t.Fatalf("got rows %v, want %v", got, want)
			}
			if got, want := b.Count(), len(w); got != want {
				t.Fatalf("got count %d, want %d", got, want)
			}
		}
		grown := b.Grow(n + 70)
		if !slices.Equal(grown.AppendRows(nil), w.rows()) || grown.Len() != n+70 {
			t.Fatalf("grown: got %v over %d", grown.AppendRows(nil), grown.Len())
		}
		b.Fill()
		if b.Count() != n {
			t.Fatalf("full: got %d, want %d", b.Count(), n)
		}
	})
}

func TestNilBitmapIsEmpty(t *testing.T) {
	var b *features.Bitmap
	if b.Has(0) || b.Len() != 0 || b.Count() != 0 || b.Clone() != nil || len(b.Words()) != 0 {
		t.Fatal("a nil bitmap is not empty")
	}
	b.Each(func(r features.Row) bool { t.Fatalf("got row %d", r); return false })
}
