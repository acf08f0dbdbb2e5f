package linalg

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"testing"
)

// eachISABench runs f on every instruction set of this machine and reports GFLOP/s for flops
// operations an iteration (bytes for the scans of int8).
func eachISABench(b *testing.B, name string, flops float64, f func(b *testing.B)) {
	b.Helper()
	before := active
	defer func() { active = before }()
	for l := generic; l <= best(); l++ {
		active = l
		b.Run(name+"/"+levelNames[l], func(b *testing.B) {
			f(b)
			b.ReportMetric(flops*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
		})
	}
}

func BenchmarkDot(b *testing.B) {
	s := &sample{r: newRand(1)}
	for _, d := range []int{64, 128} {
		const n = 64
		q, rows, out := s.vec(d), s.vec(n*d), make([]float32, n)
		ids := s.rows(n, n)
		flops := float64(2 * n * d)
		eachISABench(b, fmt.Sprintf("one/d=%d", d), flops, func(b *testing.B) {
			for b.Loop() {
				for i := range out {
					out[i] = Dot(q, rows[i*d:][:d])
				}
			}
		})
		eachISABench(b, fmt.Sprintf("rows/d=%d", d), flops, func(b *testing.B) {
			for b.Loop() {
				DotRows(q, rows, out)
			}
		})
		eachISABench(b, fmt.Sprintf("gather/d=%d", d), flops, func(b *testing.B) {
			for b.Loop() {
				DotGather(q, rows, ids, out)
			}
		})
	}
}

func BenchmarkDotRowsMany(b *testing.B) {
	s := &sample{r: newRand(1)}
	const d, n, nq = 64, 4096, 64
	qs, rows, out := s.vec(nq*d), s.vec(n*d), make([]float32, nq*n)
	eachISABench(b, "64x4096/d=64", 2*d*n*nq, func(b *testing.B) {
		for b.Loop() {
			DotRowsMany(qs, nq, rows, d, out)
		}
	})
}

func BenchmarkGemm(b *testing.B) {
	s := &sample{r: newRand(1)}
	for _, x := range [][3]int{{512, 512, 64}, {512, 512, 512}, {1024, 64, 128}} {
		m, n, k := x[0], x[1], x[2]
		p, q, c := MatrixOf(m, k, s.vec(m*k)), MatrixOf(k, n, s.vec(k*n)), NewMatrix(m, n)
		eachISABench(b, fmt.Sprintf("%dx%dx%d", m, n, k), 2*float64(m*n*k), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Gemm(false, false, 1, p, q, 0, c)
			}
		})
	}
}

func BenchmarkSyrkGather(b *testing.B) {
	s := &sample{r: newRand(1)}
	for _, k := range []int{64, 128, 256} {
		const n = 36
		mat, rows, c := MatrixOf(1000, k, s.vec(1000*k)), s.rows(n, 1000), NewMatrix(k, k)
		scratch := make([]float32, 2*n*k)
		eachISABench(b, fmt.Sprintf("36/k=%d", k), n*float64(k*k), func(b *testing.B) {
			for b.Loop() {
				c.Zero()
				SyrkGather(mat, rows, nil, c, scratch)
			}
		})
	}
}

func BenchmarkCholesky(b *testing.B) {
	for _, k := range []int{64, 128, 256} {
		a := randomSPD(newRand(1), k)
		w := a.Clone()
		eachISABench(b, fmt.Sprintf("k=%d", k), float64(k*k*k)/3, func(b *testing.B) {
			for b.Loop() {
				w.CopyFrom(a)
				if err := Cholesky(w); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkCholeskyInverse factors and inverts a matrix of 3,000 rows, or of as many as the variable
// ATTUNE_BENCH_ROWS says, on all processors; it holds one copy of it.
func BenchmarkCholeskyInverse(b *testing.B) {
	n := 3000
	if rows := os.Getenv("ATTUNE_BENCH_ROWS"); rows != "" {
		var err error
		if n, err = strconv.Atoi(rows); err != nil {
			b.Fatal(err)
		}
	}
	a := NewMatrix(n, n)
	fill := func(b *testing.B) {
		b.StopTimer()
		r := newRand(1)
		for i := range n {
			row := a.Row(i)[i:]
			for j := range row {
				row[j] = r.Float32() - 0.5
			}
			row[0] += 2 * float32(math.Sqrt(float64(n)))
		}
		b.StartTimer()
	}
	cube := float64(n) * float64(n) * float64(n)
	eachISABench(b, fmt.Sprintf("factor/n=%d", n), cube/3, func(b *testing.B) {
		for b.Loop() {
			fill(b)
			if err := CholeskyParallel(a, Workers()); err != nil {
				b.Fatal(err)
			}
		}
	})
	eachISABench(b, fmt.Sprintf("both/n=%d", n), cube, func(b *testing.B) {
		for b.Loop() {
			fill(b)
			if err := CholeskyParallel(a, Workers()); err != nil {
				b.Fatal(err)
			}
			CholeskyInverse(a, Workers())
		}
	})
}

func BenchmarkCGSolve(b *testing.B) {
	for _, k := range []int{64, 128} {
		s := &sample{r: newRand(1)}
		mat, rows := MatrixOf(1000, k, s.vec(1000*k)), s.rows(36, 1000)
		weights, g, rhs, x := make([]float32, 36), randomSPD(s.r, k), s.vec(k), make([]float32, k)
		for i := range weights {
			weights[i] = 2
		}
		var cg CG
		eachISABench(b, fmt.Sprintf("k=%d", k), float64(4*(2*k*k+4*36*k)), func(b *testing.B) {
			for b.Loop() {
				clear(x)
				cg.Solve(g, mat, rows, weights, rhs, x, 3, 0)
			}
		})
	}
}

func BenchmarkInt8(b *testing.B) {
	s := &sample{r: newRand(1)}
	for _, d := range []int{64, 128} {
		const n = 1024
		m := QuantiseRows(s.vec(n*d), d, 1)
		var q QuantisedQuery
		QuantiseQuery(s.vec(d), &q)
		out := make([]float32, n)
		eachISABench(b, fmt.Sprintf("rows/d=%d", d), 2*float64(n*d), func(b *testing.B) {
			for b.Loop() {
				DotInt8Rows(&q, m, 0, out)
			}
		})
	}
}

func BenchmarkTopK(b *testing.B) {
	s := &sample{r: newRand(1)}
	x := s.vec(100_000)
	var t TopK
	eachISABench(b, "100 of 100k", 100_000, func(b *testing.B) {
		for b.Loop() {
			t.Reset(100)
			t.PushBlock(0, x)
		}
	})
}

func BenchmarkElementwise(b *testing.B) {
	s := &sample{r: newRand(1)}
	const n = 4096
	x, y, m, v := s.vec(n), s.vec(n), make([]float32, n), make([]float32, n)
	step := NewAdamStep(3, 0.001, 0.9, 0.999, 1e-8, 0)
	for _, op := range []struct {
		name string
		f    func()
	}{
		{"exp", func() { Exp(y, x) }},
		{"sigmoid", func() { Sigmoid(y, x) }},
		{"tanh", func() { Tanh(y, x) }},
		{"softmax", func() { Softmax(y, x) }},
		{"relu", func() { ReLU(y, x) }},
		{"add", func() { AddTo(y, x, x) }},
		{"adam", func() { step.Apply(y, x, m, v) }},
	} {
		eachISABench(b, op.name, n, func(b *testing.B) { // an operation an element
			for b.Loop() {
				op.f()
			}
		})
	}
}

// BenchmarkScan reads more rows than the caches hold; an operation is a row.
func BenchmarkScan(b *testing.B) {
	s := &sample{r: newRand(1)}
	for _, n := range []int{100_000, 500_000} {
		const d = 64
		rows, q, out := s.vec(n*d), s.vec(d), make([]float32, n)
		m := QuantiseRows(rows, d, 1)
		var qq QuantisedQuery
		QuantiseQuery(q, &qq)
		eachISABench(b, fmt.Sprintf("float32/%d", n), float64(n), func(b *testing.B) {
			for b.Loop() {
				DotRows(q, rows, out)
			}
		})
		eachISABench(b, fmt.Sprintf("int8/%d", n), float64(n), func(b *testing.B) {
			for b.Loop() {
				DotInt8Rows(&qq, m, 0, out)
			}
		})
	}
}
