package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/raced"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/models/eval"
	"github.com/attune-rec/attune/models/release"
	"github.com/attune-rec/attune/trainer/replay"
)

// told has the shop of dataDir told of its shoppers: even ones, who buy the
// cheap even items, are f and odd ones m, or the other way round.
func told(t *testing.T, dir string, genders [2]string, sensitive map[string]string) {
	t.Helper()
	ctx := context.Background()
	s, err := store.Open(ctx, store.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	var people []store.User
	for u := range 40 {
		people = append(people, store.User{
			Key: features.UserKey{1, byte(u)}, ID: fmt.Sprint("shopper ", u),
			Personal: store.Personal{Gender: genders[u%2], Attributes: map[string]string{"half": fmt.Sprint(u % 4 / 2)}},
		})
	}
	goods, err := s.ListItems(ctx, features.DefaultShop, "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	for i := range goods {
		goods[i].Prices = map[string]features.Money{"": {Micros: int64(1+i%2*50) * 1_000_000, Currency: "EUR"}}
	}
	if err := errors.Join(s.PutUsers(ctx, features.DefaultShop, people), s.PutItems(ctx, features.DefaultShop, goods),
		s.SetSensitive(ctx, features.DefaultShop, sensitive), s.Close()); err != nil {
		t.Fatal(err)
	}
}

// A sensitive attribute is unusable until a purpose is recorded; then answers
// are compared by it, in every form of the report, and a limit keeps a release
// that treats groups differently from being served, by every command.
func TestFairness(t *testing.T) {
	if raced.On {
		t.Skip("figures of one goroutine: fitting is watched where the log is fitted")
	}
	dir := dataDir(t)
	told(t, dir, [2]string{"f", "m"}, map[string]string{"gender": ""})
	page := filepath.Join(t.TempDir(), "report.html")
	judge := []string{"evaluate", "--pipeline", "--data", dir, "--fairness", "gender,market,attributes.half", "--ranker", "hybrid", "--html", page}
	for _, args := range [][]string{judge, {"fit", "--data", dir, "--fairness", "gender"}, {"fit", "--data", dir, "--promote", "--fair-limit", "gender:price=0.1"}} {
		if _, _, err := call(t, args...); !errors.Is(err, store.ErrSensitive) || !strings.Contains(err.Error(), "--sensitive default/gender=fairness") {
			t.Fatalf("%v: got %v, want it refused with what to do", args, err)
		}
	}
	told(t, dir, [2]string{"f", "m"}, map[string]string{"gender": "fairness"})
	text, _, err := call(t, judge...)
	if err != nil || !strings.Contains(text, "by gender, mean over shoppers") || !strings.Contains(text, "widest gap in price") {
		t.Fatalf("got %s, %v", text, err)
	}
	if html, err := os.ReadFile(page); err != nil || !strings.Contains(string(html), "<h2>By gender</h2>") || !strings.Contains(string(html), "<td>f</td>") {
		t.Errorf("got %s, %v", html, err)
	}
	out, _, err := call(t, append(judge, "--json")...)
	if err != nil {
		t.Fatal(err)
	}
	report := new(replay.Report)
	if err := json.Unmarshal([]byte(out), report); err != nil {
		t.Fatal(err)
	}
	by := map[string]*eval.Fairness{}
	for _, f := range report.Fairness {
		by[f.By] = f
	}
	if g := by["gender"]; g == nil || len(g.Groups) != 2 || g.Unknown+g.Small != 0 {
		t.Fatalf("got %+v, want two groups of twenty", g)
	}
	for _, g := range by["gender"].Groups {
		if dear := g.Name == "m"; g.Shoppers != 20 || (g.Bought > .5) != dear || (g.Price > .5) != dear {
			t.Errorf("got %+v, want what is dear shown to m alone", g)
		}
	}
	if m := by["market"]; m == nil || len(m.Groups) != 1 || len(m.Gaps) != 0 {
		t.Errorf("got %+v, want one market and nothing to compare it with", m)
	}
	if h := by["attributes.half"]; h == nil || len(h.Groups) != 2 {
		t.Errorf("got %+v, want two halves", h)
	}
}

func TestFairGate(t *testing.T) {
	if raced.On {
		t.Skip("figures of one goroutine: fitting is watched where the log is fitted")
	}
	dir := dataDir(t)
	told(t, dir, [2]string{"f", "m"}, nil)
	fit := func(args ...string) (*retrained, error) {
		t.Helper()
		out, _, err := call(t, append([]string{"fit", "--data", dir, "--json", "--ranker", "hybrid"}, args...)...)
		if out == "" {
			t.Fatal(err)
		}
		got := new(retrained)
		if jsonErr := json.Unmarshal([]byte(out), got); jsonErr != nil {
			t.Fatalf("%v in %s", jsonErr, out)
		}
		return got, err
	}
	refused, err := fit("--promote", "--fair-limit", "gender:price=0.1")
	if !errors.Is(err, ErrUnfair) || refused.Serving != nil || refused.Version == "" || !strings.Contains(err.Error(), "differ in price by 0.") {
		t.Fatalf("got %+v, %v, want it kept and refused", refused.Serving, err)
	}
	releases := filepath.Join(dir, "releases")
	promote := func(args ...string) error {
		_, _, err := call(t, append([]string{"promote", "--releases", releases}, args...)...)
		return err
	}
	if err := promote(refused.Version, "--fair-limit", "gender:price=0.1"); !errors.Is(err, ErrUnfair) {
		t.Errorf("promote: got %v, want %v", err, ErrUnfair)
	}
	if err := promote(refused.Version, "--fair-limit", "market:price=0.1"); !errors.Is(err, ErrUnfair) || !strings.Contains(err.Error(), "was not compared in price by market") {
		t.Errorf("promote by what was not compared: got %v", err)
	}
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	from := filepath.Join(releases, "default", "releases", refused.Version)
	if _, _, err := call(t, "publish", "--releases", elsewhere, "--promote", "--fair-limit", "gender:price=0.1", from); !errors.Is(err, ErrUnfair) {
		t.Errorf("publish: got %v, want %v", err, ErrUnfair)
	}
	if err := promote(refused.Version, "--fair-limit", "gender:price=0.9", "--fair-limit", "gender:quality=0.9"); err != nil {
		t.Errorf("within the limits: got %v", err)
	}
	if err := promote("--fair-limit", "gender:luck=0.1"); err == nil || !strings.Contains(err.Error(), "gender:price=0.05") {
		t.Errorf("a limit of nothing: got %v", err)
	}
	forced, err := fit("--promote", "--force", "--fair-limit", "gender:price=0.1")
	if err != nil || forced.Serving == nil {
		t.Errorf("forced: got %+v, %v", forced.Serving, err)
	}
}

// What a shop knows of its shoppers' persons changes no model by a bit.
func TestModelsDoNotSeePersons(t *testing.T) {
	if raced.On {
		t.Skip("figures of one goroutine: fitting is watched where the log is fitted")
	}
	dir := dataDir(t)
	models := func(genders [2]string) string {
		told(t, dir, genders, map[string]string{"gender": ""})
		return released(t, dir, func(path string) bool {
			return strings.HasPrefix(path, "models/") || strings.HasPrefix(path, "recipes")
		})
	}
	if a, b := models([2]string{"f", "m"}), models([2]string{"m", "x"}); a != b {
		t.Errorf("got\n%s\nwith other persons, want\n%s", b, a)
	}
}

// released is the sums of those files of a release fitted on a log that are asked
// for.
func released(t *testing.T, dir string, of func(path string) bool) string {
	t.Helper()
	out, _, err := call(t, "fit", "--data", dir, "--json")
	if err != nil {
		t.Fatal(err)
	}
	got := new(retrained)
	if err := json.Unmarshal([]byte(out), got); err != nil {
		t.Fatal(err)
	}
	st, err := release.OpenStore(t.Context(), filepath.Join(dir, "releases"), "")
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	r, err := release.Open(t.Context(), st, features.DefaultShop, got.Version, kinds)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var all []string
	for _, f := range r.Manifest.Files {
		if of(f.Path) {
			all = append(all, f.Path+" "+f.SHA256)
		}
	}
	if len(all) < 5 {
		t.Fatalf("got %v, want the models", all)
	}
	return strings.Join(all, "\n")
}

// A release is the same to the bit when others did the same: neither it nor what
// it is ordered by names anybody, in whatever spelling.
func TestReleasesNameNoPerson(t *testing.T) {
	if raced.On {
		t.Skip("figures of one goroutine: fitting is watched where the log is fitted")
	}
	every := func(string) bool { return true }
	one := released(t, dataDir(t), every)
	others := released(t, dataDirOf(t, func(u int) features.UserKey { return features.UserKey{9, byte(200 - 3*u), byte(u * 7)} }), every)
	if one != others {
		t.Errorf("got\n%s\nof other shoppers, want\n%s", others, one)
	}
}
