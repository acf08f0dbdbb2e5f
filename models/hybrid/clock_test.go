package hybrid

import (
	"testing"
	"time"

	"github.com/attune-rec/attune/features/usage"
)

func TestClock(t *testing.T) {
	c := newClock(1)
	if usage.Processor() > 0 {
		time.Sleep(50 * time.Millisecond)
		idle := newClock(1_000_000) // whatever the rest of the process does
		before := usage.Processor()
		for sum := 0; usage.Processor() == before; sum++ {
		}
		if got := idle.seconds(); got > 1e-3 {
			t.Errorf("among a million workers: got %v s, want next to nothing", got)
		}
	}
	got := c.seconds()
	if wall := time.Since(c.start).Seconds(); got < 0 || got > wall {
		t.Errorf("got %v s, want between 0 and the wall's %v", got, wall)
	}
}
