//go:build race

package modeltest

// raced: the race detector empties pools at random, so allocations say nothing.
const raced = true
