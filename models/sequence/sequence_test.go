package sequence_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/modeltest"
	"github.com/attune-rec/attune/models/sequence"
)

// small is enough for a board of 50 users. With many more epochs the networks
// learn that nobody meets an item twice, and the seen items of a shopper's own
// colour fall behind those of the other.
const small = `{"dim": 32, "epochs": 20, "tokens": 200, "dropout": 0.1, "rate": 0.01}`

func networks() []models.Kind {
	return []models.Kind{sequence.GRU(), sequence.LSTM(), sequence.SASRec()}
}

func TestNetworks(t *testing.T) {
	for _, kind := range networks() {
		t.Run(kind.Name, func(t *testing.T) {
			modeltest.Run(t, kind, modeltest.Options{Params: small, InOrder: true})
		})
	}
}

// A few samples in the place of the catalogue teach the same board.
func TestSampledLoss(t *testing.T) {
	modeltest.Run(t, sequence.GRU(), modeltest.Options{
		Params: `{"dim": 32, "epochs": 40, "tokens": 200, "dropout": 0.1, "rate": 0.01, "negatives": 20}`, InOrder: true,
	})
}

func TestMarkov(t *testing.T) {
	modeltest.Run(t, sequence.Markov(), modeltest.Options{InOrder: true})
}

// round is a data set in which item i is always followed by item i+3, modulo
// the number of items: what comes next is certain, and order is all there is.
// Every third event is a view, and times have gaps of their own.
func round(users, items, length int) *dataset.Dataset {
	var b dataset.Builder
	for i := range items {
		b.Item(fmt.Sprint(i))
	}
	for u := range users {
		for n := range length {
			kind := features.Purchase
			if n%3 == 2 {
				kind = features.View
			}
			b.Add(fmt.Sprint("u", u), fmt.Sprint((u+3*n)%items), "", features.Interaction{
				Type: kind, TimeMS: 1_700_000_000_000 + int64(n*n)*60_000, Quantity: 1,
			})
		}
	}
	return b.Build()
}

func fit(t *testing.T, kind models.Kind, d *dataset.Dataset, params string, workers int) models.Model {
	t.Helper()
	m, err := kind.Fit(context.Background(), models.FitInput{Train: d, Params: json.RawMessage(params), Seed: 3, Workers: workers})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Order is learnt: the item that follows is the best of all.
func TestWhatFollows(t *testing.T) {
	const items = 20
	d := round(60, items, 12)
	for _, kind := range append(networks(), sequence.Markov()) {
		params := small
		if kind.Name == sequence.KindMarkov {
			params = `{"reach": 1}`
		}
		m := fit(t, kind, d, params, 2)
		rows, out := make([]features.Row, items), make([]float32, items)
		for i := range rows {
			rows[i] = features.Row(i)
		}
		for u := range 10 {
			r := modeltest.Request(d, u)
			m.Score(r, rows, out)
			best := 0
			for i, s := range out {
				if s > out[best] {
					best = i
				}
			}
			if want := (u + 3*12) % items; best != want {
				t.Errorf("%s, user %d: got item %d next, want %d", kind.Name, u, best, want)
			}
		}
	}
}

// A state that took each event as it came has the vector of the whole history,
// also when the window has long been passed.
func TestStateFollowsHistory(t *testing.T) {
	d := round(30, 20, 25)
	for _, kind := range networks() {
		m := fit(t, kind, d, `{"dim": 16, "epochs": 2, "window": 7, "layers": 2, "gaps": true}`, 2).(*sequence.Model)
		s, got, want := m.NewState(), make([]float32, m.Dim()), make([]float32, m.Dim())
		if m.Vector(s, got) {
			t.Errorf("%s: a shopper who did nothing has a vector", kind.Name)
		}
		history := d.History(1)
		for n := range history {
			if !m.Step(s, &history[n]) {
				t.Fatalf("%s: event %d was passed over", kind.Name, n)
			}
			r := modeltest.Request(d, 1)
			r.Shopper = &features.Shopper{Recent: history[:n+1], Consent: features.AllPurposes}
			if !m.Vector(s, got) || !m.Embed(r, want) {
				t.Fatalf("%s: no vector after %d events", kind.Name, n+1)
			}
			for k := range want {
				if got[k] != want[k] {
					t.Fatalf("%s, event %d: got %v, want %v", kind.Name, n, got[k], want[k])
				}
			}
		}
		for name, it := range map[string]features.Interaction{
			"repetition": history[len(history)-1], "unknown item": {Row: 20, Type: features.Purchase},
			"return": {Row: 3, Type: features.Return},
		} {
			if m.Step(s, &it) {
				t.Errorf("%s: a %s was read", kind.Name, name)
			}
		}
		fresh := m.NewState()
		if n := testing.AllocsPerRun(20, func() { m.Step(fresh, &history[0]); m.Step(fresh, &history[1]) }); n != 0 {
			t.Errorf("%s: got %v allocations a step, want none", kind.Name, n)
		}
	}
}

// What training predicts with, serving scores with: the loss that the scores
// of the training positions give is near the one that training reports at the
// end, dropout off.
func TestServingAgreesWithTraining(t *testing.T) {
	d := round(40, 15, 10)
	for _, kind := range networks() {
		last := math.NaN()
		m, err := kind.Fit(context.Background(), models.FitInput{
			Train: d, Params: json.RawMessage(`{"dim": 16, "epochs": 4, "dropout": 0, "tokens": 100000, "rate": 1e-6}`), Seed: 3, Workers: 2,
			Progress: func(p models.Progress) { last = p.Figures["loss"] },
		})
		if err != nil {
			t.Fatal(err)
		}
		rows, out := make([]features.Row, 15), make([]float32, 15)
		for i := range rows {
			rows[i] = features.Row(i)
		}
		loss, n := 0., 0
		for u := range d.Users {
			history := d.History(u)
			for i := 1; i < len(history); i++ {
				r := modeltest.Request(d, u)
				r.Shopper = &features.Shopper{Recent: history[:i], Consent: features.AllPurposes}
				m.Score(r, rows, out)
				sum := 0.
				for _, s := range out {
					sum += math.Exp(float64(s))
				}
				loss += math.Log(sum) - float64(out[history[i].Row])
				n++
			}
		}
		if got := loss / float64(n); math.Abs(got-last) > 1e-3 {
			t.Errorf("%s: got a loss of %v when serving, want %v as in training", kind.Name, got, last)
		}
	}
}

// The same input, seed and number of workers give the same model to the bit.
func TestDeterministic(t *testing.T) {
	d := round(40, 15, 30)
	for _, kind := range networks() {
		for _, workers := range []int{1, 3} {
			params := `{"dim": 16, "epochs": 3, "window": 8}`
			a, b := fit(t, kind, d, params, workers).(*sequence.Model), fit(t, kind, d, params, workers).(*sequence.Model)
			for i, v := range a.Vectors() {
				if math.Float32bits(v) != math.Float32bits(b.Vectors()[i]) {
					t.Fatalf("%s with %d workers: number %d: got %v and %v, want the same", kind.Name, workers, i, v, b.Vectors()[i])
				}
			}
		}
	}
}

func TestNothingFollows(t *testing.T) {
	d := round(5, 10, 1)
	for _, kind := range append(networks(), sequence.Markov()) {
		if _, err := kind.Fit(context.Background(), models.FitInput{Train: d}); err == nil {
			t.Errorf("%s: got no error for histories of one event", kind.Name)
		}
		if _, err := kind.Fit(context.Background(), models.FitInput{Train: d, Params: json.RawMessage(`{"reach": -1, "dim": -4}`)}); !errors.Is(err, models.ErrParams) {
			t.Errorf("%s: got %v, want ErrParams", kind.Name, err)
		}
	}
}

func BenchmarkStep(b *testing.B) {
	d := round(100, 50, 60)
	for _, kind := range networks() {
		m, err := kind.Fit(context.Background(), models.FitInput{Train: d, Params: json.RawMessage(`{"epochs": 1, "dim": 64, "window": 50}`), Seed: 1})
		if err != nil {
			b.Fatal(err)
		}
		network, s := m.(*sequence.Model), m.(*sequence.Model).NewState()
		history := d.History(0)
		b.Run(kind.Name, func(b *testing.B) {
			for i := range b.N {
				network.Step(s, &history[i%len(history)])
			}
		})
	}
}
