package job

import (
	"math"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
)

// fresh is a model that says nothing of items that anyone has met.
type fresh struct {
	models.Model
	met *features.Bitmap
}

// newOnly is m on the items that history does not have.
func newOnly(m models.Model, history *dataset.Dataset) models.Scorer {
	met := features.NewBitmap(history.NumItems())
	for i := range history.Log {
		met.Set(history.Log[i].Row)
	}
	f := fresh{m, met}
	if b, ok := m.(models.BatchScorer); ok {
		return freshMany{f, b}
	}
	return f
}

// Score implements models.Scorer.
func (f fresh) Score(r *features.Request, items []features.Row, out []float32) {
	f.Model.Score(r, items, out)
	f.hush(items, out)
}

func (f fresh) hush(items []features.Row, out []float32) {
	for i := range out {
		if f.met.Has(items[i%len(items)]) {
			out[i] = float32(math.NaN())
		}
	}
}

// freshMany is fresh for a model that scores several requests at once.
type freshMany struct {
	fresh
	many models.BatchScorer
}

// ScoreMany implements models.BatchScorer.
func (f freshMany) ScoreMany(rs []*features.Request, items []features.Row, out []float32) {
	f.many.ScoreMany(rs, items, out)
	f.hush(items, out)
}
