package multitask

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/features/raced"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/modeltest"
)

func TestKind(t *testing.T) {
	for name, params := range map[string]string{
		"experts":                        `{"epochs": 25, "batch": 512, "rate": 0.02}`,
		"shared bottom, fixed, no chain": `{"epochs": 25, "batch": 512, "rate": 0.02, "experts": 1, "chain": false, "click_value": 0.1, "cart_value": 0.3}`,
		"uncertainty":                    `{"epochs": 25, "batch": 512, "rate": 0.02, "uncertainty": true}`,
	} {
		if raced.On && name != "uncertainty" {
			continue // the goroutines are the same
		}
		t.Run(name, func(t *testing.T) { modeltest.Run(t, Kind(), modeltest.Options{Params: params}) })
	}
}

// world is a shop whose probabilities are known: shoppers and items are of two
// kinds; like meets like more often, at every step of the way.
type world struct {
	users, items int
	rng          *rand.Rand
}

// truth is the probability of each goal for an impression, and of each given
// the one before.
func truth(user, item int) (goal, step [Goals]float64) {
	step = [Goals]float64{.12, .25, .4}
	if user%2 == item%2 {
		step = [Goals]float64{.55, .7, .6}
	}
	p := 1.
	for g, s := range step {
		p *= s
		goal[g] = p
	}
	return goal, step
}

// log draws the impressions of every shopper and what came of them.
func (w *world) log(impressions int) *dataset.Dataset {
	var b dataset.Builder
	for i := range w.items {
		b.Item(fmt.Sprint("i", i))
	}
	for u := range w.users {
		for n, i := range w.rng.Perm(w.items)[:impressions] {
			_, step := truth(u, i)
			at := features.Interaction{TimeMS: 1_700_000_000_000 + int64(n)*1000, Quantity: 1, Type: features.Impression}
			b.Add(fmt.Sprint("u", u), fmt.Sprint("i", i), "", at)
			for g, kind := range []features.EventType{features.Click, features.CartAdd, features.Purchase} {
				if w.rng.Float64() >= step[g] {
					break
				}
				at.Type = kind
				b.Add(fmt.Sprint("u", u), fmt.Sprint("i", i), "", at)
			}
		}
	}
	return b.Build()
}

// errorOf is the calibration error of each goal over the impressions that were
// not shown, in ten bins of as many candidates, against the known truth.
func errorOf(m *Model, d *dataset.Dataset) [Goals]float64 {
	var sums [Goals][10][3]float64
	for u := range d.Users {
		shown := map[features.Row]bool{}
		for _, it := range d.History(u) {
			shown[it.Row] = true
		}
		var items []features.Row
		for i := range d.NumItems() {
			if !shown[features.Row(i)] {
				items = append(items, features.Row(i))
			}
		}
		out := make([]float32, len(items)*Goals)
		m.Heads(modeltest.Request(d, u), items, out)
		for i, row := range items {
			goal, _ := truth(u, int(row))
			for g := range Goals {
				p := float64(out[i*Goals+g])
				if math.IsNaN(p) {
					continue
				}
				bin := &sums[g][min(int(p*10), 9)]
				bin[0]++
				bin[1] += p
				bin[2] += goal[g]
			}
		}
	}
	var all [Goals]float64
	for g := range Goals {
		n := 0.
		for _, bin := range sums[g] {
			n += bin[0]
			all[g] += math.Abs(bin[1] - bin[2])
		}
		all[g] /= n
	}
	return all
}

// Every head is calibrated against the known truth over the entire space of
// impressions, with the chain and without.
func TestCalibrationAgainstTruth(t *testing.T) {
	if testing.Short() {
		t.Skip("trains for seconds")
	}
	w := &world{users: 600, items: 60, rng: rng()}
	d := w.log(40)
	for _, params := range []string{`{"batch": 1024}`, `{"batch": 1024, "chain": false, "uncertainty": true}`} {
		m, err := Kind().Fit(context.Background(), models.FitInput{Train: d, Params: json.RawMessage(params), Seed: 5, Workers: 2})
		if err != nil {
			t.Fatal(err)
		}
		got := errorOf(m.(*Model), d)
		t.Logf("%s: calibration error by goal %.4f", params, got)
		for g, e := range got {
			if e > .03 {
				t.Errorf("%s: calibration error of %s: got %.4f, want .03 at most", params, Names()[g], e)
			}
		}
	}
}

// What the entire space corrects: a purchase given a click, learnt from clicks
// alone and applied to every impression, is far from the truth where clicks
// select; the chain's product is near it.
func TestEntireSpace(t *testing.T) {
	if testing.Short() {
		t.Skip("trains for seconds")
	}
	w := &world{users: 600, items: 60, rng: rng()}
	d := w.log(40)
	m, err := Kind().Fit(context.Background(), models.FitInput{Train: d, Params: json.RawMessage(`{"batch": 1024}`), Seed: 5, Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	// The naive estimate: the share of clicks that end in a purchase, whoever
	// clicked what.
	clicks, purchases := 0., 0.
	for _, it := range d.Log {
		switch it.Type {
		case features.Click:
			clicks++
		case features.Purchase:
			purchases++
		}
	}
	naive := purchases / clicks
	var space, alone, n float64
	for u := range d.Users {
		items := make([]features.Row, d.NumItems())
		for i := range items {
			items[i] = features.Row(i)
		}
		out := make([]float32, len(items)*Goals)
		m.(*Model).Heads(modeltest.Request(d, u), items, out)
		for i := range items {
			if math.IsNaN(float64(out[i*Goals])) {
				continue
			}
			goal, _ := truth(u, i)
			given := goal[Purchase] / goal[Click]
			space += math.Abs(float64(out[i*Goals+Purchase]/out[i*Goals+Click]) - given)
			alone += math.Abs(naive - given)
			n++
		}
	}
	t.Logf("purchase given click, mean error over all impressions: entire space %.4f, clicks alone %.4f", space/n, alone/n)
	if !(space < alone/2) {
		t.Errorf("got a mean error of %.4f, want below half of %.4f", space/n, alone/n)
	}
}

func TestPlatt(t *testing.T) {
	random := rng()
	var x, y []float64
	for range 20_000 {
		v := random.NormFloat64() * 2
		x = append(x, v)
		label := 0.
		if random.Float64() < sigmoid(.5*v-1) {
			label = 1
		}
		y = append(y, label)
	}
	line, ok := platt(x, y)
	if !ok || math.Abs(line.Slope-.5) > .03 || math.Abs(line.Shift+1) > .05 {
		t.Fatalf("got %+v, %v, want a slope of .5 and a shift of -1", line, ok)
	}
	if _, ok := platt(x[:30], make([]float64, 30)); ok {
		t.Fatal("got a line from labels of one kind, want none")
	}
}

func BenchmarkScore500(b *testing.B) {
	d := modeltest.Board(50, nil)
	tr, err := newTrainer(models.FitInput{Train: d, Workers: 1})
	if err != nil {
		b.Fatal(err)
	}
	tr.items, tr.nets[0] = 20_000, NewNetwork[float32](20_000, tr.params.Shape, tr.params.weights(), rng())
	m, r := tr.model(), modeltest.Request(d, 4)
	rows, out := make([]features.Row, 500), make([]float32, 500)
	for i := range rows {
		rows[i] = features.Row(i * 37 % 20_000)
	}
	for range b.N {
		r.Scratch.Reset()
		m.Score(r, rows, out)
	}
}
