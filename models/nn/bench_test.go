package nn

import "testing"

// The layers at batch 128, length 50, d 64: forward and backward.
func BenchmarkLayers(b *testing.B) {
	const n, length, dim = 128, 50, 64
	x := NewParam[float32]("x", n*length, dim).Normal(random(), 1).Mat()
	steps, shape := make(Steps, length), make(Lengths, n)
	for i := range steps {
		steps[i] = n
	}
	for i := range shape {
		shape[i] = length
	}
	gru, lstm := NewGRU[float32]("gru", dim, dim, random()), NewLSTM[float32]("lstm", dim, dim, random())
	attention, norm := NewAttention[float32]("attention", dim, 2, length, .1, random()), NewLayerNorm[float32]("norm", dim)
	catalogue := &Catalogue[float32]{Table: NewParam[float32]("items", 3706, dim).Normal(random(), .1), Bias: NewParam[float32]("bias", 1, 3706)}
	targets := make([]int32, n*length)
	for i := range targets {
		targets[i] = int32(i * 31 % 3706)
	}
	for _, c := range []struct {
		name string
		run  func()
	}{
		{"gru", func() { gru.Backward(gru.Forward(x, steps)) }},
		{"lstm", func() { lstm.Backward(lstm.Forward(x, steps)) }},
		{"attention", func() { attention.Backward(attention.Forward(x, shape)) }},
		{"norm", func() { norm.Backward(norm.Forward(x)) }},
		{"catalogue", func() { catalogue.Step(x, targets, 1e-4) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			for range b.N {
				c.run()
			}
		})
	}
}
