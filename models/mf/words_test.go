package mf_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/mf"
	"github.com/attune-rec/attune/models/modeltest"
)

const groups, perGroup = 4, 30

// library is readers of one subject each and books whose words say their
// subject, or nothing with noise; the last book of each subject nobody has met.
// Two more books come after the dataset.
func library(t *testing.T, noise bool) (*dataset.Dataset, features.Catalog) {
	t.Helper()
	share := 0.
	if noise {
		share = 1
	}
	return noisy(t, share, 200, 3)
}

// noisy is a library in which a share of the books has words that say nothing.
func noisy(t *testing.T, share float64, readers int, seed uint64) (*dataset.Dataset, features.Catalog) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 4))
	var b dataset.Builder
	var items []features.Item
	for i := range groups*perGroup + 2 {
		id := fmt.Sprintf("book-%d", i)
		if i < groups*perGroup {
			b.Item(id)
		}
		subject := i % groups
		if share == 1 || share > 0 && rng.Float64() < share {
			subject = rng.IntN(groups)
		}
		items = append(items, features.Item{ID: id, Title: fmt.Sprintf("subject%d shelf%d volume%d", subject, subject, rng.IntN(9))})
	}
	for u := range readers {
		for range 8 {
			book := rng.IntN(perGroup-1)*groups + u%groups
			b.Add(fmt.Sprintf("reader-%d", u), fmt.Sprintf("book-%d", book), "", features.Interaction{Type: features.Purchase, TimeMS: 1})
		}
	}
	d := b.Build()
	snapshot, err := catalog.Of(items)
	if err != nil {
		t.Fatal(err)
	}
	d.Catalog = snapshot
	return d, snapshot
}

// TestNewItems asks for items that nobody had: those of the reader's subject
// come first, of the release and of the tail, before and after a save.
func TestNewItems(t *testing.T) {
	d, books := library(t, false)
	for _, content := range []string{mf.ContentMap, mf.ContentFuse} {
		fitted := fit(t, models.FitInput{Train: d, Seed: 1, Workers: 2, Params: []byte(`{"factors":16,"content":"` + content + `"}`)})
		memory := modeltest.NewMemory()
		if err := fitted.Save(memory.Writer()); err != nil {
			t.Fatal(err)
		}
		opened, err := mf.IALS().Open(memory.Reader())
		if err != nil {
			t.Fatal(err)
		}
		for name, m := range map[string]models.Model{"fitted": fitted, "opened": opened} {
			for u := range 8 {
				r := modeltest.Request(d, u)
				r.Catalog = books
				var rows []features.Row
				for k := range groups {
					rows = append(rows, features.Row((perGroup-1)*groups+k))
				}
				rows = append(rows, groups*perGroup, groups*perGroup+1)
				got := make([]float32, len(rows))
				m.Score(r, rows, got)
				for k, row := range rows {
					if int(row)%groups != u%groups && !(got[u%groups] > got[k]) {
						t.Errorf("%s, %s, reader %d: got %v for book %d, want less than the %v of their subject's", content, name, u, got[k], row, got[u%groups])
					}
					if math.IsNaN(float64(got[k])) {
						t.Errorf("%s, %s: new book %d has no score", content, name, row)
					}
				}
			}
		}
	}
}

// TestNoiseIsNoMap has words that say nothing: the gate keeps the map out.
func TestNoiseIsNoMap(t *testing.T) {
	d, books := library(t, true)
	m := fit(t, models.FitInput{Train: d, Seed: 1, Workers: 2, Params: []byte(`{"factors":16,"content":"fuse"}`)})
	if dst := make([]float32, 16); m.EmbedItem(books.Item(0), dst) {
		t.Errorf("words that say nothing led to %v, want no vector", dst)
	}
	off := fit(t, models.FitInput{Train: d, Seed: 1, Workers: 2, Params: []byte(`{"factors":16,"content":"off"}`)})
	for i, v := range off.Vectors() {
		if m.Vectors()[i] != v {
			t.Fatalf("number %d of the vectors is %v, want %v as without contents", i, m.Vectors()[i], v)
		}
	}
}

// TestFewItemsDoNotDecideByChance has small libraries, four tenths of whose books say
// nothing: there is a map of nearly every one, and of hardly any where none says
// anything. One tenth of the books, held out, would not tell.
func TestFewItemsDoNotDecideByChance(t *testing.T) {
	const tries = 20
	mapped := map[float64]int{}
	for _, share := range []float64{.4, 1} {
		for seed := range uint64(tries) {
			d, books := noisy(t, share, 150, seed)
			m := fit(t, models.FitInput{Train: d, Seed: 1, Workers: 1, Params: []byte(`{"factors":16,"content":"map"}`)})
			if m.EmbedItem(books.Item(0), make([]float32, 16)) {
				mapped[share]++
			}
		}
	}
	if mapped[.4] < 19 || mapped[1] > 1 {
		t.Errorf("of %d libraries %d are mapped where words say something and %d where they say nothing, want 19 or more and 1 or less", tries, mapped[.4], mapped[1])
	}
}
