package shop

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/models/pipeline/rule"
)

// The rules compile, and are stored as the server reads them.
func TestRulesAreStored(t *testing.T) {
	ctx := context.Background()
	st, err := store.Open(ctx, store.Options{Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if err := PutRules(ctx, st); err != nil {
		t.Fatal(err)
	}
	set, err := st.GetRuleSet(ctx, features.DefaultShop, "home")
	if err != nil {
		t.Fatal(err)
	}
	var body struct{ Rules []rule.Rule }
	if err := json.Unmarshal(set.Body, &body); err != nil || len(body.Rules) != 5 {
		t.Errorf("got %d rules, %v, want 5", len(body.Rules), err)
	}
}
