//go:build !race

package e2e

// raced tells that the race detector watches, which takes many times the memory.
const raced = false
