//go:build !race

package modeltest

// raced is false: allocations are counted.
const raced = false
