package signal

import "math"

// quickParts is how finely the tables divide an octave.
const quickParts = 128

// quickPart is what is known of a part of an octave, about its middle.
type quickPart struct {
	inverse float64 // of the middle
	log     float64 // natural logarithm of the middle
}

// The tables of ln and exp2: the middles of the parts of the octave from 1 to
// 2, and two to the power of each part of one.
var (
	octave = func() (t [quickParts]quickPart) {
		for i := range t {
			// The first part is about 1 itself, so that ln(1) is 0.
			middle := 1 + (float64(i)+.5)/quickParts
			if i == 0 {
				middle = 1
			}
			t[i] = quickPart{1 / middle, math.Log(middle)}
		}
		return t
	}()
	powers = func() (t [quickParts]float64) {
		for i := range t {
			t[i] = math.Exp2(float64(i) / quickParts)
		}
		return t
	}()
)

// exp2 is 2 to the power of x, for x of at most 0, to 1e-11 of its value; 0
// below what a float64 has.
func exp2(x float64) float64 {
	if !(x > -1000) {
		return 0
	}
	n := int64(x*quickParts - .5) // rounded, as x is not above 0
	f := (x*quickParts - float64(n)) * (math.Ln2 / quickParts)
	whole := math.Float64frombits(uint64(n>>7+1023) << 52) // #nosec G115 -- the exponent is from -1000 to 0
	return whole * powers[n&(quickParts-1)] * (1 + f*(1+f*(1./2+f*(1./6+f*(1./24)))))
}

// ln is the natural logarithm of x, a normal number above 0, to 1e-11.
func ln(x float64) float64 {
	bits := math.Float64bits(x)
	part := &octave[bits>>45&(quickParts-1)]
	r := math.Float64frombits(bits&(1<<52-1)|1023<<52)*part.inverse - 1
	r2 := r * r
	return float64(int64(bits>>52)-1023)*math.Ln2 + part.log + (r - r2*((1./2-r*(1./3))+r2*(1./4-r*(1./5)))) // #nosec G115 -- an exponent
}
