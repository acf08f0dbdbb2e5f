package dataset

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/attune-rec/attune/features"
)

const rated = `a x 5 100
a y 4 200
a z 2 300
b x 3 100
b y 2 86500
c z 5 86600
c x 4 90
c w 1 95
`

func TestSplits(t *testing.T) {
	for _, c := range []struct {
		cut                   Cut
		train, validate, test string
	}{
		{Cut{Method: LeaveOneOut}, "a: x\nb: x y\nc: x\n", "a: y\nb:\nc: w\n", "a: z\nb:\nc: z\n"},
		{Cut{Method: LastPositive}, "a: x z\nb: x y\nc: x w\n", "", "a: y\nb:\nc: z\n"},
		{Cut{Method: LastPositive, Positive: 3}, "a: x z\nb: y\nc: x w\n", "", "a: y\nb: x\nc: z\n"},
		{Cut{Method: Temporal, TestDays: 1}, "a: x y\nb: x\nc: x w\n", "", "a: z\nb: y\nc: z\n"},
	} {
		d := read(t, &Loader{Format: Pairs}, rated)
		if c.cut.Method == Temporal {
			d.Log[2].TimeMS = 300_000 // just inside the last day: from 200 s on, exclusive
		}
		s, err := Part(d, c.cut)
		if err != nil {
			t.Fatal(err)
		}
		got := [3]string{written(s.Train), "", written(s.Test)}
		if s.Validate != nil {
			got[1] = written(s.Validate)
		}
		if want := [3]string{c.train, c.validate, c.test}; got != want {
			t.Errorf("%+v: got %q, want %q", c.cut, got, want)
		}
	}
}

func TestSplitsRefuse(t *testing.T) {
	plain := read(t, &Loader{Format: Pairs}, "a x\na y\n")
	for cut, want := range map[Cut]string{
		{Method: LastPositive}:       "needs ratings",
		{Method: Temporal}:           "needs times",
		{Method: LeaveOneOut}:        "leaves no test interaction",
		{Method: Random, Share: 1.5}: "share of test is 1.5",
		{Method: Given}:              "cannot part one file",
	} {
		if _, err := Part(plain, cut); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", cut.Method, err, want)
		}
	}
	for _, h := range []Hold{{By: "random"}, {By: "newest", Share: 1}, {By: "days", Days: 1}, {By: "luck"}} {
		if _, _, err := HoldOut(plain, h); err == nil {
			t.Errorf("%+v: got no error", h)
		}
	}
}

func TestHoldOut(t *testing.T) {
	var b strings.Builder
	for u := range 50 {
		for i := range 20 {
			b.WriteString(strings.Join([]string{string(rune('A' + u)), string(rune('a' + i))}, " ") + "\n")
		}
	}
	d := read(t, &Loader{Format: Pairs}, b.String())
	for _, h := range []Hold{{By: "random", Share: .1, Seed: 3}, {By: "newest", Share: .1, Seed: 3}} {
		train, validate, err := HoldOut(d, h)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(validate.Log); n < 70 || n > 130 || n+len(train.Log) != len(d.Log) {
			t.Errorf("%s: got %d held out and %d kept of %d", h.By, n, len(train.Log), len(d.Log))
		}
		again, _, err := HoldOut(d, h)
		if err != nil || !slices.Equal(again.Log, train.Log) {
			t.Errorf("%s: the same seed gives another split", h.By)
		}
		joined := Join(train, validate)
		if h.By == "newest" && !slices.Equal(joined.Log, d.Log) {
			t.Errorf("newest: train and validation joined are not the whole in order")
		}
		if got := d.Without(validate); !slices.Equal(got.Log, train.Log) {
			t.Errorf("%s: whole without validation is not train", h.By)
		}
	}
}

func TestLoadSplitGiven(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	f := Files{Train: file("train", "a x\na y\nb x\n"), Validate: file("val", "a y\n"), Test: file("test", "c z\na w\n"), Format: Pairs}
	s, err := LoadSplit(context.Background(), f, Cut{Method: Given})
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		d    *Dataset
		want string
	}{
		"train":    {s.Train, "a: x\nb: x\nc:\n"},
		"validate": {s.Validate, "a: y\nb:\nc:\n"},
		"test":     {s.Test, "a: w\nb:\nc: z\n"},
	} {
		if got := written(c.d); got != c.want {
			t.Errorf("%s: got %q, want %q", what, got, c.want)
		}
		if c.d.NumItems() != 4 {
			t.Errorf("%s: got %d items, want 4", what, c.d.NumItems())
		}
	}
	if len(s.Remarks) != 1 || !strings.Contains(s.Remarks[0], "1 training interactions are validation as well") {
		t.Errorf("got remarks %q", s.Remarks)
	}
	f.Validate = ""
	if _, err := LoadSplit(context.Background(), f, Cut{Method: LeaveOneOut}); err == nil {
		t.Error("a test file with leave-one-out: got no error")
	}
	f.Test, f.Negatives = "", file("neg", "(b,w) x y\n")
	if s, err = LoadSplit(context.Background(), f, Cut{Method: Given}); err != nil {
		t.Fatal(err)
	}
	if got := written(s.Test); got != "a:\nb: w\n" || s.Negatives.Len() != 1 {
		t.Errorf("test of negatives: got %q", got)
	}
}

// testData is the folder of public data sets, or a skip.
func testData(t *testing.T, name string) string {
	t.Helper()
	root := os.Getenv("ATTUNE_PUBLIC_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "data")
	}
	path := filepath.Join(root, filepath.FromSlash(name))
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no %s: set ATTUNE_PUBLIC_DATA to the folder of public data sets", path)
	}
	return path
}

func TestPublicSplits(t *testing.T) {
	for _, c := range []struct {
		name                       string
		format                     Format
		train, test                string
		users, items, trained, tst int
	}{
		{"gowalla", Adjacency, "gowalla/train.txt.xz", "gowalla/test.txt.xz", 29858, 40981, 810128, 217242},
		{"movielens1m-m2", Adjacency, "movielens1m-m2/train.txt.xz", "movielens1m-m2/test.txt.xz", 6022, 3043, 796244, 99455},
		{"ml-100k", Pairs, "ml-100k/lastpos_train.tsv.xz", "ml-100k/lastpos_test.tsv.xz", 943, 1682, 99058, 942},
		{"citeulike-t", Counted, "citeulike-t/cf-train-10-users.dat.xz", "citeulike-t/cf-test-10-users.dat.xz", 7947, 25584, 53399, 81461},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := LoadSplit(context.Background(), Files{Train: testData(t, c.train), Test: testData(t, c.test), Format: c.format}, Cut{Method: Given})
			if err != nil {
				t.Fatal(err)
			}
			got := [4]int{s.Train.NumUsers(), s.Train.NumItems(), len(s.Train.Log), len(s.Test.Log)}
			if want := [4]int{c.users, c.items, c.trained, c.tst}; got != want {
				t.Errorf("got users, items, train, test %v, want %v", got, want)
			}
		})
	}
}

// The published split of each user's latest rating of four and more.
func TestLastPositiveOfMovieLens(t *testing.T) {
	whole := Files{Train: testData(t, "ml-100k/u.data.xz"), Format: Pairs}
	s, err := LoadSplit(context.Background(), whole, Cut{Method: LastPositive})
	if err != nil {
		t.Fatal(err)
	}
	l := &Loader{Format: Pairs}
	rows, err := l.Load(testData(t, "ml-100k/lastpos_test.tsv.xz"))
	if err != nil {
		t.Fatal(err)
	}
	want := l.Dataset(rows)
	item := map[string]string{}
	for u, name := range want.Users {
		item[name] = want.Items[want.History(u)[0].Row]
	}
	tests, same := 0, 0
	for u, name := range s.Test.Users {
		for _, it := range s.Test.History(u) {
			tests++
			if s.Test.Items[it.Row] == item[name] {
				same++
			}
		}
	}
	if tests != 942 || same != tests {
		t.Errorf("got %d test interactions, %d as published, want 942", tests, same)
	}
}

func TestNewItemsAreInNoHistory(t *testing.T) {
	var b Builder
	for u := range 50 {
		for i := range 40 {
			if (u+i)%3 == 0 {
				b.Add(fmt.Sprint("u", u), fmt.Sprint("i", i), "", features.Interaction{Type: features.Purchase})
			}
		}
	}
	d := b.Build()
	s, err := Part(d, Cut{Method: NewItems, Share: .2, Seed: 5})
	if err != nil {
		t.Fatal(err)
	}
	known := map[features.Row]bool{}
	for _, it := range s.Train.Log {
		known[it.Row] = true
	}
	for _, it := range s.Test.Log {
		if known[it.Row] {
			t.Fatalf("item %d is in training and in the test", it.Row)
		}
	}
	if n := len(s.Train.Log) + len(s.Test.Log); n != len(d.Log) || len(known) < 20 || len(known) > 38 {
		t.Errorf("got %d interactions and %d known items of 40, want all %d and about 32", n, len(known), len(d.Log))
	}
}
