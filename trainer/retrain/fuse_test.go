package retrain

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/pipeline"
	"github.com/attune-rec/attune/models/release"
)

// What a plan says of its factors is what is trained, judged and published,
// and what the gate trains anew of a release that is served: fused factors are
// not those that words merely lead to.
func TestFactorsFusedWithContents(t *testing.T) {
	ctx := context.Background()
	s := shop(t, 20)
	to := shelf(t)
	factors := func(params string) []float32 {
		t.Helper()
		plan := Default()
		at := slices.IndexFunc(plan.Models, func(s Spec) bool { return s.Name == pipeline.ModelFactors })
		plan.Models[at].Params = json.RawMessage(params)
		out, err := Run(ctx, s, features.DefaultShop, to, plan, watch)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := release.Promote(ctx, to, features.DefaultShop, out.Version, release.Change{}); err != nil {
			t.Fatal(err)
		}
		rival, err := Served(ctx, to, features.DefaultShop, kinds)
		if err != nil {
			t.Fatal(err)
		}
		if again := rival.Plan.Models[slices.IndexFunc(rival.Plan.Models, func(s Spec) bool { return s.Name == pipeline.ModelFactors })]; string(again.Params) != params {
			t.Errorf("got parameters %s of what is served, want %s", again.Params, params)
		}
		opened, err := release.Open(ctx, to, features.DefaultShop, out.Version, kinds)
		if err != nil {
			t.Fatal(err)
		}
		defer opened.Close()
		for _, part := range opened.Models() {
			if part.Name == pipeline.ModelFactors {
				return slices.Clone(part.Model.(models.Embedder).Vectors())
			}
		}
		t.Fatal("the release has no factors")
		return nil
	}
	led, fused := factors(`{"content":"map","factors":8}`), factors(`{"content":"fuse","factors":8}`)
	if len(led) != len(fused) || fmt.Sprint(led) == fmt.Sprint(fused) {
		t.Errorf("got %d and %d numbers, the same %t: want as many and others", len(led), len(fused), slices.Equal(led, fused))
	}
	plan := Default()
	plan.Models[1].Params = json.RawMessage(`{"content":"stir"}`)
	if _, err := Run(ctx, s, features.DefaultShop, to, plan, watch); err == nil || !strings.Contains(err.Error(), `content is "stir"`) {
		t.Errorf("got %v, want what content may be", err)
	}
}
