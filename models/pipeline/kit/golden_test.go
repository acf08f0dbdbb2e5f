package kit_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
	"github.com/attune-rec/attune/models/pipeline"
)

var update = flag.Bool("update", false, "rewrite the answers in testdata")

// TestGolden answers the requests in testdata. A file has a request, a line per
// word, then "----", then the answer.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("got %d files, %v, want some", len(files), err)
	}
	cat := shelf(t, nil)
	env := environment(t, nil)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			asked, want, _ := strings.Cut(string(raw), "----\n")
			r := parse(t, cat, asked)
			p := build(t, recipe(t, r.Surface), env, pipeline.Options{})
			got := render(cat, answer(t, p, r))
			if *update {
				if err := os.WriteFile(file, []byte(asked+"----\n"+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func parse(t *testing.T, cat *catalog.Snapshot, text string) *features.Request {
	t.Helper()
	r := request(cat, nil)
	row := func(id string) features.Row {
		row, ok := cat.Row(id)
		if !ok {
			t.Fatalf("no item %q", id)
		}
		return row
	}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		switch words[0] {
		case "surface":
			r.Surface = words[1]
		case "market":
			r.Market = words[1]
		case "limit":
			n, err := strconv.Atoi(words[1])
			if err != nil {
				t.Fatal(err)
			}
			r.Limit = n
		case "item":
			r.Item = row(words[1])
		case "cart":
			for _, id := range words[1:] {
				r.Cart = append(r.Cart, row(id))
			}
		case "exclude":
			for _, id := range words[1:] {
				r.Exclude = append(r.Exclude, row(id))
			}
		case "history":
			r.Shopper = &features.Shopper{Consent: features.AllPurposes}
			for i, w := range words[1:] {
				name, id, _ := strings.Cut(w, ":")
				what, err := features.ParseEventType(name)
				if err != nil {
					t.Fatal(err)
				}
				r.Shopper.Recent = append(r.Shopper.Recent, features.Interaction{
					Row: row(id), Type: what, TimeMS: now.Add(time.Duration(i-100) * time.Hour).UnixMilli(), Quantity: 1,
				})
			}
		case "consent":
			r.Shopper.Consent = 0
		default:
			t.Fatalf("unknown word %q", words[0])
		}
	}
	return r
}

func render(cat *catalog.Snapshot, ans *pipeline.Answer) string {
	var b strings.Builder
	for i, it := range ans.Items {
		fmt.Fprintf(&b, "%d %s score %.3f source %s", i+1, cat.ID(it.Row), it.Score, it.Source)
		if w := it.Reason; w.Kind != "" {
			fmt.Fprintf(&b, " %s", w.Kind)
			if w.Item != features.NoRow {
				fmt.Fprintf(&b, " %s", cat.ID(w.Item))
			}
			if w.Type != features.EventUnknown {
				fmt.Fprintf(&b, " (%s)", w.Type)
			}
			if w.Name != "" {
				fmt.Fprintf(&b, " %q", w.Name)
			}
		}
		b.WriteByte('\n')
	}
	for _, d := range ans.Degraded {
		fmt.Fprintf(&b, "degraded %s: %s\n", d.Component, d.Why)
	}
	fmt.Fprintf(&b, "considered %d\n", ans.Considered)
	return b.String()
}
