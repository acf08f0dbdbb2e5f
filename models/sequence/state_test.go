package sequence

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
)

// walkers is shoppers who walk through 30 items, longer than histories are kept.
func walkers() *dataset.Dataset {
	var b dataset.Builder
	for u := range 8 {
		for i := range features.HistoryCap + 200 {
			kind := features.Purchase
			if i%7 == 3 {
				kind = features.Return // passed over
			}
			b.Add(fmt.Sprint(u), fmt.Sprint((u*i+i/5)%30), "", features.Interaction{Type: kind, Quantity: 1, TimeMS: int64(1e12 + i*60_000)})
		}
	}
	return b.Build()
}

func fitted(t testing.TB, kind models.Kind, d *dataset.Dataset) *Model {
	t.Helper()
	m, err := kind.Fit(context.Background(), models.FitInput{
		Train: d, Params: json.RawMessage(`{"dim": 16, "epochs": 1, "window": 20, "layers": 2, "gaps": true}`), Seed: 1, Workers: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	return m.(*Model)
}

// at is a shopper after n events, as serving has it.
func at(history []features.Interaction, n int, memory *features.Memory) *features.Request {
	recent := history[max(0, n-features.HistoryCap):n]
	return &features.Request{
		Shopper: &features.Shopper{Recent: recent, Consent: features.AllPurposes, Version: uint64(n), Memory: memory},
		Item:    features.NoRow, Scratch: new(features.Scratch),
	}
}

// With a memory and without, the vector is the same to the bit after every
// event, also when the history is full and loses its oldest events, and few of
// those make the network read anew.
func TestMemoryChangesNoAnswer(t *testing.T) {
	d := walkers()
	for _, kind := range []models.Kind{GRU(), LSTM(), SASRec()} {
		m, canary := fitted(t, kind, d), fitted(t, kind, d)
		history, memory := d.History(3), features.NewMemories(1<<20).New()
		got, want := make([]float32, m.Dim()), make([]float32, m.Dim())
		before, anew := 0, 0
		for n := 1; n <= len(history); n++ {
			r := at(history, n, memory)
			if !m.Embed(r, got) {
				t.Fatalf("%s: no vector after %d events", kind.Name, n)
			}
			canary.Embed(r, make([]float32, m.Dim()))
			s := memory.Take(m.mark).(*State)
			if s.read <= before {
				anew++
			}
			before = s.read
			memory.Give(m.mark, s, s.bytes())
			if n%5 > 0 && n < features.HistoryCap {
				continue
			}
			m.Embed(at(history, n, nil), want)
			for k := range want {
				if got[k] != want[k] {
					t.Fatalf("%s, event %d, number %d: got %v, want %v", kind.Name, n, k, got[k], want[k])
				}
			}
		}
		if most := (len(history) - features.HistoryCap) / 10; anew > most {
			t.Errorf("%s: the history was read anew %d times, want %d at most", kind.Name, anew, most)
		}
	}
}

// What is kept is what is read on from, until the history is another one.
func TestMemoryIsReadOnFrom(t *testing.T) {
	d := walkers()
	for _, kind := range []models.Kind{GRU(), LSTM(), SASRec()} {
		m := fitted(t, kind, d)
		history, memories := d.History(3), features.NewMemories(1<<20)
		vector := func(r *features.Request) []float32 {
			dst := make([]float32, m.Dim())
			if !m.Embed(r, dst) {
				t.Fatalf("%s: no vector", kind.Name)
			}
			return dst
		}
		same := func(a, b []float32) bool { return fmt.Sprint(a) == fmt.Sprint(b) }

		memory := memories.New()
		vector(at(history, 40, memory))
		kept := memory.Take(m.mark).(*State)
		for i := range kept.memory {
			kept.memory[i] = -kept.memory[i]
		}
		memory.Give(m.mark, kept, kept.bytes())
		if same(vector(at(history, 41, memory)), vector(at(history, 41, nil))) {
			t.Errorf("%s: what is kept made no difference: the history was read anew", kind.Name)
		}

		memory = memories.New()
		vector(at(history, 40, memory))
		derived := at(history, 40, memory)
		derived.Shopper.Recent = history[5:40]
		if !same(vector(derived), vector(at(history[5:], 35, nil))) {
			t.Errorf("%s: a history derived from the shopper's has the vector of another", kind.Name)
		}
		if s, ok := memory.Take(m.mark).(*State); !ok || s.read != 40 {
			t.Errorf("%s: a derived history took the place of the shopper's", kind.Name)
		} else {
			memory.Give(m.mark, s, s.bytes())
		}

		changed := at(history, 41, memory)
		changed.Shopper.Recent = append([]features.Interaction{history[50]}, history[:40]...)
		want := *changed.Shopper
		want.Memory = nil
		if !same(vector(changed), vector(&features.Request{Shopper: &want})) {
			t.Errorf("%s: a history that has changed has the vector of the old one", kind.Name)
		}
		if s, ok := memory.Take(m.mark).(*State); !ok || s.read != 41 || s.version != 41 {
			t.Errorf("%s: the changed history was not kept", kind.Name)
		}
	}
}

func TestSteadyRequestAllocatesNothing(t *testing.T) {
	d := walkers()
	for _, kind := range []models.Kind{GRU(), LSTM(), SASRec()} {
		m := fitted(t, kind, d)
		dst := make([]float32, m.Dim())
		for _, memory := range []*features.Memory{nil, features.NewMemories(1 << 20).New()} {
			r := at(d.History(3), 300, memory)
			if got := testing.AllocsPerRun(20, func() {
				r.Scratch.Reset()
				m.Embed(r, dst)
			}); got != 0 {
				t.Errorf("%s, memory %t: got %v allocations, want none", kind.Name, memory != nil, got)
			}
		}
	}
}

// BenchmarkEmbed is a request after one more event, with a memory and without.
func BenchmarkEmbed(b *testing.B) {
	d := walkers()
	history := d.History(3)
	for _, kind := range []models.Kind{GRU(), LSTM(), SASRec()} {
		fit, err := kind.Fit(context.Background(), models.FitInput{Train: d, Params: json.RawMessage(`{"dim": 64, "epochs": 1, "window": 200}`), Seed: 1})
		if err != nil {
			b.Fatal(err)
		}
		m := fit.(*Model)
		dst := make([]float32, m.Dim())
		for name, memory := range map[string]*features.Memory{"whole": nil, "new": features.NewMemories(1 << 20).New()} {
			requests := make([]*features.Request, 200)
			for i := range requests {
				requests[i] = at(history, features.HistoryCap+i, memory)
			}
			b.Run(kind.Name+"/"+name, func(b *testing.B) {
				for i := range b.N {
					r := requests[i%len(requests)]
					r.Scratch.Reset()
					m.Embed(r, dst)
				}
			})
		}
	}
}
