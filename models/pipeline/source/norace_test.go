//go:build !race

package source_test

// underRace says whether the race detector is on: it empties pools at random,
// so that nothing is steady.
const underRace = false
