package linalg

// IndexAbove returns the index of the first element of x that is above bar, and len(x) when there
// is none. A NaN is above nothing.
func IndexAbove(x []float32, bar float32) int { return indexAbove(x, bar) }
