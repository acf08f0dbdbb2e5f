package multitask

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/eval"
)

// retailrocket reads the data set's behaviours and its held-out purchases.
func retailrocket(t *testing.T) (train, test *dataset.Dataset) {
	dir := os.Getenv("ATTUNE_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data")
	}
	dir = filepath.Join(dir, "retailrocket-mb")
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no data: %v (set ATTUNE_DATA to where data sets lie)", err)
	}
	var a, b dataset.Builder
	type event struct {
		user, item string
		seconds    int64
		kind       features.EventType
	}
	read := func(name string, kind features.EventType) (all []event) {
		f, err := os.Open(filepath.Join(dir, name+".csv.xz"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		r, err := xz.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(r)
		for lines.Scan() {
			fields := strings.Split(lines.Text(), ",")
			if len(fields) != 3 || fields[0] == "user" {
				continue
			}
			seconds, err := strconv.ParseFloat(fields[2], 64)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, event{fields[0], fields[1], int64(seconds), kind})
		}
		return all
	}
	log := append(append(read("view", features.View), read("cart", features.CartAdd)...), read("buy", features.Purchase)...)
	held := read("test", features.Purchase)
	for _, e := range append(append([]event{}, log...), held...) { // both with the same users and items
		for _, x := range []*dataset.Builder{&a, &b} {
			x.User(e.user)
			x.Item(e.item)
		}
	}
	for _, e := range log {
		a.Add(e.user, e.item, "", features.Interaction{Type: e.kind, TimeMS: e.seconds * 1000, Quantity: 1})
	}
	for _, e := range held {
		b.Add(e.user, e.item, "", features.Interaction{Type: e.kind, Quantity: 1})
	}
	return a.Build(), b.Build()
}

// Three goals do not teach the purchase less than purchases alone do, which is
// the same network with the other goals' weights at 0. The log has the paired
// intervals.
func TestGoalsHelpEachOther(t *testing.T) {
	if testing.Short() {
		t.Skip("trains on real data")
	}
	train, test := retailrocket(t)
	metrics, err := eval.ParseMetrics([]string{"ndcg@10", "auc"})
	if err != nil {
		t.Fatal(err)
	}
	task := eval.Task{History: train, Test: test}
	options := eval.Options{Metrics: metrics, Seed: 1, KeepSeen: true, MaxCases: 400}
	cases, err := eval.Plan(task, options)
	if err != nil {
		t.Fatal(err)
	}
	report := &eval.Report{}
	for _, c := range []struct{ name, params string }{
		{"alone", `{"click_weight": 0, "cart_weight": 0, "chain": false, "calibrate": 0}`},
		{"together", `{"calibrate": 0}`},
	} {
		m, err := Kind().Fit(context.Background(), models.FitInput{Train: train, Params: json.RawMessage(c.params), Seed: 1, Workers: 2})
		if err != nil {
			t.Fatal(err)
		}
		res, err := eval.Run(context.Background(), m, task, cases, options)
		if err != nil {
			t.Fatal(err)
		}
		entry := eval.Entry{Name: c.name, Kind: KindName}
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
	t.Log(fmt.Sprint("\n", b.String()))
	for _, metric := range []string{"ndcg@10", "auc"} {
		if alone, together := report.Models[0].Metrics[metric].Value, report.Models[1].Metrics[metric].Value; !(together > alone) {
			t.Errorf("%s: got %.4f together, want above %.4f alone", metric, together, alone)
		}
	}
}
