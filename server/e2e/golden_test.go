package e2e

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

// golden compares what was said with testdata/<name>.txt.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	if *update {
		must(t, os.WriteFile(path, got, 0o644))
		return
	}
	want, err := os.ReadFile(path)
	must(t, err)
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; if it should, rewrite it with -update and say why\ngot:\n%s\nwant:\n%s", path, got, want)
	}
}

// tell writes an answer as a person would read it.
func tell(w *bytes.Buffer, what string, items []*attunev1.RecommendedItem, next bool) {
	fmt.Fprintf(w, "%s\n", what)
	for i, it := range items {
		price := it.GetPrice()
		fmt.Fprintf(w, "  %2d. %s  %-11s %5.2f %s  %-8s %s", i+1, it.GetItem(), it.GetTitle(), float64(price.GetMicros())/1e6, price.GetCurrency(), it.GetSource(), it.GetReason().GetKind())
		for _, e := range it.GetReason().GetEvidence() {
			fmt.Fprintf(w, " %s%s%s", e.GetItem(), e.GetEventType(), e.GetName())
		}
		fmt.Fprintf(w, ": %s\n", it.GetReason().GetText())
	}
	if next {
		fmt.Fprintln(w, "  and more")
	}
	fmt.Fprintln(w)
}

// The answers of every surface, before and after an event, in words.
func TestAnswersInWords(t *testing.T) {
	dir := stock(t)
	promote(t, dir, publish(t, dir, 1, items()))
	c := start(t, config(dir))
	var w bytes.Buffer
	germany := &attunev1.Context{Market: "Germany"}
	ask := func(what string, r *attunev1.RecommendRequest) {
		resp := c.ask(t, r)
		tell(&w, what, resp.GetItems(), resp.GetNextPageToken() != "")
	}
	ask("home, a shopper who buys mugs, in Germany", &attunev1.RecommendRequest{User: somebody(4), Context: germany, Limit: 5})
	ask("home, the same in German words", &attunev1.RecommendRequest{User: somebody(4), Context: &attunev1.Context{Market: "Germany", Locale: "de-DE"}, Limit: 5})
	ask("home, the same in Chinese words", &attunev1.RecommendRequest{User: somebody(4), Context: &attunev1.Context{Market: "Germany", Locale: "zh-CN"}, Limit: 3})
	ask("home, nobody known, in France", &attunev1.RecommendRequest{Context: &attunev1.Context{Market: "France"}, Limit: 5})
	ask("item page of a scarf, nobody known", &attunev1.RecommendRequest{Item: thing(3), Context: germany, Limit: 5})
	ask("cart with a mug", &attunev1.RecommendRequest{Cart: []string{thing(2)}, User: "newcomer", Context: germany, Limit: 5})
	similar, err := c.SimilarItems(context.Background(), &attunev1.SimilarItemsRequest{Item: thing(6), Context: germany, Limit: 5})
	must(t, err)
	tell(&w, "similar to a mug", similar.GetItems(), false)

	ask("home, a newcomer in Germany", &attunev1.RecommendRequest{User: "newcomer", Context: germany, Limit: 5})
	c.collect(t, &attunev1.Event{Type: attunev1.EventType_EVENT_TYPE_VIEW, User: "newcomer", Item: thing(3)})
	ask("home, the newcomer has looked at a scarf", &attunev1.RecommendRequest{User: "newcomer", Context: germany, Limit: 5})
	c.collect(t, &attunev1.Event{Type: attunev1.EventType_EVENT_TYPE_HIDE, User: "newcomer", Item: thing(5)})
	ask("home, the newcomer does not want to see scarf No 5 again", &attunev1.RecommendRequest{User: "newcomer", Context: germany, Limit: 5})
	golden(t, "answers", w.Bytes())
}
