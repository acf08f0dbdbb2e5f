package vector

import (
	"math"

	"github.com/attune-rec/attune/models/linalg"
)

// smallestStep: a query whose step is below it may have no codes, or products of them
// that are too small for a number.
const smallestStep = 1e-37

// bounds are the coefficients of a row's error: off*|e| + norm*|x|.
type bounds struct{ off, norm float32 }

func (b bounds) of(off, norm float32) float32 { return b.off*off + b.norm*norm }

// queryBounds prepares the query's codes and says how far scores by codes may be
// off; what it says of off is the query's length.
func queryBounds(vec []float32, codes *linalg.QuantisedQuery) bounds {
	linalg.QuantiseQuery(vec, codes)
	var q float64
	for _, v := range vec {
		q += float64(v) * float64(v)
	}
	q = math.Sqrt(q)
	f := math.Sqrt(codes.Left(vec))
	if q <= smallestStep*127*float64(len(vec)) {
		f = q
	}
	return bounds{off: up(q), norm: up(f*(1+1e-4) + q*float64(len(vec)+16)/(1<<23))}
}

// rounding is how far float sums of different order may be apart.
func (x *Exact) rounding(vec []float32) bounds {
	var q float64
	for _, v := range vec {
		q += float64(v) * float64(v)
	}
	return bounds{norm: up(math.Sqrt(q) * float64(x.dim+16) / (1 << 23))}
}

// measure sets the bounds of row i, rounded up.
func (x *Exact) measure(i int) {
	var off, length, coded float64
	scale := float64(x.q8.Scale[i])
	for j, v := range x.vecs[i*x.dim:][:x.dim] {
		c := scale * float64(int(x.q8.Codes[i*x.dim+j])-128)
		off += (float64(v) - c) * (float64(v) - c)
		length += float64(v) * float64(v)
		coded += c * c
	}
	x.off[i] = up(math.Sqrt(off))
	x.norm[i] = up(math.Sqrt(max(length, coded)))
}

// up is v as a float32 that is not below it.
func up(v float64) float32 { return float32(v * (1 + 1e-6)) }
