package job

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models/release"
	"github.com/attune-rec/attune/trainer/tune"
)

func TestTune(t *testing.T) {
	data, state := file(t, "halves.csv", halves()), filepath.Join(t.TempDir(), "state.json")
	args := []string{"tune", "--train", data, "--model", "path-knn", "--params", "path-knn.neighbours=20", "--metric", "ndcg@5", "--trials", "6", "--state", state}
	text, _, err := call(t, args...)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text, "with the defaults") || !strings.Contains(text, `"neighbours":20`) {
		t.Errorf("got %s", text)
	}
	raw, _, err := call(t, append(args, "--json")...)
	if err != nil {
		t.Fatal(err)
	}
	var got tune.Outcome
	if err := json.Unmarshal([]byte(raw), &got); err != nil {
		t.Fatal(err)
	}
	if got.Resumed != len(got.Trials) || got.Value < got.Defaults || got.Metric != "ndcg@5" {
		t.Errorf("got %+v, want all resumed and no worse than the defaults", got)
	}
	for want, bad := range map[string][]string{
		"nothing to vary":        {"--model", "imported"},
		"expected one kind":      {"--model", "ials,ease"},
		"unknown kind":           {"--model", "crystal-ball"},
		"trials is 1":            {"--model", "ials", "--trials", "1"},
		"no model is called":     {"--model", "ials", "--params", "ease.ridge=1"},
		"unknown metric \"x\"":   {"--model", "ials", "--metric", "x"},
		"the file is of another": {"--model", "ease", "--state", state},
	} {
		if _, _, err := call(t, append([]string{"tune", "--train", data}, bad...)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %v, want %s", bad, err, want)
		}
	}
}

// The default recipe tells how it chose, gives parameters that make it again,
// and keeps its own parts in the release.
func TestHybridChoosesAndIsKept(t *testing.T) {
	data, dir := file(t, "halves.csv", halves()), t.TempDir()
	text, _, err := call(t, "evaluate", "--train", data, "--model", "hybrid", "--metric", "ndcg@5")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text, "how hybrid was chosen") || !strings.Contains(text, "hybrid.popular") {
		t.Errorf("got %s", text)
	}
	raw, _, err := call(t, "fit", "--train", data, "--model", "ials,hybrid", "--releases", dir, "--json")
	if err != nil {
		t.Fatal(err)
	}
	var sum fitSummary
	if err := json.Unmarshal([]byte(raw), &sum); err != nil {
		t.Fatal(err)
	}
	store, err := release.OpenStore(context.Background(), dir, "")
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	opened, err := release.Open(context.Background(), store, features.DefaultShop, sum.Version, kinds)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	if _, ok := opened.Model("hybrid.popular"); !ok {
		t.Errorf("got %s, want the hybrid's parts in it", opened)
	}
	if _, ok := opened.Model("hybrid"); !ok {
		t.Errorf("got %s, want the hybrid in it", opened)
	}
}

// Among items that nobody has met, popularity knows nothing: it gets what chance
// gives, and not what the order of the file would tell it.
func TestEvaluateNewItemsOnly(t *testing.T) {
	data := file(t, "halves.csv", halves())
	judged := func(more ...string) (cold int, recall float64, remarks string) {
		t.Helper()
		raw, _, err := call(t, append([]string{"evaluate", "--train", data, "--split", "new-items", "--share", "0.3", "--new-only", "--model", "popular,ials", "--metric", "recall@5", "--json"}, more...)...)
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Dataset struct {
				ColdItems int `json:"cold_items"`
				Remarks   []string
			}
			Models []struct {
				Name    string
				Metrics map[string]struct{ Value float64 }
			}
		}
		if err := json.Unmarshal([]byte(raw), &got); err != nil {
			t.Fatal(err)
		}
		if len(got.Models) != 2 {
			t.Fatalf("got %+v, want two models judged", got)
		}
		return got.Dataset.ColdItems, got.Models[0].Metrics["recall@5"].Value, strings.Join(got.Dataset.Remarks, "; ")
	}
	cold, recall, remarks := judged()
	if cold == 0 || !strings.Contains(remarks, "of equal scores: drawn") {
		t.Errorf("got %d items that nobody had and remarks %q", cold, remarks)
	}
	if _, drawn, _ := judged("--ties", "drawn"); recall != drawn {
		t.Errorf("got recall %v, want %v as with drawn ties", recall, drawn)
	}
	if _, byRow, _ := judged("--ties", "row"); recall == byRow {
		t.Errorf("got recall %v, the same as in the order of the file", recall)
	}
}
