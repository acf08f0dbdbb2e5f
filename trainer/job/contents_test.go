package job

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/release/safetensors"
)

// What contents are to be read reaches the models by --params, on the log of a
// shop too.
func TestContentsByParams(t *testing.T) {
	dir, where := dataDir(t), t.TempDir()
	vectors, ids := filepath.Join(where, "v.safetensors"), filepath.Join(where, "ids")
	numbers, names := make([]float32, 2*100), make([]string, 100)
	for i := range names {
		names[i], numbers[2*i+i%2] = fmt.Sprintf("item-%03d", i), 1
	}
	f, err := os.Create(vectors)
	if err == nil {
		err = safetensors.Write(f, []safetensors.Named{{Name: "v", Tensor: models.TensorOf(numbers, 100, 2)}}, nil)
	}
	if err = errors.Join(err, f.Close(), os.WriteFile(ids, []byte(strings.Join(names, "\n")), 0o600)); err != nil {
		t.Fatal(err)
	}
	args := []string{
		"fit", "--data", dir, "--window-days", "60", "--json", "--ranker", "hybrid",
		"--params", "ials.content=fuse", "--params", "content.embeddings.file=" + vectors, "--params", "content.embeddings.ids=" + ids,
	}
	out, _, err := call(t, args...)
	if err != nil {
		t.Fatal(err)
	}
	var got retrained
	if err := json.Unmarshal([]byte(out), &got); err != nil || got.Version == "" {
		t.Fatalf("got %s, %v, want a release", out, err)
	}
	if err := os.WriteFile(ids, []byte(strings.Join(append(names[:99:99], "sofa"), "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := call(t, args...); err == nil || !strings.Contains(err.Error(), `1 of 100 vectors are of items that are not known, such as "sofa"`) {
		t.Errorf("got %v, want the item that is not known", err)
	}
}
