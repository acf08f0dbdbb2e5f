package attribute

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models/nn"
)

// sorted is a catalogue of items of three sorts.
func sorted(t *testing.T, items int) *dataset.Dataset {
	t.Helper()
	var b dataset.Builder
	list := make([]features.Item, items)
	for i := range items {
		b.Item(fmt.Sprint(i))
		list[i] = features.Item{ID: fmt.Sprint(i), Category: []string{"all", fmt.Sprint("sort", i%3)}, Attributes: map[string]string{"x": "y", "u": fmt.Sprint(i)}}
	}
	d := b.Build()
	var err error
	if d.Catalog, err = catalog.Of(list); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestWhatItemsShare(t *testing.T) {
	a := Of(sorted(t, 30))
	if a.Names() != 3 {
		t.Fatalf("got %d attributes, want the three sorts: what all or one alone have says nothing", a.Names())
	}
	for i := range 30 {
		if ids := a.Row(int32(i)); len(ids) != 1 || ids[0] != int32(i%3) {
			t.Errorf("item %d: got attributes %v, want %d", i, ids, i%3)
		}
	}
	d := sorted(t, 30)
	d.Catalog = nil
	if Of(d) != nil {
		t.Error("got attributes without a catalogue")
	}
}

// Distribute is the transpose of Compose: what finite differences of a linear
// map would show, exactly.
func TestDistributeIsTheTranspose(t *testing.T) {
	a := &Table{ptr: []int32{0, 2, 2, 5}, ids: []int32{0, 3, 1, 2, 3}, names: 4}
	rng := rand.New(rand.NewPCG(1, 1))
	own, attrs, whole := nn.NewParam[float32]("own", 3, 2).Normal(rng, 1), nn.NewParam[float32]("attrs", 4, 2).Normal(rng, 1), nn.NewParam[float32]("whole", 3, 2)
	a.Compose(own, attrs, whole, 2)
	left := 0.
	for i := range whole.G {
		whole.G[i] = float32(rng.NormFloat64())
		left += float64(whole.W[i] * whole.G[i])
	}
	a.Distribute(own, attrs, whole)
	right := 0.
	for i, w := range own.W {
		right += float64(w * own.G[i])
	}
	for i, w := range attrs.W {
		right += float64(w * attrs.G[i])
	}
	if math.Abs(left-right) > 1e-5 {
		t.Errorf("got a product of %v with the weights, want %v as with the items", right, left)
	}
	for i, g := range whole.G {
		if g != 0 {
			t.Fatalf("gradient %d of the items: got %v left, want none", i, g)
		}
	}
}
