//go:build !race

package kit_test

// underRace says whether the race detector is on: it empties pools at random,
// so that nothing is steady.
const underRace = false
