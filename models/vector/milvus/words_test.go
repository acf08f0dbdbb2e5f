package milvus

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// Words by class are what a look at every row's values finds, and their
// fingerprint is theirs alone.
func TestWordsAgainstTwin(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	for _, rows := range []int{1, 63, 64, 65, 1000} {
		said := map[string][][]string{"kind": make([][]string, rows), "path": make([][]string, rows)}
		attr := map[string]func(int) []string{}
		for name, lists := range said {
			for i := range lists {
				for range rng.IntN(4) {
					lists[i] = append(lists[i], fmt.Sprint("v", rng.IntN(5)))
				}
			}
			attr[name] = func(row int) []string { return lists[row] }
		}
		w := newWords(nil, rows, attr)
		for range 200 {
			ask := map[string][]string{}
			for _, name := range []string{"kind", "path", "unknown"} {
				for range rng.IntN(4) {
					ask[name] = append(ask[name], fmt.Sprint("v", rng.IntN(6)))
				}
			}
			mask, expr := w.where(ask)
			if known := ask["kind"] != nil || ask["path"] != nil; known != (mask != nil) || known != (expr != "") {
				t.Fatalf("%d rows, %v: got mask %v and expression %q", rows, ask, mask != nil, expr)
			}
			if mask == nil {
				continue
			}
			for i := range rows {
				has := true
				for name, lists := range said {
					has = has && (ask[name] == nil || slices.ContainsFunc(lists[i], func(v string) bool { return slices.Contains(ask[name], v) }))
				}
				if got := mask[i/64]>>(i%64)&1 == 1; got != has {
					t.Fatalf("%d rows, %v, row %d: got %v, want %v", rows, ask, i, got, has)
				}
			}
		}
		known := w.fingerprint()
		if again := newWords(nil, rows, attr).fingerprint(); again != known {
			t.Errorf("the same words: got fingerprints %s and %s", known, again)
		}
		at := rng.IntN(rows)
		said["kind"][at] = append(slices.Clone(said["kind"][at]), "another")
		if other := newWords(nil, rows, attr).fingerprint(); other == known {
			t.Errorf("other words: got the fingerprint %s again", known)
		}
		if none := newWords(nil, rows, nil).fingerprint(); none != "" {
			t.Errorf("no words: got fingerprint %s, want none", none)
		}
	}
}

// A category with all below it is one range of classes.
func TestPrefixesAreRanges(t *testing.T) {
	var paths [][]string
	for i := range 27 {
		paths = append(paths, []string{fmt.Sprint(i / 9), fmt.Sprintf("%d/%d", i/9, i/3), fmt.Sprintf("%d/%d/%d", i/9, i/3, i)})
	}
	rand.New(rand.NewPCG(1, 1)).Shuffle(len(paths), func(i, j int) { paths[i], paths[j] = paths[j], paths[i] })
	w := newWords(nil, len(paths), map[string]func(int) []string{"path": func(row int) []string { return paths[row] }})
	for value, want := range map[string]string{
		"1": "attr_path >= 9 and attr_path < 18", "1/4": "attr_path >= 12 and attr_path < 15", "1/4/13": "attr_path >= 13 and attr_path < 14", "none": "attr_path in []",
	} {
		if _, got := w.where(map[string][]string{"path": {value}}); got != want {
			t.Errorf("%s: got %q, want %q", value, got, want)
		}
	}
	if _, got := w.where(map[string][]string{"path": {"0/0/0", "2/8/26"}}); got != "attr_path in [0,26]" {
		t.Errorf("two leaves: got %q", got)
	}
}
