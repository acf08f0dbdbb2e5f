package vector_test

import (
	"context"
	"errors"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/vector"
)

// apart is an index elsewhere whose hits come with an error.
type apart struct {
	models.Index
	err error
}

func (a apart) Remote() bool { return true }

func (a apart) Search(ctx context.Context, vec []float32, k int, w models.Where, dst []models.Hit) ([]models.Hit, error) {
	dst, _ = a.Index.Search(ctx, vec, k, w, dst)
	return dst, a.err
}

func (a apart) SearchMany(ctx context.Context, vecs []float32, k int, w models.Where, dst [][]models.Hit) error {
	_ = a.Index.SearchMany(ctx, vecs, k, w, dst)
	return a.err
}

// The tail and the tombstones hold around hits that were found elsewhere than
// they should have been, and the error that says so is passed on.
func TestTailAroundADegradedBase(t *testing.T) {
	base, err := vector.NewExact([]float32{1, 2, 3, 4}, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	down := errors.New("down")
	for what, c := range map[string]struct {
		err  error
		hits int
	}{"degraded": {&models.Degraded{Component: "milvus", Why: "error", Err: down}, 3}, "failed": {down, 0}} {
		x := vector.WithTail(apart{base, c.err}, 4, 1)
		if !x.Remote() {
			t.Error("it is not remote")
		}
		x.Delete(3)
		if err := x.Upsert(4, []float32{10}); err != nil {
			t.Fatal(err)
		}
		hits, err := x.Search(context.Background(), []float32{1}, 3, models.Where{}, nil)
		if !errors.Is(err, down) || c.hits > 0 && (len(hits) != c.hits || hits[0].Row != 4 || hits[1].Row != 2) {
			t.Errorf("%s: got %v, %v, want rows 4, 2, 1 and the error", what, hits, err)
		}
		many := make([][]models.Hit, 2)
		err = x.SearchMany(context.Background(), []float32{1, 1}, 3, models.Where{}, many)
		if !errors.Is(err, down) || c.hits > 0 && (many[1][0].Row != features.Row(4) || many[1][1].Row != 2) {
			t.Errorf("%s: got %v, %v, want rows 4, 2, 1 and the error", what, many, err)
		}
	}
}
