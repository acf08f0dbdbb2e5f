//go:build !unix

package job

// peakRSS is 0: the system does not tell the largest resident size.
func peakRSS() int64 { return 0 }
