package shape

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
)

// TestDrawsRepeat wants the same draw of the same seed, another of another, and
// about as many interactions as asked for.
func TestDrawsRepeat(t *testing.T) {
	for _, s := range invented() {
		source, err := s.Data("")
		if err != nil {
			t.Fatal(err)
		}
		draw := func(seed uint64) *dataset.Dataset {
			d, err := source.Draw(500, seed)
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
		a, b, c := draw(1), draw(1), draw(2)
		if !slices.Equal(a.Log, b.Log) || !slices.Equal(a.Items, b.Items) {
			t.Errorf("%s: two draws of one seed differ", s.Name)
		}
		if slices.Equal(a.Log, c.Log) {
			t.Errorf("%s: draws of two seeds are the same", s.Name)
		}
		if n := len(a.Log); n < 500 || n > 560 {
			t.Errorf("%s: got %d interactions, want 500 and at most one user's more", s.Name, n)
		}
	}
}

// TestOnlyWhatIsKnownIsAsked wants whatever is asked for to be in nobody's both
// parts and in somebody's training.
func TestOnlyWhatIsKnownIsAsked(t *testing.T) {
	shapes := All()
	if testing.Short() {
		shapes = invented() // the public files take their time to read
	}
	for _, s := range shapes {
		source, err := s.Data(publicData())
		if errors.Is(err, fs.ErrNotExist) {
			t.Logf("%s: skipped, %v", s.Name, err)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		d, err := source.Draw(1000, 3)
		if err != nil {
			t.Fatal(err)
		}
		train, test := s.Ask.Part(d, 3)
		if len(train.Log)+len(test.Log) > len(d.Log) {
			t.Errorf("%s: parts have %d and %d interactions of %d", s.Name, len(train.Log), len(test.Log), len(d.Log))
		}
		met := features.NewBitmap(d.NumItems())
		for i := range train.Log {
			met.Set(train.Log[i].Row)
		}
		for i := range test.Log {
			if d.Catalog == nil && !met.Has(test.Log[i].Row) {
				t.Fatalf("%s: item %s is to be found and nobody has it in training", s.Name, d.Items[test.Log[i].Row])
			}
		}
		for u := range d.Users {
			if own, later := train.History(u), test.History(u); s.Ask == Next && len(own) > 0 && len(later) > 0 && own[len(own)-1].TimeMS >= later[0].TimeMS {
				t.Fatalf("%s: user %s has something in training from the time that is asked for", s.Name, d.Users[u])
			}
		}
	}
}

func publicData() string {
	if dir := os.Getenv("ATTUNE_PUBLIC_DATA"); dir != "" {
		return dir
	}
	return "../../../../shared/data"
}
