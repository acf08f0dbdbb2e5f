package app

import (
	"runtime"
	"runtime/metrics"
)

// tidy collects garbage now where that would come soon anyway. Answers are slower
// while garbage is collected, and should not be so in the moment in which a
// release is new to them.
func tidy() {
	if nearlyFull(heap()) {
		runtime.GC()
	}
}

// heap is the bytes in it, those that were in use after the last collection, and
// those at which the next begins; zeros where Go does not say.
func heap() (now, live, goal uint64) {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/heap/live:bytes"}, {Name: "/gc/heap/goal:bytes"}}
	metrics.Read(s)
	for i := range s {
		if s[i].Value.Kind() != metrics.KindUint64 {
			return 0, 0, 0
		}
	}
	return s[0].Value.Uint64(), s[1].Value.Uint64(), s[2].Value.Uint64()
}

// lastPart is the share of what may be allocated between two collections that is
// soon allocated: some seconds, of a busy server.
const lastPart = 8

// nearlyFull reports whether a heap that grows from live to goal between two
// collections of garbage will soon be there.
func nearlyFull(now, live, goal uint64) bool {
	return goal > live && now > goal-(goal-live)/lastPart
}
