package vector

import "math"

// bucket is runs of about the same promise.
type bucket struct {
	end    int     // in order
	rows   float32 // that pass and are not seen
	away   float32 // rows times how many standard deviations the bar is above the mean of theirs
	narrow float32 // rows times how many of them a unit is, for a query of length 1
}

// move puts part of a bucket into another.
func (b *bucket) move(part float32, to *bucket) {
	to.add(part*b.rows, b.away/b.rows, b.narrow/b.rows)
	b.rows, b.away, b.narrow = b.rows-part*b.rows, b.away-part*b.away, b.narrow-part*b.narrow
}

func (b *bucket) add(rows, away, narrow float32) {
	b.rows += rows
	b.away += rows * away
	b.narrow += rows * narrow
}

// hold is how many rows above the bar are expected.
func (b *bucket) hold() float32 {
	if b.rows <= 0 {
		return 0
	}
	return b.rows * above(b.away/b.rows)
}

// The share of a normal distribution above z, from aboveFrom in steps.
const (
	aboveFrom, aboveTo, aboveSteps = -4, 8, 32
)

var aboveTable = func() (t [(aboveTo-aboveFrom)*aboveSteps + 1]float32) {
	for i := range t {
		z := aboveFrom + (float64(i)+.5)/aboveSteps
		t[i] = float32(math.Erfc(z/math.Sqrt2) / 2)
	}
	return t
}()

func above(z float32) float32 {
	if z != z {
		return 1
	}
	return aboveTable[int((min(max(z, aboveFrom), aboveTo)-aboveFrom)*aboveSteps)]
}
