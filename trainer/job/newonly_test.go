package job

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/attune-rec/attune/features/dataset"
)

// TestTheOrderOfAFileTellsWhatManyHave shows why equal scores of items that
// nobody had are not ranked by row: rows are numbered as the file first names an
// item, which is sooner the more users have it, the held-out ones among them.
func TestTheOrderOfAFileTellsWhatManyHave(t *testing.T) {
	root := os.Getenv("ATTUNE_PUBLIC_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "data")
	}
	path := filepath.Join(root, "citeulike-t", "cf-train-10-users.dat.xz")
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no %s: set ATTUNE_PUBLIC_DATA to the folder of public data sets", path)
	}
	l := &dataset.Loader{Format: dataset.Counted}
	rows, err := l.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	d := l.Dataset(rows)
	s, err := dataset.Part(d, dataset.Cut{Method: dataset.NewItems, Share: .1, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	users := make([]float64, d.NumItems()) // of each left-out item
	for i := range s.Test.Log {
		users[s.Test.Log[i].Row]++
	}
	var left []float64
	all := 0.
	for _, n := range users {
		if n > 0 {
			left, all = append(left, n), all+n
		}
	}
	sum := func(v []float64) (total float64) {
		for _, x := range v {
			total += x
		}
		return total
	}
	tenth := len(left) / 10
	first, last := sum(left[:tenth])/float64(tenth), sum(left[len(left)-tenth:])/float64(tenth)
	t.Logf("%d left-out items: the first tenth of rows has %.1f users each, the last %.1f; the first 100 hold %.1f %% of what is to be found, by chance %.1f %%",
		len(left), first, last, 100*sum(left[:100])/all, 100*100/float64(len(left)))
	if first < 2*last {
		t.Errorf("the first tenth of left-out rows has %.1f users each, the last %.1f: want a file whose order tells, else there is nothing to draw", first, last)
	}
}
