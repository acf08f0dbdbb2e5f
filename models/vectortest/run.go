// Package vectortest is the suite that every vector index passes: Run. It
// imports models and what lies below. found.go asks what searches find, calls.go
// how they may be called, words.go after attributes, tail.go after newer and
// deleted rows; twin.go is the plain scan that answers are compared with.
package vectortest

import (
	"testing"

	"github.com/attune-rec/attune/models"
)

// Options says what the suite may expect of an index.
type Options struct {
	// Build indexes vecs, row-major with dim numbers a row; row i is
	// features.Row(i). The suite closes it.
	Build func(t *testing.T, vecs []float32, dim int) models.Index
	// BuildAttr is Build of an index that reads words: attr holds the values of each
	// row, by the attribute's name. nil: there is none.
	BuildAttr func(t *testing.T, vecs []float32, dim int, attr map[string][][]string) models.Index
	// Rows is the size of the larger sets; 0 means 3000.
	Rows int
	// Recall is the least share of the true best rows that searches without
	// and with filters must find; 0 means 1, found exactly.
	Recall float64
	// Allocates says that a steady search may allocate.
	Allocates bool
	// Few says that building takes long: fewer sizes are tried.
	Few bool
	// Parallel says that building mostly waits: the parts run beside one another.
	Parallel bool
}

const (
	seed = 11
	dim  = 24
	top  = 20
)

// Run holds the index to the contract of models.Index, and of models.Tail where
// it implements that, against a scan in float64.
func Run(t *testing.T, o Options) {
	t.Helper()
	if o.Rows == 0 {
		o.Rows = 3000
	}
	if o.Recall == 0 {
		o.Recall = 1
	}
	for _, part := range []struct {
		what string
		run  func(t *testing.T)
	}{
		{"finds the best", o.best},
		{"filters", o.filters},
		{"filter against the query", o.opposed},
		{"filter in words", o.words},
		{"words that are out of date", o.wordsBefore},
		{"words that cannot be read", o.wordsAlone},
		{"ties by row", o.ties},
		{"small and odd sizes", o.sizes},
		{"refuses bad queries", o.refuses},
		{"appends to dst", o.appends},
		{"many equal single", o.many},
		{"ended context", o.ended},
		{"concurrent searches", o.concurrent},
		{"steady searches do not allocate", o.steady},
		{"tail", o.tail},
		{"tail beside searches", o.beside},
	} {
		t.Run(part.what, func(t *testing.T) {
			if o.Parallel {
				t.Parallel()
			}
			part.run(t)
		})
	}
}

func (o Options) build(t *testing.T, vecs []float32, dim int) models.Index {
	t.Helper()
	x := o.Build(t, vecs, dim)
	t.Cleanup(func() {
		if err := x.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return x
}
