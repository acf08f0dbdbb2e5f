package eval

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/attune-rec/attune/features"
)

// Groups are compared with all others; who is in a small group, or in none, is
// counted and not told of.
func TestFair(t *testing.T) {
	var all []FairShopper
	add := func(group string, n int, quality, price float64) {
		for i := range n {
			wobble := .01 * float64(i%2*2-1)
			shown := features.NewBitmap(10)
			shown.Set(features.Row(i % 4))
			all = append(all, FairShopper{Group: group, Quality: quality + wobble, Exposure: math.NaN(), Price: price + wobble, Bought: .5, Shown: shown})
		}
	}
	add("f", 40, .2, .3)
	add("m", 60, .2, .5)
	add("x", 3, .9, .9)
	add("", 5, .9, .9)
	got := Fair("gender", all, 10, 10)
	if got.Unknown != 5 || got.Small != 3 || len(got.Groups) != 2 || got.Groups[0].Name != "m" || got.Groups[1].Name != "f" {
		t.Fatalf("got %+v", got)
	}
	f := got.Groups[1]
	if f.Shoppers != 40 || math.Abs(f.Price-.3) > 1e-9 || math.Abs(f.Quality-.2) > 1e-9 || f.Bought != .5 || f.Coverage != .4 || f.Exposure != 0 {
		t.Errorf("got %+v", f)
	}
	gaps := map[string]FairGap{}
	for _, g := range got.Gaps {
		gaps[g.Measure] = g
	}
	if g := gaps[FairPrice]; math.Abs(math.Abs(g.Difference)-.2) > 1e-9 || g.Least() < .19 || g.Least() > .2 {
		t.Errorf("price: got %+v, want 0.2", g)
	}
	if g := gaps[FairQuality]; g.Least() != 0 {
		t.Errorf("quality: got %+v, want no sure gap", g)
	}
	if _, ok := gaps[FairExposure]; ok {
		t.Error("exposure is told of and nowhere defined")
	}
	var text bytes.Buffer
	if err := got.WriteText(&text); err != nil || !strings.Contains(text.String(), "widest gap in price") || strings.Contains(text.String(), "\nx ") {
		t.Errorf("got %s, %v", text.String(), err)
	}
	one := Fair("gender", all[:40], 10, 10)
	if len(one.Groups) != 1 || len(one.Gaps) != 0 {
		t.Errorf("one group: got %+v, want nothing to compare", one)
	}
}

func TestFairLimit(t *testing.T) {
	l, err := ParseFairLimit("attributes.size:price=0.05")
	if err != nil || l != (FairLimit{By: "attributes.size", Measure: FairPrice, Most: .05}) {
		t.Fatalf("got %+v, %v", l, err)
	}
	one, err := ParseFairLimit("mugs/gender:price=0.05")
	if err != nil || one != (FairLimit{Shop: "mugs", By: "gender", Measure: FairPrice, Most: .05}) {
		t.Fatalf("got %+v, %v", one, err)
	}
	for shop, gap := range map[features.ShopID]float64{"mugs": .05, "other": .9} { // the limit is of one shop
		if err := CheckFair([]FairLimit{one}, shop, func(string) (low, high float64, ok bool) { return gap, gap, true }); err != nil {
			t.Errorf("%s: got %v", shop, err)
		}
	}
	if err := CheckFair([]FairLimit{one}, "mugs", func(string) (low, high float64, ok bool) { return 0, 0, false }); !errors.Is(err, ErrUnfair) {
		t.Errorf("not compared: got %v, want %v", err, ErrUnfair)
	}
	for _, wrong := range []string{"", "gender", "gender:price", "gender:luck=1", ":price=0.1", "gender:price=2", "gender:price=NaN", "gender:price=-1"} {
		if l, err := ParseFairLimit(wrong); err == nil {
			t.Errorf("%q: got %+v", wrong, l)
		}
	}
	for _, c := range []struct {
		low, high float64
		holds     bool
	}{{-.1, .1, true}, {.04, .2, true}, {.06, .2, false}, {-.2, -.06, false}, {-.2, -.04, true}} {
		if err := l.Holds(c.low, c.high); (err == nil) != c.holds {
			t.Errorf("[%v, %v]: got %v, want it to hold: %v", c.low, c.high, err, c.holds)
		}
	}
}
