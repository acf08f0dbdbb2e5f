package content_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/content"
	"github.com/attune-rec/attune/models/modeltest"
	"github.com/attune-rec/attune/models/release/safetensors"
)

// files writes vectors and their items, and gives the parameters that name
// them, with more of them behind.
func files(t *testing.T, ids []string, shape []int, numbers []float32, more string) string {
	t.Helper()
	dir := t.TempDir()
	vectors, names := filepath.Join(dir, "vectors.safetensors"), filepath.Join(dir, "items.txt")
	f, err := os.Create(vectors)
	if err != nil {
		t.Fatal(err)
	}
	if err := safetensors.Write(f, []safetensors.Named{{Name: "items", Tensor: models.TensorOf(numbers, shape...)}}, nil); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(names, []byte(strings.Join(ids, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`{"embeddings": {"file": %q, "ids": %q%s}}`, vectors, names, more)
}

// The board's items with every third left out: their vectors say the colour and
// the number, so that items of one colour differ.
func TestEmbeddings(t *testing.T) {
	var ids []string
	var numbers []float32
	for i := range 50 {
		if i%3 == 0 {
			continue
		}
		own := make([]float32, 3)
		own[i%2], own[2] = 1, float32(i)/100
		ids, numbers = append(ids, fmt.Sprintf("item-%d", i)), append(numbers, own...)
	}
	for _, weight := range []string{"", `, "weight": 0.9`, `, "weight": 0`} {
		modeltest.Run(t, content.Kind(), modeltest.Options{SameContents: true, Params: files(t, ids, []int{len(ids), 3}, numbers, weight)})
	}
}

// plainShelf is eight items of two words, some without any, and vectors for
// some of them.
func plainShelf(t *testing.T) (*dataset.Dataset, []string, [][]float64) {
	t.Helper()
	titles := []string{"red mug", "red mug", "blue lamp", "blue lamp", "red lamp", "", "", "blue mug"}
	var b dataset.Builder
	items := make([]features.Item, len(titles))
	for i := range items {
		items[i] = features.Item{ID: fmt.Sprint("i", i), Title: titles[i]}
		b.Item(items[i].ID)
	}
	d := b.Build()
	var err error
	if d.Catalog, err = catalog.Of(items); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(5, 5))
	ids := []string{"i6", "i0", "i2", "i4", "i1"} // i3 and i7 have words alone, i5 nothing, i6 a vector alone
	vectors := make([][]float64, len(ids))
	for i := range vectors {
		vectors[i] = make([]float64, 4)
		for k := range vectors[i] {
			vectors[i][k] = float64(float32(rng.NormFloat64() + 2)) // a cone, as networks have it
		}
	}
	return d, ids, vectors
}

func unit(v []float64) []float64 {
	sum := 0.
	for _, x := range v {
		sum += x * x
	}
	out := make([]float64, len(v))
	for i, x := range v {
		if sum > 0 {
			out[i] = x / math.Sqrt(sum)
		}
	}
	return out
}

func dot(a, b []float64) float64 {
	sum := 0.
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}

// A dumb twin: the likeness of two items is the weighted mean of the likenesses
// of their words and of their vectors less the mean, each written out; the
// score is the sum of the likenesses to what was met.
func TestEmbeddingsAreWeighedIn(t *testing.T) {
	d, ids, vectors := plainShelf(t)
	words := fit(t, d, `{"min_docs":1,"recency":0}`).(*content.Model)
	n := d.NumItems()
	mean, others := make([]float64, 4), make([][]float64, n)
	var flat []float32
	for i, v := range vectors {
		for k, x := range unit(v) {
			mean[k] += x / float64(len(vectors))
			flat = append(flat, float32(v[k]))
		}
		vectors[i] = unit(v)
	}
	for i, id := range ids {
		row := int(id[1] - '0')
		others[row] = make([]float64, 4)
		for k := range mean {
			others[row][k] = vectors[i][k] - mean[k]
		}
		others[row] = unit(others[row])
	}
	for _, weight := range []float64{0, .3, .5, 1} {
		params := strings.Replace(files(t, ids, []int{len(ids), 4}, flat, fmt.Sprintf(`, "weight": %v`, weight)), "{", `{"min_docs":1,"recency":0,`, 1)
		m := fit(t, d, params).(*content.Model)
		both := func(row int) (own, of []float64, a, b float64) {
			own, of = make([]float64, words.Dim()), make([]float64, 4)
			for k := range own {
				own[k] = float64(words.Vectors()[row*words.Dim()+k])
			}
			a, b = math.Sqrt(1-weight), math.Sqrt(weight)
			if others[row] == nil {
				return own, of, 1, 0
			}
			if dot(own, own) == 0 {
				return own, others[row], 0, 1
			}
			return own, others[row], a, b
		}
		history := []features.Interaction{{Row: 0, Type: features.Purchase, Quantity: 1}, {Row: 3, Type: features.Purchase, Quantity: 1}, {Row: 6, Type: features.Purchase, Quantity: 1}}
		r := &features.Request{Scratch: new(features.Scratch), Item: features.NoRow, Shopper: &features.Shopper{Recent: history, Consent: features.AllPurposes}}
		rows := make([]features.Row, n)
		for i := range rows {
			rows[i] = features.Row(i)
		}
		got, want := make([]float32, n), make([]float64, n)
		m.Score(r, rows, got)
		for i := range rows {
			w1, v1, a1, b1 := both(i)
			for _, met := range history {
				w2, v2, a2, b2 := both(int(met.Row))
				want[i] += a1*a2*dot(w1, w2) + b1*b2*dot(v1, v2)
			}
		}
		for i := range want {
			if math.Abs(float64(got[i])-want[i]) > 1e-5 {
				t.Errorf("weight %v: item %d: got %v, want %v", weight, i, got, want)
			}
		}
	}
}

func TestEmbeddingsThatAreWrong(t *testing.T) {
	d := modeltest.Board(6, nil)
	two := []string{"item-0", "item-1"}
	nan, huge := float32(math.NaN()), float32(3e38)
	for name, c := range map[string]struct{ params, want string }{
		"unknown item":  {files(t, []string{"item-0", "sofa"}, []int{2, 2}, []float32{1, 0, 0, 1}, ""), `1 of 2 vectors are of items that are not known, such as "sofa": set embeddings.max_lost to 0.5`},
		"row unnamed":   {files(t, two, []int{3, 1}, []float32{1, 2, 3}, ""), "row 2 of"},
		"name too many": {files(t, append(two, "item-2"), []int{2, 1}, []float32{1, 2}, ""), `item "item-2" is number 2`},
		"twice":         {files(t, []string{"item-0", "item-0"}, []int{2, 1}, []float32{1, 2}, ""), "was there on line 1"},
		"no matrix":     {files(t, two, []int{4}, []float32{1, 2, 3, 4}, ""), "expected items by factors"},
		"too long":      {files(t, two[:1], []int{1, 5000}, make([]float32, 5000), ""), "has 5000 numbers: expected 4096 at most"},
		"NaN":           {files(t, two, []int{2, 2}, []float32{1, 0, nan, 1}, ""), `item "item-1" has length NaN`},
		"too large":     {files(t, two, []int{2, 2}, []float32{huge, huge, 1, 1}, ""), `item "item-0" has length +Inf`},
		"no such name":  {files(t, two, []int{2, 2}, []float32{1, 0, 0, 1}, `, "tensor": "pictures"`), `tensor "pictures" is not there: name one of items`},
		"weight":        {files(t, two, []int{2, 2}, []float32{1, 0, 0, 1}, `, "weight": 1.5`), "embeddings.weight is 1.5"},
		"no ids":        {`{"embeddings": {"file": "vectors.safetensors"}}`, "expected both or neither"},
		"no file":       {`{"embeddings": {"file": "none.safetensors", "ids": "none.txt"}}`, "no such file"},
	} {
		_, err := content.Fit(context.Background(), models.FitInput{Train: d, Params: json.RawMessage(c.params), Workers: 1})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got error %v, want one with %q", name, err, c.want)
		}
	}
	lost := files(t, []string{"item-0", "sofa"}, []int{2, 2}, []float32{1, 0, 0, 1}, `, "max_lost": 0.5`)
	if m := fit(t, d, lost); m.Items() != 6 {
		t.Errorf("got %d items, want 6", m.Items())
	}
}
