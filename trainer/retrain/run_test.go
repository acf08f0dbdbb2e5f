package retrain

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/kind"
	"github.com/attune-rec/attune/models/pipeline"
	"github.com/attune-rec/attune/models/release"
)

type silent struct{}

func (silent) Step(int, int, string) {}
func (silent) Done()                 {}

func watch(string) Step { return silent{} }

// shop is a store in which even shoppers buy even items and odd ones odd,
// over so many days.
func shop(t *testing.T, days int) *store.Store {
	t.Helper()
	ctx := context.Background()
	s, err := store.Open(ctx, store.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	const users, items = 40, 120
	var goods []features.Item
	for i := range items {
		goods = append(goods, features.Item{
			ID: fmt.Sprintf("item-%03d", i), Kind: features.Product, Title: []string{"red ceramic mug", "blue woollen scarf"}[i%2],
		})
	}
	if err := s.PutItems(ctx, features.DefaultShop, goods); err != nil {
		t.Fatal(err)
	}
	var events []features.Event
	random := rand.New(rand.NewPCG(1, 2))
	start := time.Date(2011, 6, 1, 0, 0, 0, 0, time.UTC)
	for day := range days {
		for u := range users {
			if (u+day)%4 != 0 {
				continue
			}
			at := start.Add(time.Duration(day)*24*time.Hour + time.Duration(u)*time.Minute)
			events = append(events, features.Event{
				Shop: features.DefaultShop, ID: fmt.Sprintf("%d-%d", day, u), Type: features.Purchase, User: features.UserKey{1, byte(u)},
				Item: fmt.Sprintf("item-%03d", random.IntN(items/2)*2+u%2), Market: "DE", Time: at, Received: at, Quantity: 1,
			})
		}
	}
	if _, err := s.Append(ctx, features.DefaultShop, events); err != nil {
		t.Fatal(err)
	}
	return s
}

// kinds are all there are.
func kinds(name string) (models.Kind, bool) {
	got, err := kind.Of(name)
	return got, err == nil
}

// shelf is an empty store of releases.
func shelf(t *testing.T) release.Store {
	t.Helper()
	to, err := release.OpenStore(context.Background(), t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := to.Close(); err != nil {
			t.Error(err)
		}
	})
	return to
}

func TestRunPublishesWhatItJudged(t *testing.T) {
	ctx := context.Background()
	s := shop(t, 150)
	to := shelf(t)
	out, err := Run(ctx, s, features.DefaultShop, to, Default(), watch)
	if err != nil {
		t.Fatal(err)
	}
	if out.Report == nil || len(out.Report.Models) != 5 {
		t.Fatalf("got report %+v, want five models judged", out.Report)
	}
	last := out.Report.Models[4]
	if last.Name != "hybrid" || !(last.Metrics["hr@10"].Value > out.Report.Models[0].Metrics["hr@10"].Value) {
		t.Errorf("got %s with %v, want the hybrid above popularity's %v", last.Name, last.Metrics["hr@10"], out.Report.Models[0].Metrics["hr@10"])
	}
	if len(last.KeepSeen) == 0 {
		t.Error("there is no table with items already bought")
	}
	opened, err := release.Open(ctx, to, features.DefaultShop, out.Version, kinds)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	m := opened.Manifest
	if m.Items != 120 || m.Lineage.Users != 40 || m.Lineage.Events != out.Events || m.Lineage.LastSeq != out.Events {
		t.Errorf("got manifest %+v", m)
	}
}

// The vectors of a release start from those served before, by the items' names;
// an item that is new among them shifts every row behind it.
func TestReleasesStartFromTheLast(t *testing.T) {
	ctx := context.Background()
	s, to := shop(t, 20), shelf(t)
	plan := Default()
	plan.Models, plan.Learnt, plan.Surface = []Spec{{Name: "factors", Kind: "ials", Params: []byte(`{"factors": 8, "epochs": 12}`)}}, false, ""
	first, err := Run(ctx, s, features.DefaultShop, to, plan, watch)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.PutItems(ctx, features.DefaultShop, []features.Item{{ID: "item-000a", Kind: features.Product, Title: "green tin"}}); err != nil {
		t.Fatal(err)
	}
	last, err := release.Open(ctx, to, features.DefaultShop, first.Version, kinds)
	if err != nil {
		t.Fatal(err)
	}
	defer last.Close()
	// Of one epoch, so that where it began shows.
	plan.Models[0].Params = []byte(`{"factors": 8, "epochs": 1}`)
	near := map[bool]float64{}
	for _, warm := range []bool{false, true} {
		own := plan
		if warm {
			own.Last = last
		}
		out, err := Run(ctx, s, features.DefaultShop, to, own, watch)
		if err != nil {
			t.Fatal(err)
		}
		if got := out.Manifest.Lineage.Parent; warm && got != first.Version {
			t.Errorf("got parent %q, want %s", got, first.Version)
		}
		r, err := release.Open(ctx, to, features.DefaultShop, out.Version, kinds)
		if err != nil {
			t.Fatal(err)
		}
		near[warm] = alike(t, last, r)
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	if !(near[true] > .95 && near[true] > near[false]+.05) {
		t.Errorf("items are as alike as in the last release to %.3f, and to %.3f where training started anew: want above .95 and more", near[true], near[false])
	}
}

// alike is the cosine of two releases' tables of cosines between items.
func alike(t *testing.T, a, b *release.Release) float64 {
	t.Helper()
	table := func(r *release.Release, x, y string) float64 {
		m, _ := r.Model("factors")
		e := m.(models.Embedder)
		vector := func(id string) []float32 {
			row, ok := r.Row(id)
			if !ok {
				t.Fatalf("no item %s", id)
			}
			return e.Vectors()[int(row)*e.Dim():][:e.Dim()]
		}
		v, w := vector(x), vector(y)
		var dot, n, k float64
		for i := range v {
			dot, n, k = dot+float64(v[i])*float64(w[i]), n+float64(v[i])*float64(v[i]), k+float64(w[i])*float64(w[i])
		}
		return dot / math.Sqrt(n*k+1e-12)
	}
	var dot, n, k float64
	for i := range 30 {
		for j := range i {
			x, y := fmt.Sprintf("item-%03d", i), fmt.Sprintf("item-%03d", j)
			v, w := table(a, x, y), table(b, x, y)
			dot, n, k = dot+v*w, n+v*v, k+w*w
		}
	}
	return dot / math.Sqrt(n*k)
}

func TestShortLogIsTrainedAndNotJudged(t *testing.T) {
	ctx := context.Background()
	s := shop(t, 20)
	to := shelf(t)
	out, err := Run(ctx, s, features.DefaultShop, to, Default(), watch)
	if err != nil {
		t.Fatal(err)
	}
	if out.Report != nil || len(out.Remarks) != 1 {
		t.Fatalf("got report %v and remarks %q, want none and one", out.Report, out.Remarks)
	}
}

func TestEmptyStoreSaysWhatToDo(t *testing.T) {
	ctx := context.Background()
	s, err := store.Open(ctx, store.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := Run(ctx, s, features.DefaultShop, nil, Default(), watch); !errors.Is(err, ErrTooLittle) {
		t.Fatalf("got %v, want ErrTooLittle", err)
	}
}

func TestBadPlans(t *testing.T) {
	p := Default()
	p.Models[4].Parts = []string{"no such model"}
	if err := p.Validate(); err == nil {
		t.Error("a hybrid of a part that is not there was taken")
	}
	p = Default()
	p.Models[0].Kind = "crystal-ball"
	if err := p.Validate(); err == nil {
		t.Error("an unknown kind was taken")
	}
}

// The gate keeps a release from being promoted that answers worse than what is
// served, lets an equal one pass, and says so in the release.
func TestGate(t *testing.T) {
	ctx := context.Background()
	s := shop(t, 150)
	to := shelf(t)
	if rival, err := Served(ctx, to, features.DefaultShop, kinds); rival != nil || err != nil {
		t.Fatalf("got %v, %v before anything is served, want neither", rival, err)
	}
	first, err := Run(ctx, s, features.DefaultShop, to, Default(), watch)
	if err != nil {
		t.Fatal(err)
	}
	if p := first.Pipeline; p == nil || p.Sessions == 0 || p.New["hr@10"].Value == 0 || p.Reach == nil || p.Reach.Value < .95 || p.Degraded != 0 {
		t.Fatalf("got answers judged %+v, want hits, the ranker's best among the candidates, and none degraded", p)
	}
	if _, err := release.Promote(ctx, to, features.DefaultShop, first.Version, release.Change{}); err != nil {
		t.Fatal(err)
	}

	run := func(plan Plan) *Outcome {
		t.Helper()
		if plan.Rival, err = Served(ctx, to, features.DefaultShop, kinds); err != nil || plan.Rival.Version != first.Version {
			t.Fatalf("got rival %+v, %v, want %s", plan.Rival, err, first.Version)
		}
		out, err := Run(ctx, s, features.DefaultShop, to, plan, watch)
		if err != nil {
			t.Fatal(err)
		}
		if !out.Gate.Compared || out.Manifest.Lineage.Parent != first.Version {
			t.Fatalf("got gate %s and parent %q", out.Gate, out.Manifest.Lineage.Parent)
		}
		kept, err := release.ReadMetrics(ctx, to, features.DefaultShop, out.Version)
		if err != nil || kept["gate/ndcg@10"].Value != out.Gate.Difference {
			t.Fatalf("got gate %v in the release, %v, want %v", kept["gate/ndcg@10"], err, out.Gate.Difference)
		}
		return out
	}
	same := run(Default())
	if err := same.Allow(); err != nil || same.Gate.Difference != 0 {
		t.Errorf("got %v, %v of the same plan, want no difference", same.Gate, err)
	}
	worse := Default()
	worse.Models, worse.Recipes = worse.Models[:1], pipeline.Defaults()
	out := run(worse)
	if err := out.Allow(); !errors.Is(err, ErrWorse) || out.Gate.High >= 0 {
		t.Errorf("got %v, %v of popularity alone, want ErrWorse", out.Gate, err)
	}
}

// What happens at a time and later has no part in a release that learnt until
// then: it is the release of a shop whose log ends there.
func TestUntilIsTheEndOfTheLog(t *testing.T) {
	ctx := context.Background()
	to := shelf(t)
	plan := Default()
	short, err := Run(ctx, shop(t, 120), features.DefaultShop, to, plan, watch)
	if err != nil {
		t.Fatal(err)
	}
	plan.Until = time.Date(2011, 6, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, 120)
	cut, err := Run(ctx, shop(t, 150), features.DefaultShop, to, plan, watch)
	if err != nil {
		t.Fatal(err)
	}
	if cut.Events != short.Events || !cut.Manifest.Lineage.DataTo.Before(plan.Until) {
		t.Fatalf("got %d events to %v, want %d to before %v", cut.Events, cut.Manifest.Lineage.DataTo, short.Events, plan.Until)
	}
	sums := map[string]string{}
	for _, f := range short.Manifest.Files {
		sums[f.Path] = f.SHA256
	}
	for _, f := range cut.Manifest.Files {
		if strings.HasSuffix(f.Path, ".safetensors") && sums[f.Path] != f.SHA256 {
			t.Errorf("%s differs from that of the log that ends there", f.Path)
		}
	}
}

// A blind plan on the log before the window is the models that a judging one
// judges in it: the same weights, chosen on the days before.
func TestBlindPlanHasTheWeightsOfTheJudged(t *testing.T) {
	ctx := context.Background()
	to := shelf(t)
	s := shop(t, 150)
	judged, err := Run(ctx, s, features.DefaultShop, to, Default(), watch)
	if err != nil {
		t.Fatal(err)
	}
	plan := Default()
	plan.Blind, plan.Until = true, judged.Manifest.Lineage.DataTo.Add(-plan.Window)
	blind, err := Run(ctx, s, features.DefaultShop, to, plan, watch)
	if err != nil {
		t.Fatal(err)
	}
	if blind.Report != nil || blind.Pipeline != nil {
		t.Error("a blind plan was judged")
	}
	if got, want := blind.Weights["hybrid"], judged.Weights["hybrid"]; len(got) == 0 || !maps.Equal(got, want) {
		t.Errorf("got weights %v, want %v", got, want)
	}
}
