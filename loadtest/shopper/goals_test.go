package shopper_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/loadtest/shopper"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/eval"
	"github.com/attune-rec/attune/models/multitask"
	attunev1 "github.com/attune-rec/attune/proto/attune/v1"
)

// chance is a server that answers with items drawn evenly, and remembers what
// became of them.
type chance struct {
	items  []string
	random *rand.Rand
	log    dataset.Builder
	at     int64
}

func (c *chance) Stock(_ context.Context, _ string, items []*attunev1.Item) error {
	for _, it := range items {
		c.items = append(c.items, it.GetId())
		c.log.Item(it.GetId())
	}
	return nil
}

func (c *chance) Recommend(_ context.Context, r *attunev1.RecommendRequest) (*attunev1.RecommendResponse, error) {
	resp := &attunev1.RecommendResponse{RecommendationId: "r", Release: "chance"}
	for _, i := range c.random.Perm(len(c.items))[:r.GetLimit()] {
		resp.Items = append(resp.Items, &attunev1.RecommendedItem{Item: c.items[i], Source: "chance"})
	}
	return resp, nil
}

func (c *chance) Collect(_ context.Context, _ string, events []*attunev1.Event) error {
	types := map[attunev1.EventType]features.EventType{
		attunev1.EventType_EVENT_TYPE_IMPRESSION: features.Impression, attunev1.EventType_EVENT_TYPE_CLICK: features.Click,
		attunev1.EventType_EVENT_TYPE_CART_ADD: features.CartAdd, attunev1.EventType_EVENT_TYPE_PURCHASE: features.Purchase,
	}
	for _, e := range events {
		kind, ok := types[e.GetType()]
		if !ok || e.GetUser() == "" {
			continue
		}
		c.at += 1000
		c.log.Add(e.GetUser(), e.GetItem(), "", features.Interaction{Type: kind, TimeMS: 1_700_000_000_000 + c.at, Quantity: 1})
	}
	return nil
}

// simulated is the log of a shop that answers by chance, and the truth.
func simulated(t *testing.T) (*shopper.World, *dataset.Dataset) {
	t.Helper()
	w, err := shopper.NewWorld(shopper.Options{Seed: 11, Items: 400, Shoppers: 600, Choosy: .8})
	if err != nil {
		t.Fatal(err)
	}
	c := &chance{random: rand.New(rand.NewPCG(7, 7))}
	if _, err := shopper.Run(context.Background(), w, c, shopper.Plan{Sessions: 9000, Workers: 1}); err != nil {
		t.Fatal(err)
	}
	return w, c.log.Build()
}

// number is the shopper that a user of the log is.
func number(t *testing.T, user string) int {
	t.Helper()
	var n int
	if _, err := fmt.Sscanf(user, "sim-%d", &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// pair is the truth of a shopper and an item that was never shown, by goal: of
// an impression.
type pair struct {
	user, item int
	goal       [multitask.Goals]float64
}

func unseen(t *testing.T, w *shopper.World, d *dataset.Dataset, u int) []pair {
	seen := map[features.Row]bool{}
	for _, it := range d.History(u) {
		seen[it.Row] = true
	}
	n := number(t, d.Users[u])
	perItem := w.Shown(n, d.Items[0], 0) / max(w.Likes(n, d.Items[0], 0), 1e-12)
	if w.Likes(n, d.Items[0], 0) == 0 {
		perItem = w.Shown(n, d.Items[1], 0) / max(w.Likes(n, d.Items[1], 0), 1e-12)
	}
	var all []pair
	for i, id := range d.Items {
		likes := w.Likes(n, id, 0)
		if seen[features.Row(i)] || likes == 0 { // not sold in the shopper's market
			continue
		}
		p := pair{user: u, item: i}
		p.goal[multitask.Click] = perItem * likes
		p.goal[multitask.Cart] = p.goal[multitask.Click] * w.Carts(n, id, 0)
		p.goal[multitask.Purchase] = p.goal[multitask.Cart] * w.Buys()
		all = append(all, p)
	}
	return all
}

func fitted(t *testing.T, d *dataset.Dataset, params string) *multitask.Model {
	t.Helper()
	m, err := multitask.Kind().Fit(context.Background(), models.FitInput{Train: d, Params: json.RawMessage(params), Seed: 2, Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	return m.(*multitask.Model)
}

func heads(m *multitask.Model, d *dataset.Dataset, u int, pairs []pair) []float32 {
	rows, out := make([]features.Row, len(pairs)), make([]float32, len(pairs)*multitask.Goals)
	for i, p := range pairs {
		rows[i] = features.Row(p.item)
	}
	r := &features.Request{Shopper: &features.Shopper{Recent: d.History(u), Consent: features.AllPurposes}, Item: features.NoRow, Scratch: &features.Scratch{}}
	m.Heads(r, rows, out)
	return out
}

// Every head is calibrated against the truth of impressions that were never
// made, and a purchase given a click is nearer to the truth by the entire space
// than by the same network that learnt from what was clicked alone.
func TestGoalsAgainstTruth(t *testing.T) {
	if testing.Short() {
		t.Skip("trains for seconds")
	}
	w, d := simulated(t)
	clicked := d.Keep(func(u int, at int64) bool { // the impressions that were clicked, and what came of them
		if d.Log[at].Type != features.Impression {
			return true
		}
		for _, it := range d.History(u) {
			if it.Row == d.Log[at].Row && it.Type != features.Impression {
				return true
			}
		}
		return false
	})
	whole := fitted(t, d, `{}`)
	// Of clicks alone the purchase head says: bought, given that it was clicked.
	// The negatives it would draw are no clicks, so clicks that led nowhere are
	// its impressions.
	clicked = onlyImpressions(clicked)
	alone := fitted(t, clicked, `{"click_weight": 0, "cart_weight": 0, "chain": false}`)
	var bins [multitask.Goals][20][3]float64
	var space, clicks, n float64
	for u := range d.Users {
		pairs := unseen(t, w, d, u)
		a, b := heads(whole, d, u, pairs), heads(alone, clicked, u, pairs)
		for i, p := range pairs {
			if math.IsNaN(float64(a[i*multitask.Goals])) || math.IsNaN(float64(b[i*multitask.Goals])) {
				continue
			}
			for g := range multitask.Goals {
				said := float64(a[i*multitask.Goals+g])
				bin := &bins[g][min(int(said*20), 19)]
				bin[0]++
				bin[1] += said
				bin[2] += p.goal[g]
			}
			given := p.goal[multitask.Purchase] / p.goal[multitask.Click]
			space += math.Abs(float64(a[i*multitask.Goals+multitask.Purchase]/a[i*multitask.Goals+multitask.Click]) - given)
			clicks += math.Abs(float64(b[i*multitask.Goals+multitask.Purchase]) - given)
			n++
		}
	}
	for g, name := range multitask.Names() {
		off, all := 0., 0.
		for _, bin := range bins[g] {
			off, all = off+math.Abs(bin[1]-bin[2]), all+bin[0]
		}
		t.Logf("calibration error of %s: %.4f", name, off/all)
		if off/all > .03 {
			t.Errorf("calibration error of %s: got %.4f, want .03 at most", name, off/all)
		}
	}
	t.Logf("purchase given click, mean error over the impressions that were not made: entire space %.4f, clicks alone %.4f", space/n, clicks/n)
	if !(space < clicks) {
		t.Errorf("got a mean error of %.4f by the entire space, want below %.4f of clicks alone", space/n, clicks/n)
	}
}

// onlyImpressions makes an impression of each click: what the clicks led to is
// all that is left to learn.
func onlyImpressions(d *dataset.Dataset) *dataset.Dataset {
	out := *d
	out.Log = append([]features.Interaction(nil), d.Log...)
	for i := range out.Log {
		if out.Log[i].Type == features.Click {
			out.Log[i].Type = features.Impression
		}
	}
	return &out
}

// What shoppers will buy of what they never saw is ranked better by a network
// that learns from clicks and carts as well than by the same one that learns
// from purchases alone.
func TestGoalsHelpPurchases(t *testing.T) {
	if testing.Short() {
		t.Skip("trains for seconds")
	}
	w, d := simulated(t)
	random := rand.New(rand.NewPCG(5, 5))
	truth := d.Keep(func(int, int64) bool { return false })
	for u := range d.Users {
		pairs, total := unseen(t, w, d, u), 0.
		for _, p := range pairs {
			total += p.goal[multitask.Purchase]
		}
		for range 3 { // what they buy next
			at, left := 0, random.Float64()*total
			for at < len(pairs)-1 && left > pairs[at].goal[multitask.Purchase] {
				left -= pairs[at].goal[multitask.Purchase]
				at++
			}
			truth.Log = append(truth.Log, features.Interaction{Row: features.Row(pairs[at].item), Type: features.Purchase, Quantity: 1})
		}
		truth.Ptr[u+1] = int64(len(truth.Log))
	}
	metrics, err := eval.ParseMetrics([]string{"ndcg@10", "auc"})
	if err != nil {
		t.Fatal(err)
	}
	task, options := eval.Task{History: d, Test: truth}, eval.Options{Metrics: metrics}
	cases, err := eval.Plan(task, options)
	if err != nil {
		t.Fatal(err)
	}
	report := &eval.Report{}
	for _, c := range []struct{ name, params string }{
		{"alone", `{"click_weight": 0, "cart_weight": 0, "chain": false}`}, {"together", `{}`},
	} {
		res, err := eval.Run(context.Background(), fitted(t, d, c.params), task, cases, options)
		if err != nil {
			t.Fatal(err)
		}
		entry := eval.Entry{Name: c.name, Kind: multitask.KindName}
		entry.Fill(res, nil, 1, 2)
		report.Models = append(report.Models, entry)
	}
	if err := report.Compare("together", 1, 2); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := report.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + b.String())
	for _, c := range report.Comparisons {
		if !(c.Low > 0) {
			t.Errorf("%s: got a gain of %.4f [%.4f, %.4f], want it above 0", c.Metric, c.Difference, c.Low, c.High)
		}
	}
}
