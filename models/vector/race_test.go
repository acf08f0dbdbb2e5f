//go:build race

package vector_test

// underRace says whether the race detector is on: it makes all of it ten times
// as slow, and finds as much in fewer rows.
const underRace = true
