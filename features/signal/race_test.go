//go:build race

package signal

// raced: pools give back less than they were given.
const raced = true
