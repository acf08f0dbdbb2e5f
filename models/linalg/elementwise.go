package linalg

import "math"

// The functions of this file work element by element. Their slices have the same length, and dst
// may be one of the inputs. Exp, Sigmoid and Tanh are within 3 units in the last place of the true
// value on every instruction set; NaN gives NaN.

// AddTo sets dst = a + b.
func AddTo(dst, a, b []float32) {
	checkThree("AddTo", dst, a, b)
	addTo(dst, a, b)
}

// SubTo sets dst = a - b.
func SubTo(dst, a, b []float32) {
	checkThree("SubTo", dst, a, b)
	subTo(dst, a, b)
}

// MulTo sets dst = a·b.
func MulTo(dst, a, b []float32) {
	checkThree("MulTo", dst, a, b)
	mulTo(dst, a, b)
}

// MulAddTo adds a·b to dst.
func MulAddTo(dst, a, b []float32) {
	checkThree("MulAddTo", dst, a, b)
	mulAddTo(dst, a, b)
}

// Standardise sets dst to (x - mean)·scale, brought within -limit and limit, and to 0 where that is NaN.
func Standardise(dst, x, mean, scale []float32, limit float32) {
	checkThree("Standardise", dst, x, mean)
	checkLen("Standardise", len(scale), len(dst))
	standardise(dst, x, mean, scale, limit)
}

// ReLU sets dst to x where x > 0 and to 0 elsewhere.
func ReLU(dst, x []float32) {
	checkLen("ReLU", len(x), len(dst))
	relu(dst, x)
}

// ReLUGrad sets dst to grad where y, the output of [ReLU], is above 0, and to 0 elsewhere.
func ReLUGrad(dst, y, grad []float32) {
	checkThree("ReLUGrad", dst, y, grad)
	reluGrad(dst, y, grad)
}

// Exp sets dst = exp(x). Below -86.9, where the result nears the subnormal numbers, it gives 0.
func Exp(dst, x []float32) {
	checkLen("Exp", len(x), len(dst))
	expSum(dst, x, 0)
}

// Sigmoid sets dst = 1/(1+exp(-x)).
func Sigmoid(dst, x []float32) {
	checkLen("Sigmoid", len(x), len(dst))
	sigmoid(dst, x)
}

// Tanh sets dst = tanh(x).
func Tanh(dst, x []float32) {
	checkLen("Tanh", len(x), len(dst))
	tanh(dst, x)
}

// Softmax sets dst to exp(x) divided by its sum and returns the logarithm of that sum, so that
// log dst[i] = x[i] - Softmax(dst, x). An element of -Inf gives 0. At least one element must be
// finite, and none +Inf; otherwise the result is NaN. The relative error is that of Exp, and what
// rounding x[i] - max(x) to a float32 costs.
func Softmax(dst, x []float32) float32 {
	checkLen("Softmax", len(x), len(dst))
	if len(x) == 0 {
		return float32(math.Inf(-1))
	}
	top := largest(x)
	sum := expSum(dst, x, top)
	scale(1/sum, dst)
	return top + float32(math.Log(float64(sum)))
}

// AdamStep is one step of Adam with decoupled weight decay (Kingma and Ba 2015; Loshchilov and
// Hutter 2019), ready to be applied to any number of parameters. It is read-only and safe for
// concurrent use.
type AdamStep struct{ c adamCoefficients }

type adamCoefficients struct{ beta1, rest1, beta2, rest2, rate, scale2, epsilon, keep float32 }

// NewAdamStep returns step number step, counted from 1. decay is the share of rate by which the
// weights shrink, 0 for plain Adam.
func NewAdamStep(step int, rate, beta1, beta2, epsilon, decay float32) AdamStep {
	c1 := 1 - math.Pow(float64(beta1), float64(step))
	c2 := 1 - math.Pow(float64(beta2), float64(step))
	return AdamStep{adamCoefficients{
		beta1: beta1, rest1: 1 - beta1, beta2: beta2, rest2: 1 - beta2,
		rate: float32(float64(rate) / c1), scale2: float32(1 / c2), epsilon: epsilon, keep: 1 - rate*decay,
	}}
}

// Apply updates the weights w, the first moments m and the second moments v by the gradient g. No
// two of them may overlap.
func (s *AdamStep) Apply(w, g, m, v []float32) {
	checkLen("AdamStep.Apply", len(g), len(w))
	checkLen("AdamStep.Apply", len(m), len(w))
	checkLen("AdamStep.Apply", len(v), len(w))
	for ; len(w) > perCall; w, g, m, v = w[perCall:], g[perCall:], m[perCall:], v[perCall:] {
		adam(w[:perCall], g[:perCall], m[:perCall], v[:perCall], &s.c)
	}
	adam(w, g, m, v, &s.c)
}

func checkThree(op string, dst, a, b []float32) {
	checkLen(op, len(a), len(dst))
	checkLen(op, len(b), len(dst))
}

func addToGeneric(dst, a, b []float32) {
	for i := range dst {
		dst[i] = a[i] + b[i]
	}
}

func subToGeneric(dst, a, b []float32) {
	for i := range dst {
		dst[i] = a[i] - b[i]
	}
}

func mulToGeneric(dst, a, b []float32) {
	for i := range dst {
		dst[i] = a[i] * b[i]
	}
}

func mulAddToGeneric(dst, a, b []float32) {
	for i := range dst {
		dst[i] += a[i] * b[i]
	}
}

func reluGeneric(dst, x []float32) {
	for i, v := range x {
		if v < 0 {
			v = 0
		}
		dst[i] = v
	}
}

func standardiseGeneric(dst, x, mean, scale []float32, limit float32) {
	for i, v := range x {
		switch v = (v - mean[i]) * scale[i]; {
		case v != v:
			v = 0
		case v > limit:
			v = limit
		case v < -limit:
			v = -limit
		}
		dst[i] = v
	}
}

func reluGradGeneric(dst, y, grad []float32) {
	for i, v := range y {
		if v > 0 {
			dst[i] = grad[i]
		} else {
			dst[i] = 0
		}
	}
}

func sigmoidGeneric(dst, x []float32) {
	for i, v := range x {
		dst[i] = 1 / (1 + exp(-v))
	}
}

func tanhGeneric(dst, x []float32) {
	for i, v := range x {
		e, n := expMinusOne(2 * min(max(v, -10), 10))
		s := math.Float32frombits(uint32(n+127) << 23)
		e = e*s + (s - 1)
		dst[i] = e / (e + 2)
	}
}

func expSumGeneric(dst, x []float32, shift float32) float32 {
	var sum float32
	for i, v := range x {
		e := exp(v - shift)
		dst[i] = e
		sum += e
	}
	return sum
}

func largestGeneric(x []float32) float32 {
	top := float32(math.Inf(-1))
	for _, v := range x {
		if v > top {
			top = v
		}
	}
	return top
}

func adamGeneric(w, g, m, v []float32, c *adamCoefficients) {
	for i, d := range g {
		m[i] = c.beta1*m[i] + c.rest1*d
		v[i] = c.beta2*v[i] + c.rest2*d*d
		w[i] = c.keep*w[i] - c.rate*m[i]/(float32(math.Sqrt(float64(c.scale2*v[i])))+c.epsilon)
	}
}

// exp is the scalar form of what the assembly does.
func exp(x float32) float32 {
	if x < -86.9 {
		return 0
	}
	e, n := expMinusOne(min(x, 88.73))
	s := math.Float32frombits(uint32(n+126) << 23) // half of 2ⁿ, which may be past the range
	e = e*s + s
	return e + e
}

// expMinusOne splits x = n·ln 2 + r and returns exp(r) - 1, by its series, and n. x must be within
// the range in which exp is a normal number.
func expMinusOne(x float32) (float32, int32) {
	const whole = 3 << 22 // added and taken off again, it rounds to a whole number
	n := x*(1/math.Ln2) + whole
	n -= whole
	const high, low = 0.693359375, math.Ln2 - 0.693359375
	r := x - n*high
	r -= n * low
	p := float32(1. / 5040)
	p = p*r + 1./720
	p = p*r + 1./120
	p = p*r + 1./24
	p = p*r + 1./6
	p = p*r + 1./2
	p = p*r + 1
	return p * r, int32(n)
}
