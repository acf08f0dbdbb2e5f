package rules_test

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/ulikunitz/xz"

	"github.com/attune-rec/attune/models/rules"
)

// openData opens an .xz file of the reference data beside the repository, or
// skips the test when the data is not there.
func openData(t testing.TB, name string) io.Reader {
	t.Helper()
	root := os.Getenv("ATTUNE_PUBLIC_DATA")
	if root == "" {
		root = "../../../shared/data"
	}
	f, err := os.Open(filepath.Join(root, name))
	if os.IsNotExist(err) {
		t.Skipf("no reference data: %s is not below %s; set ATTUNE_PUBLIC_DATA to the data folder", name, root)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	r, err := xz.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func readData(t testing.TB, name, separator string) (*rules.Baskets, *rules.Dictionary) {
	t.Helper()
	b, d, err := rules.ReadBaskets(openData(t, name), separator)
	if err != nil {
		t.Fatal(err)
	}
	return b, d
}

func ratio(t testing.TB, text string) rules.Ratio {
	t.Helper()
	r, err := rules.ParseRatio(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
