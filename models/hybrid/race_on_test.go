//go:build race

package hybrid_test

// raced says that the race detector empties pools at random.
const raced = true
