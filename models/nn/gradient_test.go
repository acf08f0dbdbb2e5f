package nn

import (
	"math"
	"math/rand/v2"
	"testing"
)

// problem is a network with a loss: run does a forward pass and, with grad, a
// backward one, and returns the loss. inputs are arrays that a caller may vary
// with the gradient that run reports for each.
type problem[F Float] struct {
	params Params[F]
	inputs []*Param[F]
	run    func(grad bool) float64
}

// all is what the loss depends on.
func (p *problem[F]) all() Params[F] { return append(append(Params[F]{}, p.params...), p.inputs...) }

// checkGradient holds run's gradient to central differences in float64, to
// 1e-6, and then the same network in float32 to the one in float64, to 1e-3.
func checkGradient(t *testing.T, name string, twin func() *problem[float64], fast func() *problem[float32]) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		p := twin()
		p.all().Clear()
		p.run(true)
		var want [][]float64
		for _, v := range p.all() {
			want = append(want, append([]float64(nil), v.G...))
		}
		moved := false
		for i, v := range p.all() {
			for j := range v.W {
				const step = 1e-5
				was := v.W[j]
				v.W[j] = was + step
				up := p.run(false)
				v.W[j] = was - step
				down := p.run(false)
				v.W[j] = was
				numeric := (up - down) / (2 * step)
				if got := want[i][j]; math.Abs(got-numeric) > 1e-6*(1+math.Abs(numeric)) {
					t.Fatalf("%s[%d]: got gradient %v, want %v", v.Name, j, got, numeric)
				}
				moved = moved || numeric != 0
			}
		}
		if !moved {
			t.Fatal("the loss depends on nothing")
		}
		q := fast()
		for i, v := range q.all() {
			for j := range v.W {
				v.W[j] = float32(p.all()[i].W[j])
			}
		}
		q.all().Clear()
		q.run(true)
		for i, v := range q.all() {
			largest := 0.
			for _, g := range want[i] {
				largest = max(largest, math.Abs(g))
			}
			for j, g := range v.G {
				if math.Abs(float64(g)-want[i][j]) > 1e-3*(largest+1e-3) {
					t.Fatalf("float32: %s[%d]: got gradient %v, want %v", v.Name, j, g, want[i][j])
				}
			}
		}
	})
}

func random() *rand.Rand { return rand.New(rand.NewPCG(11, 12)) }

// input is an array of the given shape to vary.
func input[F Float](name string, rows, cols int) *Param[F] {
	return NewParam[F](name, rows, cols).Normal(random(), 1)
}

// weigh is a loss that depends on every element of y in its own way; dy, where
// given, becomes its gradient.
func weigh[F Float](y Mat[F], dy *Mat[F]) float64 {
	var loss float64
	d := MatOf(y.Rows, y.Cols, make([]F, y.Rows*y.Cols))
	for i := range y.Rows {
		for j, v := range y.Row(i) {
			c := math.Sin(float64(1+3*i+7*j)) + .3
			loss += c*float64(v) + .1*float64(v)*float64(v)
			d.Row(i)[j] = F(c + .2*float64(v))
		}
	}
	if dy != nil {
		*dy = d
	}
	return loss
}

// layered is the problem of a layer from x to y.
func layered[F Float](x *Param[F], params Params[F], forward func(Mat[F]) Mat[F], backward func(Mat[F]) Mat[F]) *problem[F] {
	return &problem[F]{params: params, inputs: []*Param[F]{x}, run: func(grad bool) float64 {
		var dy Mat[F]
		in := MatOf(x.Rows, x.Cols, append([]F(nil), x.W...))
		loss := weigh(forward(in), &dy)
		if grad {
			dx := backward(dy)
			copy(x.G, dx.Data[:len(x.G)])
		}
		return loss
	}}
}

func dense[F Float]() *problem[F] {
	d := NewDense[F]("dense", 3, 5, random())
	return layered(input[F]("x", 4, 3), d.Params(), d.Forward, d.Backward)
}

func layerNorm[F Float]() *problem[F] {
	l := NewLayerNorm[F]("norm", 6)
	l.Gain.Normal(random(), 1)
	return layered(input[F]("x", 3, 6), l.Params(), l.Forward, l.Backward)
}

func relu[F Float]() *problem[F] {
	r := new(ReLU[F])
	return layered(input[F]("x", 3, 4), nil, r.Forward, r.Backward)
}

func gelu[F Float]() *problem[F] {
	g := new(GELU[F])
	return layered(input[F]("x", 3, 4), nil, g.Forward, g.Backward)
}

func dropout[F Float]() *problem[F] {
	d := &Dropout[F]{Rate: .4}
	return layered(input[F]("x", 5, 7), nil, func(x Mat[F]) Mat[F] { return d.Forward(x, 3) },
		func(dy Mat[F]) Mat[F] { return d.Backward(dy) })
}

var packed = Steps{3, 3, 2, 1}

// chunked is more tokens than are taken at once, on either side of a time that
// alone is as many.
var chunked = Steps{chunkRows + 3, 5, 4, 2}

func gru[F Float](steps Steps, in, hidden int) func() *problem[F] {
	return func() *problem[F] {
		g := NewGRU[F]("gru", in, hidden, random())
		return layered(input[F]("x", steps.Tokens(), in), g.Params(), func(x Mat[F]) Mat[F] { return g.Forward(x, steps) }, g.Backward)
	}
}

func lstm[F Float](steps Steps, in, hidden int) func() *problem[F] {
	return func() *problem[F] {
		l := NewLSTM[F]("lstm", in, hidden, random())
		return layered(input[F]("x", steps.Tokens(), in), l.Params(), func(x Mat[F]) Mat[F] { return l.Forward(x, steps) }, l.Backward)
	}
}

func attention[F Float](shape Lengths, dim int) func() *problem[F] {
	return func() *problem[F] {
		a := NewAttention[F]("attention", dim, 2, 4, .5, random())
		a.Bias.Normal(random(), 1)
		return layered(input[F]("x", shape.Tokens(), dim), a.Params(), func(x Mat[F]) Mat[F] { return a.Forward(x, shape) }, a.Backward)
	}
}

func experts[F Float]() *problem[F] {
	e := NewExperts[F]("experts", 3, 4, 3, 2, random())
	x := input[F]("x", 4, 3)
	return &problem[F]{params: e.Params(), inputs: []*Param[F]{x}, run: func(grad bool) float64 {
		var dy [2]Mat[F]
		var loss float64
		for g, y := range e.Forward(x.Mat()) {
			loss += float64(g+1) * weigh(y, &dy[g])
			scale(F(g+1), dy[g].Data)
		}
		if grad {
			copy(x.G, e.Backward(dy[:]).Data)
		}
		return loss
	}}
}

func embedding[F Float]() *problem[F] {
	e := &Embedding[F]{Table: NewParam[F]("table", 5, 3).Normal(random(), 1)}
	return &problem[F]{params: Params[F]{e.Table}, run: func(grad bool) float64 {
		var dy Mat[F]
		loss := weigh(e.Forward([]int32{4, 0, -1, 4, 2}, 1.5), &dy)
		if grad {
			e.Backward(dy, 1.5)
		}
		return loss
	}}
}

// tied is a catalogue whose table is also the embedding, in blocks that do not
// divide the batch, with a target that counts nothing.
func tied[F Float]() *problem[F] {
	table, bias := NewParam[F]("table", 7, 3).Normal(random(), 1), NewParam[F]("bias", 1, 7).Normal(random(), 1)
	e, c := &Embedding[F]{Table: table}, &Catalogue[F]{Table: table, Bias: bias, BlockRows: 2}
	return &problem[F]{params: Params[F]{table, bias}, run: func(grad bool) float64 {
		loss, _ := c.Step(e.Forward([]int32{1, 6, 2, 2, 5}, 1), []int32{3, 0, 6, -1, 2}, .7)
		if grad {
			table.Clear()
			bias.Clear()
			_, dh := c.Step(e.Forward([]int32{1, 6, 2, 2, 5}, 1), []int32{3, 0, 6, -1, 2}, .7)
			e.Backward(dh, 1)
		}
		return .7 * loss
	}}
}

// sampled is a loss over a target and two samples a row.
func sampled[F Float](loss func(scores Mat[F]) float64) func() *problem[F] {
	return func() *problem[F] {
		h := input[F]("h", 3, 4)
		s := &Sampled[F]{Table: NewParam[F]("table", 6, 4).Normal(random(), 1), Bias: NewParam[F]("bias", 6, 1).Normal(random(), 1)}
		s.Table.Lazy, s.Bias.Lazy = true, true
		return &problem[F]{params: Params[F]{s.Table, s.Bias}, inputs: []*Param[F]{h}, run: func(grad bool) float64 {
			scores := s.Forward(h.Mat(), []int32{0, 2, 3, 5, 2, 2, 1, 0, 4}, 3)
			value := loss(scores)
			if grad {
				copy(h.G, s.Backward(scores).Data)
			}
			return .7 * value
		}}
	}
}

func logistics[F Float]() *problem[F] {
	x := input[F]("x", 1, 4)
	return &problem[F]{inputs: []*Param[F]{x}, run: func(grad bool) float64 {
		g := make([]F, 4)
		loss := Logistic(x.W, []F{1, 0, .3, 1}, []F{1, 2, .5, 0}, g, .7)
		if grad {
			copy(x.G, g)
		}
		return .7 * loss
	}}
}

func squared[F Float]() *problem[F] {
	x := input[F]("x", 1, 3)
	return &problem[F]{inputs: []*Param[F]{x}, run: func(grad bool) float64 {
		g := make([]F, 3)
		loss := Squared(x.W, []F{1, 0, .3}, g, .7)
		if grad {
			copy(x.G, g)
		}
		return .7 * loss
	}}
}

func uncertain[F Float]() *problem[F] {
	x, s := input[F]("x", 1, 3), NewParam[F]("s", 1, 1).Fill(.4)
	return &problem[F]{params: Params[F]{s}, inputs: []*Param[F]{x}, run: func(grad bool) float64 {
		g := make([]F, 3)
		loss := Squared(x.W, []F{1, 0, .3}, g, 1)
		if grad {
			factor := Uncertain(s, loss, 1)
			for i := range g {
				x.G[i] = factor * g[i]
			}
		}
		return math.Exp(-float64(s.W[0]))*loss + float64(s.W[0])/2
	}}
}

func TestGradients(t *testing.T) {
	checkGradient(t, "dense", dense[float64], dense[float32])
	checkGradient(t, "layer norm", layerNorm[float64], layerNorm[float32])
	checkGradient(t, "relu", relu[float64], relu[float32])
	checkGradient(t, "gelu", gelu[float64], gelu[float32])
	checkGradient(t, "dropout", dropout[float64], dropout[float32])
	for name, steps := range map[string]Steps{"": packed, ", chunked": chunked, ", in even chunks": {chunkRows / 2, chunkRows / 2, chunkRows / 2}} {
		in, hidden := 3, 4
		if name != "" {
			in, hidden = 1, 2
		}
		checkGradient(t, "gru"+name, gru[float64](steps, in, hidden), gru[float32](steps, in, hidden))
		checkGradient(t, "lstm"+name, lstm[float64](steps, in, hidden), lstm[float32](steps, in, hidden))
	}
	short := Lengths{3, 1, 5}
	checkGradient(t, "attention", attention[float64](short, 4), attention[float32](short, 4))
	if !testing.Short() {
		long := Lengths{attentionBlock + 5}
		checkGradient(t, "attention in blocks", attention[float64](long, 2), attention[float32](long, 2))
	}
	checkGradient(t, "experts", experts[float64], experts[float32])
	checkGradient(t, "embedding", embedding[float64], embedding[float32])
	checkGradient(t, "catalogue, tied", tied[float64], tied[float32])
	checkGradient(t, "sampled softmax", sampled(func(s Mat[float64]) float64 { return SampledSoftmax(s, logQ[float64](), .7) }),
		sampled(func(s Mat[float32]) float64 { return SampledSoftmax(s, logQ[float32](), .7) }))
	checkGradient(t, "gbce", sampled(func(s Mat[float64]) float64 { return GBCE(s, .4, .7) }),
		sampled(func(s Mat[float32]) float64 { return GBCE(s, .4, .7) }))
	checkGradient(t, "bpr", sampled(func(s Mat[float64]) float64 { return BPR(s, .7) }),
		sampled(func(s Mat[float32]) float64 { return BPR(s, .7) }))
	checkGradient(t, "logistic", logistics[float64], logistics[float32])
	checkGradient(t, "squared", squared[float64], squared[float32])
	checkGradient(t, "uncertain", uncertain[float64], uncertain[float32])
}

func logQ[F Float]() []F { return []F{0, -1, -2, 0, -.5, -.5, 0, -1, -3} }
