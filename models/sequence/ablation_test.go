package sequence_test

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/eval"
	"github.com/attune-rec/attune/models/sequence"
)

// public is the path of a file among the public data sets.
func public(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv("ATTUNE_PUBLIC_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data")
	}
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no data: %v (set ATTUNE_PUBLIC_DATA to where data sets lie)", err)
	}
	return path
}

// lastfm is listeners' artists in order, with the artists' tags.
func lastfm(t *testing.T) (train, test *dataset.Dataset) {
	t.Helper()
	s, err := dataset.LoadSplit(context.Background(), dataset.Files{Train: public(t, "s3rec-seq/LastFM.txt.xz"), Format: dataset.Sequences}, dataset.Cut{Method: dataset.LeaveOneOut})
	if err != nil {
		t.Fatal(err)
	}
	f, err := dataset.Open(public(t, "s3rec-seq/LastFM_item2attributes.json.xz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	said := map[string][]int{}
	if err := json.NewDecoder(f).Decode(&said); err != nil {
		t.Fatal(err)
	}
	items := make([]features.Item, s.Train.NumItems())
	for i, id := range s.Train.Items {
		items[i].ID = id
		for _, tag := range said[id] {
			items[i].Tags = append(items[i].Tags, strconv.Itoa(tag))
		}
	}
	train = dataset.Join(s.Train, s.Validate)
	if train.Catalog, err = catalog.Of(items); err != nil {
		t.Fatal(err)
	}
	return train, s.Test
}

// behaviours is a shop's views, carts and purchases with their times, and the
// purchases that are to be found.
func behaviours(t *testing.T) (train, test *dataset.Dataset) {
	t.Helper()
	var a, b dataset.Builder
	for _, file := range []struct {
		name string
		kind features.EventType
		to   *dataset.Builder
	}{{"view", features.View, &a}, {"cart", features.CartAdd, &a}, {"buy", features.Purchase, &a}, {"test", features.Purchase, &b}} {
		f, err := dataset.Open(public(t, "retailrocket-mb/"+file.name+".csv.xz"))
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			fields := strings.Split(lines.Text(), ",")
			seconds, err := strconv.ParseFloat(fields[len(fields)-1], 64)
			if err != nil {
				continue // the header
			}
			for _, x := range []*dataset.Builder{&a, &b} { // both with the same users and items
				x.User(fields[0])
				x.Item(fields[1])
			}
			file.to.Add(fields[0], fields[1], "", features.Interaction{Type: file.kind, TimeMS: int64(seconds) * 1000, Quantity: 1})
		}
		_ = f.Close()
	}
	test = b.Build()
	none := test.Keep(func(int, int64) bool { return false })
	return dataset.Join(a.Build(), none), test // joined, so that each history is in order of time
}

// What a network reads of an event besides its item is not worse on public data
// than reading less or more; the log has the paired intervals.
func TestInputsAblation(t *testing.T) {
	if testing.Short() {
		t.Skip("trains on real data")
	}
	for _, c := range []struct {
		name string
		load func(*testing.T) (train, test *dataset.Dataset)
		kind models.Kind
		base string
		vary []string // a parameter and what it is set to
	}{
		{"tags of artists", lastfm, sequence.SASRec(), `{`, []string{`"item_features": false`}},
		{"types and gaps of a shop's events", behaviours, sequence.GRU(), `{"negatives": 256, `, []string{`"event_types": false`, `"gaps": true`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			train, test := c.load(t)
			metrics, err := eval.ParseMetrics([]string{"hr@10", "ndcg@10"})
			if err != nil {
				t.Fatal(err)
			}
			task, options := eval.Task{History: train, Test: test}, eval.Options{Metrics: metrics}
			cases, err := eval.Plan(task, options)
			if err != nil {
				t.Fatal(err)
			}
			report := &eval.Report{}
			for _, vary := range append(c.vary, "") {
				name, params := strings.ReplaceAll(vary, `"`, ""), c.base+vary+`}`
				if vary == "" {
					name, params = "as it is", strings.TrimRight(c.base, ", ")+"}"
				}
				m, err := c.kind.Fit(context.Background(), models.FitInput{Train: train, Params: json.RawMessage(params), Seed: 1, Workers: 2})
				if err != nil {
					t.Fatal(err)
				}
				res, err := eval.Run(context.Background(), m, task, cases, options)
				if err != nil {
					t.Fatal(err)
				}
				entry := eval.Entry{Name: name, Kind: c.kind.Name}
				entry.Fill(res, nil, 1, 2)
				report.Models = append(report.Models, entry)
			}
			if err := report.Compare("as it is", 1, 2); err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			if err := report.WriteText(&b); err != nil {
				t.Fatal(err)
			}
			t.Log("\n" + b.String())
			for _, d := range report.Comparisons {
				if d.High < 0 {
					t.Errorf("%s against %s: got a loss of %.4f [%.4f, %.4f] in %s, want none", d.A, d.B, d.Difference, d.Low, d.High, d.Metric)
				}
			}
		})
	}
}
