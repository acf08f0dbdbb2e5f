package linalg

import "slices"

// IndexAbove returns the index of the first element of x that is above bar, and len(x) when there
// is none. A NaN is above nothing.
func IndexAbove(x []float32, bar float32) int { return indexAbove(x, bar) }

// IndexOf returns the index of the first element of x that is v, and len(x) when there is none.
func IndexOf(x []int32, v int32) int { return indexOf(x, v) }

func indexOfGeneric(x []int32, v int32) int {
	if i := slices.Index(x, v); i >= 0 {
		return i
	}
	return len(x)
}
