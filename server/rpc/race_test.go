//go:build race

package rpc

// underRace says whether the race detector is on: it takes memory,
// so that none can be counted.
const underRace = true
