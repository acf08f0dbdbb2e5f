package eval

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
)

// noise scores by a table; some scores are equal, some NaN or -Inf.
type noise struct {
	scores [][]float32 // by user's history length (unique in these tests), then item
}

func (n *noise) Score(r *features.Request, items []features.Row, out []float32) {
	for i, row := range items {
		out[i] = n.scores[len(r.Shopper.Recent)][row]
	}
}

// batched is noise with ScoreMany.
type batched struct{ noise }

func (n *batched) ScoreMany(rs []*features.Request, items []features.Row, out []float32) {
	for i, r := range rs {
		n.Score(r, items, out[i*len(items):(i+1)*len(items)])
	}
}

const users, items = 40, 60

// world is users with histories of 0, 1, 2 ... items, each item once, and tests
// of a few items which may repeat those of the history.
func world(rng *rand.Rand) (Task, *noise) {
	var history, test dataset.Builder
	for _, b := range []*dataset.Builder{&history, &test} {
		for u := range users {
			b.User(fmt.Sprint("u", u))
		}
		for i := range items {
			b.Item(fmt.Sprint("i", i))
		}
	}
	n := &noise{scores: make([][]float32, users)}
	for u := range users {
		perm := rng.Perm(items)
		for _, i := range perm[:u] {
			history.Add(fmt.Sprint("u", u), fmt.Sprint("i", i), "", features.Interaction{Type: features.Purchase})
		}
		for range rng.IntN(6) {
			kind := features.Purchase
			if rng.IntN(5) == 0 {
				kind = features.Return
			}
			test.Add(fmt.Sprint("u", u), fmt.Sprint("i", rng.IntN(items)), "", features.Interaction{Type: kind})
		}
		n.scores[u] = make([]float32, items)
		for i := range n.scores[u] {
			switch rng.IntN(10) {
			case 0:
				n.scores[u][i] = float32(math.NaN())
			case 1:
				n.scores[u][i] = float32(math.Inf(-1))
			default:
				n.scores[u][i] = float32(rng.IntN(12))
			}
		}
	}
	return Task{History: history.Build(), Test: test.Build()}, n
}

var everything = []string{
	"recall@5", "recall@20", "precision@5", "hr@5", "ndcg@5", "ndcg@20", "map@10", "mrr@10", "mrr", "auc",
	"novelty@5", "diversity@5", "serendipity@5", "coverage@5", "gini@5", "coverage@20",
}

// dumb is the twin: everything sorted whole, straight from the definitions.
type dumb struct {
	values map[string][]float64
	users  []int32
	shown  map[int]map[int]int // by k, then item: how often
}

func dumbRun(t Task, n *noise, keepSeen bool, metrics []Metric) dumb {
	out := dumb{values: map[string][]float64{}, shown: map[int]map[int]int{}}
	had := make([]map[int]bool, items)
	for i := range had {
		had[i] = map[int]bool{}
	}
	for u := range users {
		for _, it := range t.History.History(u) {
			had[it.Row][u] = true
		}
	}
	for u := range users {
		seen, relevant := map[int]bool{}, map[int]bool{}
		for _, it := range t.History.History(u) {
			seen[int(it.Row)] = true
		}
		for _, it := range t.Test.History(u) {
			if it.Type == features.Purchase && (keepSeen || !seen[int(it.Row)]) {
				relevant[int(it.Row)] = true
			}
		}
		if len(relevant) == 0 {
			continue
		}
		out.users = append(out.users, int32(u))
		var list, popular []int
		for i := range items {
			if keepSeen || !seen[i] {
				popular = append(popular, i)
				if s := n.scores[u][i]; s == s {
					list = append(list, i)
				}
			}
		}
		score := func(i int) float64 { return float64(n.scores[u][i]) }
		slices.SortStableFunc(list, func(a, b int) int {
			switch {
			case score(a) > score(b):
				return -1
			case score(a) < score(b):
				return 1
			}
			return 0
		})
		slices.SortStableFunc(popular, func(a, b int) int { return len(had[b]) - len(had[a]) })
		for _, m := range metrics {
			out.values[m.String()] = append(out.values[m.String()], dumbValue(m, list, popular, relevant, had, seen, keepSeen, score))
			if m.ofWhole() {
				if out.shown[m.K] == nil {
					out.shown[m.K] = map[int]int{}
				}
				if m.Name == Coverage {
					for _, i := range list[:min(m.K, len(list))] {
						out.shown[m.K][i]++
					}
				}
			}
		}
	}
	return out
}

func dumbValue(m Metric, list, popular []int, relevant map[int]bool, had []map[int]bool, seen map[int]bool, keepSeen bool, score func(int) float64) float64 {
	k := m.K
	if k == 0 {
		k = len(list)
	}
	top := list[:min(k, len(list))]
	found, dcg, idcg, ap, rr := 0., 0., 0., 0., 0.
	for i, item := range top {
		if relevant[item] {
			found++
			dcg += math.Ln2 / math.Log(float64(i)+2)
			ap += found / float64(i+1)
			if rr == 0 {
				rr = 1 / float64(i+1)
			}
		}
	}
	for i := range min(k, len(relevant)) {
		idcg += math.Ln2 / math.Log(float64(i)+2)
	}
	switch m.Name {
	case Recall:
		return found / float64(len(relevant))
	case Precision:
		return found / float64(k)
	case HitRate:
		return math.Min(found, 1)
	case NDCG:
		return dcg / idcg
	case MAP:
		return ap / float64(min(k, len(relevant)))
	case MRR:
		return rr
	case AUC:
		pairs, won := 0., 0.
		for r := range relevant {
			s := score(r)
			if math.IsNaN(s) {
				s = math.Inf(-1)
			}
			for _, o := range list {
				if relevant[o] {
					continue
				}
				pairs++
				if s > score(o) {
					won++
				} else if s == score(o) {
					won += .5
				}
			}
		}
		return won / pairs
	case Novelty:
		sum := 0.
		for _, i := range top {
			sum += math.Log2(float64(users+1) / math.Max(1, float64(len(had[i]))))
		}
		return sum / float64(len(top))
	case Diversity:
		sum, pairs := 0., 0.
		for a := range top {
			for b := range a {
				pairs++
				both := 0
				for u := range had[top[a]] {
					if had[top[b]][u] {
						both++
					}
				}
				sum++
				if both > 0 {
					sum -= float64(both) / math.Sqrt(float64(len(had[top[a]])*len(had[top[b]])))
				}
			}
		}
		return sum / pairs
	case Serendipity:
		n := 0.
		for _, i := range top {
			if relevant[i] && !slices.Contains(popular[:min(k, len(popular))], i) {
				n++
			}
		}
		return n / float64(k)
	}
	return math.NaN()
}

func TestRunAgainstDumbTwin(t *testing.T) {
	metrics, err := ParseMetrics(everything)
	if err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(10) {
		task, n := world(rand.New(rand.NewPCG(seed, 9)))
		for _, keep := range []bool{false, true} {
			want := dumbRun(task, n, keep, metrics)
			for _, workers := range []int{1, 3} {
				o := Options{Metrics: metrics, KeepSeen: keep, Workers: workers}
				cases, err := Plan(task, o)
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(cases.User, want.users) {
					t.Fatalf("got cases of %v, want %v", cases.User, want.users)
				}
				single, err := Run(context.Background(), n, task, cases, o)
				if err != nil {
					t.Fatal(err)
				}
				many, err := Run(context.Background(), &batched{*n}, task, cases, o)
				if err != nil {
					t.Fatal(err)
				}
				for i, m := range metrics {
					if m.Name == Coverage {
						if w := float64(len(want.shown[m.K])) / items; single.Whole[i] != w {
							t.Errorf("%s: got %v, want %v", m, single.Whole[i], w)
						}
					}
					if many.Whole[i] != single.Whole[i] {
						t.Errorf("%s in batches: got %v, want %v", m, many.Whole[i], single.Whole[i])
					}
					for c, got := range single.Values[i] {
						if w := want.values[m.String()][c]; math.Abs(got-w) > 1e-9 || math.IsNaN(got) != math.IsNaN(w) {
							t.Fatalf("seed %d, keep %v, user %d, %s: got %v, want %v", seed, keep, cases.User[c], m, got, w)
						}
					}
				}
			}
		}
	}
}

// constant gives everything the same score.
type constant struct{}

func (constant) Score(_ *features.Request, items []features.Row, out []float32) {
	for i := range items {
		out[i] = 1
	}
}

func TestSampled(t *testing.T) {
	task, n := world(rand.New(rand.NewPCG(3, 3)))
	task.Negatives = &dataset.Negatives{
		User: []int32{4, 5}, Positive: []features.Row{10, 11}, Ptr: []int64{0, 4, 7},
		Rows: []features.Row{1, 10, 2, 2, 30, 31, 32}, // the positive is among its negatives, and one is there twice
	}
	metrics, _ := ParseMetrics([]string{"hr@1", "hr@3", "ndcg@3"})
	for ties, want := range map[Ties][2]float64{TiesLast: {0, .5}, TiesFirst: {1, 1}, TiesRow: {.5, 1}} {
		o := Options{Metrics: metrics, Ties: ties}
		cases, err := Plan(task, o)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(cases.Sampled[0]); got != 2 {
			t.Fatalf("got %d candidates beside the positive, want 2", got)
		}
		res, err := Run(context.Background(), constant{}, task, cases, o)
		if err != nil {
			t.Fatal(err)
		}
		if got := [2]float64{res.Whole[0], res.Whole[1]}; got != want {
			t.Errorf("ties %s: got hr@1 and hr@3 of %v, want %v", ties, got, want)
		}
	}
	n.scores[4][1], n.scores[4][10], n.scores[4][2] = 3, 2, 1
	n.scores[5][30], n.scores[5][11], n.scores[5][31], n.scores[5][32] = 1, float32(math.NaN()), 1, float32(math.Inf(-1))
	cases, _ := Plan(task, Options{Metrics: metrics})
	res, err := Run(context.Background(), n, task, cases, Options{Metrics: metrics})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := res.Values[2], []float64{1 / math.Log2(3), 0}; !slices.Equal(got, want) {
		t.Errorf("got ndcg@3 of %v, want %v", got, want)
	}
}

func TestRequestShowsThePast(t *testing.T) {
	var history, test dataset.Builder
	for _, b := range []*dataset.Builder{&history, &test} {
		b.User("known")
		b.User("cold")
		b.Item("mug")
		b.Item("lamp")
	}
	for i := range int64(600) {
		history.Add("known", "mug", "DE", features.Interaction{Type: features.View, TimeMS: 1000 + i})
	}
	test.Add("known", "lamp", "FR", features.Interaction{Type: features.Purchase, TimeMS: 9000})
	test.Add("cold", "lamp", "FR", features.Interaction{Type: features.Purchase})
	task := Task{History: history.Build(), Test: test.Build()}
	task.History.Manners = []dataset.Manner{{Language: "de", Channel: "app"}, {}}
	task.Test.Manners = []dataset.Manner{{Language: "en", Channel: "web"}, {Language: "fr", Channel: "web", Device: "phone"}}
	j := newJudge(task, &Cases{}, Options{Metrics: []Metric{{Recall, 7}}})
	r := (&worker{}).requests(1)[0]
	j.asker.request(0, r)
	if got := len(r.Shopper.Recent); got != features.HistoryCap || r.Shopper.Recent[got-1].TimeMS != 1599 {
		t.Errorf("got %d interactions up to %d, want the newest %d", got, r.Shopper.Recent[got-1].TimeMS, features.HistoryCap)
	}
	if r.Locale != "de" || r.Channel != "app" {
		t.Errorf("got %q by %q, want the manner that the past knew", r.Locale, r.Channel)
	}
	if r.Market != "DE" || r.Now.UnixMilli() != 9000 || r.Limit != 7 || !r.Shopper.Known() || r.Item != features.NoRow {
		t.Errorf("got request %+v", r.Query)
	}
	j.asker.request(1, r)
	if r.Market != "FR" || r.Locale != "fr" || r.Channel != "web" || r.Device != "phone" || r.Now.UnixMilli() != 1599 || r.Shopper.Known() {
		t.Errorf("cold user: got request %+v", r.Query)
	}
}

func TestPlanRefuses(t *testing.T) {
	task, _ := world(rand.New(rand.NewPCG(1, 1)))
	other, _ := world(rand.New(rand.NewPCG(2, 1)))
	other.Test.Items = other.Test.Items[:10]
	for name, c := range map[string]struct {
		task Task
		o    Options
	}{
		"no test":      {Task{History: task.History}, Options{}},
		"other items":  {Task{History: task.History, Test: other.Test}, Options{}},
		"no catalogue": {task, Options{Metrics: []Metric{{Calibration, 5}}}},
		"ties":         {task, Options{Ties: "random"}},
		"all seen":     {Task{History: task.History, Test: task.History}, Options{}},
	} {
		if _, err := Plan(c.task, c.o); !errors.Is(err, ErrTask) {
			t.Errorf("%s: got %v, want ErrTask", name, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	o := Options{Metrics: []Metric{{Recall, 5}}, MaxCases: 7}
	cases, err := Plan(task, o)
	if err != nil || len(cases.User) != 7 || !slices.IsSorted(cases.User) {
		t.Fatalf("got %d cases and %v, want 7", len(cases.User), err)
	}
	if _, err := Run(ctx, constant{}, task, cases, o); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}
