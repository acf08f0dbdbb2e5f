package nn

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/attune-rec/attune/models/linalg"
)

// toy is a network over the tied catalogue with dropout: enough of everything
// that a resumed run has to get right.
type toy struct {
	table, bias *Param[float32]
	embed       Embedding[float32]
	gru         *GRU[float32]
	drop        Dropout[float32]
	catalogue   Catalogue[float32]
}

func newToy() *toy {
	rng := random()
	t := &toy{table: NewParam[float32]("table", 20, 8).Normal(rng, .1), bias: NewParam[float32]("bias", 1, 20), gru: NewGRU[float32]("gru", 8, 8, rng)}
	t.embed.Table, t.catalogue.Table, t.catalogue.Bias, t.drop.Rate = t.table, t.table, t.bias, .3
	return t
}

func (t *toy) params() Params[float32] {
	return append(Params[float32]{t.table, t.bias}, t.gru.Params()...)
}

// step learns from one replica's batch, drawn by seed, and returns the loss.
func (t *toy) step(seed uint64) float64 {
	rng := rand.New(rand.NewPCG(seed, 0))
	ids, targets := make([]int32, packed.Tokens()), make([]int32, packed.Tokens())
	for i := range ids {
		ids[i] = int32(rng.IntN(20))
		targets[i] = (ids[i] + 1) % 20
	}
	x := t.drop.Forward(t.embed.Forward(ids, 1), seed)
	loss, dh := t.catalogue.Step(t.gru.Forward(x, packed), targets, 1/float32(len(ids)))
	t.embed.Backward(t.drop.Backward(t.gru.Backward(dh)), 1)
	return loss / float64(len(ids))
}

func train(t *toy, a *Adam[float32], from, to int) (loss float64) {
	for n := from; n < to; n++ {
		loss = t.step(Seed(5, uint64(n)))
		t.params().Clip(1)
		a.Step(.02, 2)
	}
	return loss
}

func equalWeights(t *testing.T, got, want Params[float32]) {
	t.Helper()
	for i, p := range want {
		for j, w := range p.W {
			if math.Float32bits(got[i].W[j]) != math.Float32bits(w) {
				t.Fatalf("%s[%d]: got %v, want %v to the bit", p.Name, j, got[i].W[j], w)
			}
		}
	}
}

func TestTrainingLearns(t *testing.T) {
	net := newToy()
	a := NewAdam(net.params(), DefaultAdam())
	first, last := net.step(1), train(net, a, 0, 300)
	if !(last < first/2) {
		t.Fatalf("got a loss of %v after training, want below half of %v", last, first)
	}
}

func TestResumeEndsInTheSameWeights(t *testing.T) {
	whole := newToy()
	train(whole, NewAdam(whole.params(), DefaultAdam()), 0, 20)

	first := newToy()
	a := NewAdam(first.params(), DefaultAdam())
	train(first, a, 0, 9)
	var saved bytes.Buffer
	if err := a.Checkpoint(&saved, map[string]string{"epoch": "3"}, first.params().Copy()); err != nil {
		t.Fatal(err)
	}
	second := newToy()
	second.table.Normal(rand.New(rand.NewPCG(9, 9)), 1) // all of this is to be overwritten
	b := NewAdam(second.params(), DefaultAdam())
	note, best, err := b.Restore(saved.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	third := newToy()
	third.params().Put(best)
	equalWeights(t, third.params(), first.params())
	if b.Steps() != 9 || note["epoch"] != "3" {
		t.Fatalf("got %d steps and note %v, want 9 and epoch 3", b.Steps(), note)
	}
	train(second, b, 9, 20)
	equalWeights(t, second.params(), whole.params())
}

func TestRestoreRefusesOthers(t *testing.T) {
	net := newToy()
	var saved bytes.Buffer
	if err := NewAdam(net.params(), DefaultAdam()).Checkpoint(&saved, nil, nil); err != nil {
		t.Fatal(err)
	}
	other := NewAdam(Params[float32]{NewParam[float32]("table", 3, 3)}, DefaultAdam())
	for name, b := range map[string][]byte{"another network": saved.Bytes(), "cut short": saved.Bytes()[:saved.Len()-3], "nothing": nil} {
		if _, _, err := other.Restore(b); !errors.Is(err, ErrCheckpoint) {
			t.Errorf("%s: got %v, want ErrCheckpoint", name, err)
		}
	}
}

// Two replicas with half a batch each give the gradient of one with the whole.
func TestReplicasShareWeights(t *testing.T) {
	whole, one, two := newToy(), newToy(), newToy()
	if err := one.params().Share(two.params()); err != nil {
		t.Fatal(err)
	}
	whole.step(1)
	whole.step(2)
	one.step(1)
	two.step(2)
	one.params().Gather([]Params[float32]{two.params()}, 2)
	for i, p := range whole.params() {
		for j, want := range p.G {
			if got := one.params()[i].G[j]; math.Abs(float64(got-want)) > 1e-5 {
				t.Fatalf("%s[%d]: got gradient %v, want %v", p.Name, j, got, want)
			}
		}
	}
	for _, p := range two.params() {
		for j, g := range p.G {
			if g != 0 {
				t.Fatalf("%s[%d]: got gradient %v left, want none", p.Name, j, g)
			}
		}
	}
	one.table.W[3] = 42
	if two.table.W[3] != 42 {
		t.Fatal("the replica has weights of its own")
	}
	if err := one.params().Share(Params[float32]{one.table}); err == nil {
		t.Fatal("got no error for a replica of another shape")
	}
}

// A lazy table moves as a dense one does in the rows that were touched, as long
// as every row is touched in every step; the others stay.
func TestLazyRows(t *testing.T) {
	lazy, dense := NewParam[float32]("p", 6, 4).Normal(random(), 1), NewParam[float32]("p", 6, 4).Normal(random(), 1)
	lazy.Lazy = true
	before := append([]float32(nil), lazy.W...)
	a, b := NewAdam(Params[float32]{lazy}, DefaultAdam()), NewAdam(Params[float32]{dense}, DefaultAdam())
	rows := []int32{4, 1}
	for n := range 5 {
		for _, row := range rows {
			for range 2 { // twice in a step: touched once
				lazy.Touch(row)
				for k := range 4 {
					g := float32(n) - float32(k)
					lazy.G[int(row)*4+k] += g
					dense.G[int(row)*4+k] += g
				}
			}
		}
		if got, want := (Params[float32]{lazy}).Norm(), (Params[float32]{dense}).Norm(); math.Abs(got-want) > 1e-5*want {
			t.Fatalf("got norm %v, want %v", got, want)
		}
		a.Step(.1, 2)
		b.Step(.1, 2)
	}
	for row := range 6 {
		for k := range 4 {
			at := row*4 + k
			want := before[at]
			if row == 4 || row == 1 {
				want = dense.W[at]
			}
			if lazy.W[at] != want {
				t.Fatalf("row %d: got %v, want %v", row, lazy.W[at], want)
			}
			if lazy.G[at] != 0 {
				t.Fatalf("row %d: got gradient %v left, want none", row, lazy.G[at])
			}
		}
	}
}

func TestClip(t *testing.T) {
	p := NewParam[float32]("p", 1, 2)
	p.G[0], p.G[1] = 3, 4
	if had := (Params[float32]{p}).Clip(1); had != 5 || math.Abs(float64(p.G[0])-.6) > 1e-6 || math.Abs(float64(p.G[1])-.8) > 1e-6 {
		t.Fatalf("got norm %v and gradient %v, want 5 and .6, .8", had, p.G)
	}
	p.G[0] = float32(math.NaN())
	if had := (Params[float32]{p}).Clip(1); !math.IsNaN(had) || p.G[1] == 0 {
		t.Fatalf("got norm %v and gradient %v, want NaN and the gradient as it was", had, p.G)
	}
}

func TestSchedule(t *testing.T) {
	s := Schedule{Rate: 2, Steps: 100, Warm: .1, Floor: .25}
	for step, want := range map[int]float64{1: .2, 5: 1, 10: 2, 55: 1.25, 100: .5, 1000: .5} {
		if got := s.At(step); math.Abs(got-want) > 1e-12 {
			t.Errorf("step %d: got rate %v, want %v", step, got, want)
		}
	}
}

func TestStopper(t *testing.T) {
	s := Stopper{Patience: 2}
	for i, c := range []struct {
		value      float64
		best, stop bool
	}{{math.NaN(), false, false}, {1, true, false}, {.5, false, false}, {2, true, false}, {2, false, false}, {1, false, true}} {
		if best, stop := s.Offer(c.value); best != c.best || stop != c.stop {
			t.Errorf("offer %d: got %v, %v, want %v, %v", i, best, stop, c.best, c.stop)
		}
	}
	if s.Best != 2 || s.At != 4 {
		t.Errorf("got %v at %d, want 2 at 4", s.Best, s.At)
	}
}

func TestDropoutKeepsTheMean(t *testing.T) {
	d := Dropout[float32]{Rate: .3}
	x := NewParam[float32]("x", 1000, 100).Fill(1).Mat()
	y := d.Forward(x, 7)
	dropped, total := 0, float64(linalg.Sum(y.Data))
	for _, v := range y.Data {
		if v == 0 {
			dropped++
		}
	}
	if share := float64(dropped) / 1e5; math.Abs(share-.3) > .01 || math.Abs(total/1e5-1) > .01 {
		t.Fatalf("got %v dropped and a mean of %v, want .3 and 1", share, total/1e5)
	}
}

// Step, one event of one sequence, equals Forward over all of them.
func TestStepEqualsForward(t *testing.T) {
	x := input[float32]("x", packed.Tokens(), 3).Mat()
	g, l := NewGRU[float32]("gru", 3, 4, random()), NewLSTM[float32]("lstm", 3, 4, random())
	yg, yl := g.Forward(x, packed), l.Forward(x, packed)
	sg, sl, work := make([]float32, 4), make([]float32, 8), make([]float32, 36)
	at := 0
	for _, n := range packed { // the first sequence is the first row of each time
		g.Step(x.Row(at), sg, work)
		l.Step(x.Row(at), sl, work)
		for k := range 4 {
			if d := sg[k] - yg.Row(at)[k]; d > 1e-6 || d < -1e-6 {
				t.Fatalf("gru: got %v, want %v", sg, yg.Row(at))
			}
			if d := sl[k] - yl.Row(at)[k]; d > 1e-6 || d < -1e-6 {
				t.Fatalf("lstm: got %v, want %v", sl[:4], yl.Row(at))
			}
		}
		at += n
	}
}
