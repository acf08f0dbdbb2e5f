//go:build !unix

package job

import "runtime"

func resetPeak() {}

// peakRSS is the memory Go has from the system.
func peakRSS() int64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.Sys)
}
