package job

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
)

// In Germany bread goes with butter, in France with jam, and from July on with
// nothing; the rules of a shop tell them apart.
func TestRulesOfAShop(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	s, err := store.Open(ctx, store.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	var goods []features.Item
	for i, id := range []string{"bread", "butter", "jam", "tea"} {
		goods = append(goods, features.Item{ID: id, Kind: features.Product, Title: "a " + id, Prices: map[string]features.Money{"": features.MoneyOf(float64(i)+1.5, "EUR")}})
	}
	if err := s.PutItems(ctx, features.DefaultShop, goods); err != nil {
		t.Fatal(err)
	}
	var events []features.Event
	buy := func(order int, market string, month time.Month, items ...string) {
		for _, id := range items {
			events = append(events, features.Event{
				Type: features.Purchase, User: features.UserKey{1, byte(order)}, Order: fmt.Sprint(order), Item: id, Market: market, Quantity: 1,
				Time: time.Date(2026, month, 3, 9, 0, 0, 0, time.UTC),
			})
		}
	}
	for n := range 20 {
		buy(4*n, "DE", time.May, "bread", "butter")
		buy(4*n+1, "FR", time.May, "bread", "jam")
		buy(4*n+2, "DE", time.July, "bread")
		buy(4*n+3, []string{"DE", "FR"}[n%2], time.May, "tea")
	}
	if _, err := s.Append(ctx, features.DefaultShop, events); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	rules := func(args ...string) (r rulesReport) {
		t.Helper()
		reply(t, &r, append([]string{"rules", "--data", dir, "--min-support", ".1", "--min-confidence", ".6"}, args...)...)
		return r
	}
	if r := rules("--market", "DE", "--to", "2026-06-01"); r.Baskets != 30 || r.Rules.Total != 2 || r.Top[0].Lift != 1.5 {
		t.Errorf("Germany in May: got %+v, want bread and butter both ways in 30 baskets", r)
	}
	bundles := filepath.Join(t.TempDir(), "bundles.jsonl")
	if r := rules("--market", "FR", "--bundles", bundles); r.Baskets != 30 || r.Rules.Total != 2 {
		t.Errorf("France: got %+v", r)
	}
	if r := rules("--from", "2026-07-01"); r.Baskets != 20 || r.Rules.Total != 0 {
		t.Errorf("July: got %+v, want 20 baskets and nothing that goes together", r)
	}
	text, err := os.ReadFile(bundles)
	if err != nil {
		t.Fatal(err)
	}
	var b proposed
	if lines := strings.Count(string(text), "\n"); lines != 1 {
		t.Fatalf("got %d bundles, want one for both ways", lines)
	}
	if err := json.Unmarshal(text, &b); err != nil || b.Kind != "bundle" || fmt.Sprint(b.Links) != "[bread jam]" || b.Price != "5.00" || b.Title != "a bread + a jam" {
		t.Errorf("got %+v, %v", b, err)
	}
	for _, wrong := range [][]string{{}, {"--data", dir, bundles}, {bundles, "--market", "DE"}, {"--data", dir, "--market", "XX"}, {"--data", dir, "--from", "2026-07-01", "--to", "2026-06-01"}} {
		if _, _, err := call(t, append([]string{"rules"}, wrong...)...); err == nil {
			t.Errorf("%v was accepted", wrong)
		}
	}
}
