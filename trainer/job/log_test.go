package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/ingest"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/models/eval"
	"github.com/attune-rec/attune/models/release"
	"github.com/attune-rec/attune/trainer/replay"
	"github.com/attune-rec/attune/trainer/retrain"
)

// dataDir is a shop's store in which even shoppers buy even items and odd ones
// odd, for 120 days.
func dataDir(t *testing.T) string {
	t.Helper()
	return dataDirOf(t, func(u int) features.UserKey { return features.UserKey{1, byte(u)} })
}

// dataDirOf is dataDir with other shoppers doing the same.
func dataDirOf(t *testing.T, shopper func(int) features.UserKey) string {
	t.Helper()
	ctx := context.Background()
	dir := t.TempDir()
	put := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s, err := store.Open(ctx, store.Options{Dir: dir, Clock: func() time.Time { return put }})
	if err != nil {
		t.Fatal(err)
	}
	var goods []features.Item
	for i := range 120 {
		goods = append(goods, features.Item{ID: fmt.Sprintf("item-%03d", i), Kind: features.Product, Title: []string{"red ceramic mug", "blue woollen scarf"}[i%2]})
	}
	if err := s.PutItems(ctx, features.DefaultShop, goods); err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	var events []features.Event
	for day := range 120 {
		for u := day % 4; u < 40; u += 4 {
			at := time.Date(2011, 6, 1, 0, u, 0, 0, time.UTC).AddDate(0, 0, day)
			events = append(events, features.Event{
				Shop: features.DefaultShop, ID: fmt.Sprintf("%d-%d", day, u), Type: features.Purchase, User: shopper(u),
				Item: fmt.Sprintf("item-%03d", random.IntN(60)*2+u%2), Market: "DE", Time: at, Received: at, Quantity: 1,
			})
		}
	}
	if _, err := s.Append(ctx, features.DefaultShop, events); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestFitAndEvaluateTheLog(t *testing.T) {
	dir := dataDir(t)
	fit := func(args ...string) (*retrained, error) {
		t.Helper()
		out, _, err := call(t, append([]string{"fit", "--data", dir, "--json"}, args...)...)
		if out == "" {
			t.Fatal(err)
		}
		got := new(retrained)
		if jsonErr := json.Unmarshal([]byte(out), got); jsonErr != nil {
			t.Fatalf("%v in %s", jsonErr, out)
		}
		return got, err
	}
	first, err := fit("--promote")
	if err != nil || first.Serving == nil || first.Serving.Stable != first.Version || first.Gate != nil {
		t.Fatalf("got %+v, %v, want the first release served", first.Serving, err)
	}
	if again, err := fit("--warm"); err != nil || again.Version == first.Version {
		t.Fatalf("got %+v, %v, want a release of its own that starts from the first", again, err)
	}
	worse, err := fit("--promote", "--model", "popular")
	if !errors.Is(err, retrain.ErrWorse) || worse.Serving != nil || worse.Version == "" || !strings.Contains(err.Error(), "--force") {
		t.Fatalf("got %+v, %v, want a release that is kept and refused", worse.Serving, err)
	}
	forced, err := fit("--promote", "--force", "--model", "popular", "--reason", "trial")
	if err != nil || forced.Serving == nil || !strings.HasPrefix(forced.Serving.Reason, "trial; gate: ndcg@10 -") || !strings.HasSuffix(forced.Serving.Reason, ", forced") {
		t.Fatalf("got %+v, %v, want it served and the history to say why", forced.Serving, err)
	}
	early, err := fit("--train-until", "2011-08-30")
	if err != nil || !early.Remarked("not judged") {
		t.Fatalf("got %v, %v", early.Remarks, err)
	}

	judge := func(args ...string) (*replay.Report, error) {
		t.Helper()
		out, _, err := call(t, append([]string{"evaluate", "--pipeline", "--data", dir, "--json"}, args...)...)
		if err != nil {
			return nil, err
		}
		got := new(replay.Report)
		if err := json.Unmarshal([]byte(out), got); err != nil {
			t.Fatal(err)
		}
		return got, nil
	}
	trained, err := judge("--train-until", "2011-08-30")
	if err != nil || trained.Sessions == 0 || trained.Surface != "home" || trained.New["hr@10"].Value == 0 {
		t.Fatalf("got %+v, %v", trained, err)
	}
	if _, err := judge("--release", first.Version); !errors.Is(err, replay.ErrSeen) {
		t.Errorf("got %v of a release that learnt from the whole log, want ErrSeen", err)
	}
	kept, err := judge("--release", early.Version, "--window-days", "29")
	if err != nil || kept.Subject != early.Version {
		t.Errorf("got %+v, %v", kept, err)
	}
	if _, err := judge("--release", early.Version, "--surface", "moon", "--window-days", "29"); err == nil || !strings.Contains(err.Error(), `no surface "moon": expected one of "cart", "home", "item"`) {
		t.Errorf("got %v, want the surfaces there are", err)
	}
}

// Remarked reports whether a remark begins so.
func (r *retrained) Remarked(with string) bool {
	return len(r.Remarks) > 0 && strings.HasPrefix(r.Remarks[0], with)
}

func TestLogCommandsRefuseBeforeWork(t *testing.T) {
	dir := t.TempDir()
	for want, args := range map[string][]string{
		"nothing to learn from":                {"fit"},
		"--model is empty":                     {"fit", "--train", file(t, "halves.csv", halves())},
		"give one":                             {"fit", "--data", dir, "--train", file(t, "more.csv", halves())},
		"--force is for --promote":             {"fit", "--data", dir, "--force"},
		"--train-until is for the log":         {"fit", "--train", file(t, "other.csv", halves()), "--model", "popular", "--train-until", "2011-01-01"},
		"--train-until is \"soon\"":            {"fit", "--data", dir, "--train-until", "soon"},
		"lacks the newest events":              {"fit", "--data", dir, "--train-until", "2011-01-01", "--promote"},
		"--window-days is 0":                   {"fit", "--data", dir, "--window-days", "0"},
		"--data: ":                             {"fit", "--data", dir},
		"give --data DIR":                      {"evaluate", "--pipeline"},
		"--data is for --pipeline":             {"evaluate", "--data", dir},
		"is trained already":                   {"evaluate", "--pipeline", "--data", dir, "--release", "x", "--model", "popular"},
		"give no files beside it":              {"validate", "--data", dir, file(t, "halves.csv", halves())},
		"nothing to check":                     {"validate"},
		"--warm starts from the release":       {"fit", "--warm", "--train", file(t, "halves.csv", halves()), "--model", "ials"},
		"--import: ":                           {"validate", "--import", "nonsense", file(t, "a.csv", "a\n")},
		"unknown kind of model \"magic\"":      {"fit", "--data", dir, "--model", "magic"},
		"no model is called \"knn\"":           {"fit", "--data", dir, "--params", "knn.k=3"},
		"nothing to learn from: give --train ": {"evaluate", "--model", "popular"},
	} {
		if _, _, err := call(t, args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %v, want %s", args, err, want)
		}
	}
}

func TestValidateEvents(t *testing.T) {
	path := file(t, "events.csv", "u,i,t,q,p\na,x,2011-01-01 10:00:00,1,2\n,x,2011-01-01 10:00:00,1,2\nb,y,2011-01-01 10:00:00,many,2\nb,y,2011-01-02 10:00:00,1,0\n")
	out, _, err := call(t, "validate", "--import", "user=u,item=i,time=t,quantity=q,price=p", path)
	if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "3 rows") {
		t.Errorf("got %v, want three rows set aside", err)
	}
	for _, want := range []string{
		"events.csv:3: missing_customer: no customer: fill in the customer",
		"events.csv:4: unreadable: column q: ",
		"events.csv:5: non_positive_price: price 0.00: fill in the price",
		"4 rows, 1 kept",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("got %s, want %q in it", out, want)
		}
	}
	if _, _, err := call(t, "validate", "--import", "user=u,item=i,time=t,quantity=q", file(t, "good.csv", "u,i,t,q\na,x,2011-01-01 10:00:00,1\n")); err != nil {
		t.Errorf("got %v of a good file", err)
	}

	ctx := context.Background()
	dir := dataDir(t)
	if _, _, err := call(t, "validate", "--data", dir); err != nil {
		t.Errorf("got %v of a good log", err)
	}
	s, err := store.Open(ctx, store.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2011, 10, 1, 0, 0, 0, 0, time.UTC)
	_, err = s.Append(ctx, features.DefaultShop, []features.Event{
		{Shop: features.DefaultShop, ID: "odd", Type: features.View, User: features.UserKey{1}, Item: "gone", Time: at.AddDate(1, 0, 0), Received: at},
	})
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	out, _, err = call(t, "validate", "--data", dir)
	if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "future_time 1, unknown_item 1") || !strings.Contains(out, `event 1201 (view of "gone"): unknown_item: put the item into the catalogue`) {
		t.Errorf("got %s, %v, want the item and the time named", out, err)
	}
}

func TestDemoPage(t *testing.T) {
	low, high := .1, .3
	v := map[string]eval.Value{"ndcg@10": {Value: .2, Low: &low, High: &high}}
	p := page{
		cleaned: &ingest.Report{Source: "shop.csv", Rows: 10, Kept: 7, Refused: 3, Rules: []ingest.RuleReport{{Name: "missing_customer", Refused: 3}}},
		out: &retrain.Outcome{
			Manifest: release.Manifest{}, Bytes: 3 << 20,
			Report: &eval.Report{
				Models:      []eval.Entry{{Name: "hybrid", Metrics: v, KeepSeen: v}},
				Comparisons: []eval.Comparison{{Metric: "ndcg@10", A: "hybrid", B: "popular", Difference: .05, Low: .01, High: .09}},
			},
			Pipeline: &replay.Report{Surface: "home", Sessions: 5, New: v, All: v, Sources: map[string]float64{"a": .25, "b": .75}},
		},
		imported: 2 * time.Second, took: 5 * time.Second, peakRSS: 90 << 20,
	}
	var b strings.Builder
	if err := p.write(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"10 rows, 7 kept, 3 set aside", "| missing_customer | 3 | 0 | 0 |", "| hybrid | 0.2000 [0.1000, 0.3000] |",
		"hybrid less popular: +0.0500 [+0.0100, +0.0900]", "b 75.0 %, a 25.0 %", "| everything | 5.0 s |", "| memory at most | 90 MB |", "Commit: ",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("got %s, want %q in it", b.String(), want)
		}
	}
}
