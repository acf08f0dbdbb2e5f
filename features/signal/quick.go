package signal

import "math"

// exp2 is 2 to the power of x, for x of at most 0, to 1e-9 of its value; 0
// below what a float64 has.
func exp2(x float64) float64 {
	if !(x > -1000) {
		return 0
	}
	n := math.Floor(x + .5)
	f := (x - n) * math.Ln2
	f2 := f * f
	even := 1 + f2*(1./2+f2*(1./24+f2*(1./720+f2*(1./40320))))
	odd := 1 + f2*(1./6+f2*(1./120+f2*(1./5040+f2*(1./362880))))
	return (even + f*odd) * math.Float64frombits(uint64(int64(n)+1023)<<52) // #nosec G115 -- n is from -1000 to 0
}

// ln is the natural logarithm of x, a normal number above 0, to 1e-9.
func ln(x float64) float64 {
	const half = 0x3fe6a09e667f3bcd // the bits of the square root of a half
	bits := int64(math.Float64bits(x))
	e := (bits - half) >> 52
	f := math.Float64frombits(uint64(bits-e<<52)) - 1 // #nosec G115 -- bits of a number above 0
	s := f / (2 + f)
	z := s * s
	return float64(e)*math.Ln2 + 2*s*(1+z*(1./3+z*(1./5+z*(1./7+z*(1./9+z*(1./11+z*(1./13)))))))
}
