//go:build !race

package signal

const raced = false
