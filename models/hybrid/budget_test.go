package hybrid

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/attune-rec/attune/models"
)

// TestNoPartIsKnownToTakeMoreThanItMay wants every part that is tried to fit in
// the memory, the story to tell of the others, and popularity to be tried
// whatever there is; and where memory is plenty, nothing shrunk.
func TestNoPartIsKnownToTakeMoreThanItMay(t *testing.T) {
	f := Facts{Users: 2_000_000, Items: 400_000, Pairs: 8_000_000, Density: 1e-5, Timed: true, Words: true, Order: 1}
	tried := map[int]int{}
	for _, mb := range []int{1, 300, 1500, 4000, 1_000_000} {
		p := Defaults()
		p.MemoryMB = mb
		all := candidates(f, p)
		ok, dear := within(all, p)
		tried[mb] = len(ok)
		popular := false
		for _, c := range ok {
			if c.bytes > p.bytes() || c.seconds > oneNetwork*p.BudgetSeconds {
				t.Errorf("%d MB: %s is tried and takes %.0f MB, %.0f s", mb, c.Name, c.bytes/(1<<20), c.seconds)
			}
			popular = popular || c.Kind == cold
		}
		if !popular {
			t.Errorf("%d MB: popularity is not tried", mb)
		}
		if len(ok)+len(dear) != len(all) {
			t.Errorf("%d MB: %d parts are tried and %d told of, want %d together", mb, len(ok), len(dear), len(all))
		}
		for _, d := range dear {
			if !strings.Contains(d.Why, "not tried: it would take") {
				t.Errorf("%d MB: %s is left out because %q", mb, d.Name, d.Why)
			}
		}
	}
	if tried[1] != 1 || tried[1] >= tried[300] || tried[300] > tried[4000] || tried[4000] > tried[1_000_000] {
		t.Errorf("got %v parts tried by MB, want popularity alone of 1 and more of more", tried)
	}
	sized := func(mb int, name, param string) float64 {
		p := Defaults()
		p.MemoryMB = mb
		for _, c := range candidates(f, p) {
			if c.Name == prefix+name {
				var params map[string]any
				if len(c.Params) > 0 {
					if err := json.Unmarshal(c.Params, &params); err != nil {
						t.Fatal(err)
					}
				}
				v, _ := params[param].(float64)
				return v
			}
		}
		t.Fatalf("no part %s", name)
		return 0
	}
	if few, many := sized(1500, "factors", "factors"), sized(1_000_000, "factors", "factors"); !(few >= fewest16 && few < many) {
		t.Errorf("got %v factors of 1,500 MB and %v of plenty, want fewer", few, many)
	}
	for _, c := range [][2]string{{"low-pass", "factors"}, {"paths", "neighbours"}} {
		if few, many := sized(1500, c[0], c[1]), sized(1_000_000, c[0], c[1]); few <= 0 || many != 0 {
			t.Errorf("%s: got %s of %v for 1,500 MB and %v for plenty, want some and what it takes by itself", c[0], c[1], few, many)
		}
	}
}

// TestTheStoryTellsOfTheBudget has a shop whose regression of items on items
// does not fit in a megabyte.
func TestTheStoryTellsOfTheBudget(t *testing.T) {
	d := histories(400, 6, false)
	for i := range 400 {
		d.Items = append(d.Items, string(rune('a'+i))) // that nobody had
	}
	m, err := Fit(context.Background(), models.FitInput{Train: d, Params: json.RawMessage(`{"memory_mb": 1}`), Seed: 1, Workers: 1, Kinds: kinds})
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range m.(*Model).Parts() {
		if part.Model.Kind() == "ease" {
			t.Error("got a regression of 412 items in a megabyte")
		}
	}
	if account := strings.Join(m.(*Model).Account(), "\n"); !strings.Contains(account, "memory_mb allows 1") {
		t.Errorf("got account %s, want it to say what did not fit", account)
	}
}
