// Package raced tells tests whether the race detector watches: it empties pools
// at random, so that allocations say nothing, and takes many times the memory and
// the time, so that what one goroutine computes alone need not be large.
package raced
