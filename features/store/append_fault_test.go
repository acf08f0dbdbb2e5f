package store

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/raced"
)

func events(from, n int) []features.Event {
	all := make([]features.Event, n)
	for i := range all {
		all[i] = event(from + i)
	}
	return all
}

// TestAppendFaults makes every operation on the disk fail in turn while events
// are appended, once and from then on, in four ways. An event that was
// acknowledged is there, at once and after a restart, and never twice; reading
// goes on while the disk is broken; once it is mended, the same events are
// taken.
func TestAppendFaults(t *testing.T) {
	installDisk()
	step, points, struck, refused := 1, 0, 0, 0
	if testing.Short() {
		step = 17
	}
	if raced.On {
		step = 68 // the same goroutines at each point
	}
	for _, f := range faults {
		disk.arm(f, 0, false)
		appendUnderFault(t, f, 0, false)
		total, _ := disk.disarm()
		if total < 4 {
			t.Fatalf("%s: got %d operations, want those of every append", f.name, total)
		}
		for _, onward := range []bool{false, true} {
			for n := 1; n <= total; n += step {
				hits, no := appendUnderFault(t, f, n, onward)
				points, struck, refused = points+1, struck+hits, refused+no
				if t.Failed() {
					t.Fatalf("%s, operation %d of %d, onward %v", f.name, n, total, onward)
				}
			}
		}
	}
	if refused == 0 {
		t.Error("no append was refused: the test shows nothing")
	}
	t.Logf("FIGURE ingest: %d fault points (no space, EIO, short write, fsync; once and onward), %d operations failed, %d batches refused: 0 false acknowledgements, reading went on", points, struck, refused)
}

// appendUnderFault is one life of a store whose disk breaks at operation n.
func appendUnderFault(t *testing.T, f fault, n int, onward bool) (hits, refused int) {
	t.Helper()
	const callers, batches, size = 3, 3, 4
	o := Options{Dir: t.TempDir(), SealAt: -1}
	s := open(t, o)
	before := must(s.Append(context.Background(), shop, events(0, 5)))(t)
	disk.arm(f, n, onward)
	ledger := map[string]int64{}
	for i, a := range before {
		ledger[fmt.Sprintf("event-%d", i)] = a.Seq
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for b := range batches {
				batch := events(100+100*c+10*b, size)
				got, err := s.Append(context.Background(), shop, batch)
				mu.Lock()
				if err != nil {
					refused++
				}
				for i, a := range got {
					ledger[batch[i].ID] = a.Seq
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	holds(t, s, ledger, "while the disk is broken") // reads: nothing of them is struck
	_, hits = disk.disarm()
	if n == 0 {
		return hits, refused
	}
	for c := range callers { // as a client does that got no answer
		for b := range batches {
			batch := events(100+100*c+10*b, size)
			for i, a := range must(s.Append(context.Background(), shop, batch))(t) {
				if was, ok := ledger[batch[i].ID]; ok && was != a.Seq {
					t.Errorf("event %s was acknowledged as %d and then as %d", batch[i].ID, was, a.Seq)
				}
				ledger[batch[i].ID] = a.Seq
			}
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	holds(t, open(t, o), ledger, "after a restart")
	return hits, refused
}

// holds expects every event of the ledger in its place, and none twice.
func holds(t *testing.T, s *Store, ledger map[string]int64, when string) {
	t.Helper()
	seen := map[string]int64{}
	for _, e := range scan(t, s, 0, 0) {
		if at, twice := seen[e.ID]; twice {
			t.Errorf("%s: event %s is there as %d and as %d", when, e.ID, at, e.Seq)
		}
		seen[e.ID] = e.Seq
	}
	for id, seq := range ledger {
		if seen[id] != seq {
			t.Errorf("%s: event %s was acknowledged as %d and is %d (0: lost)", when, id, seq, seen[id])
		}
	}
}

// TestSealFaults does the same while events move to Parquet: each is there
// once, before, during and after.
func TestSealFaults(t *testing.T) {
	installDisk()
	step, points, refused := 1, 0, 0
	if testing.Short() {
		step = 40
	}
	if raced.On {
		step = 160
	}
	for _, f := range faults {
		for n := 1; ; n += step {
			o := Options{Dir: t.TempDir(), SegmentRows: 100, SealAt: -1}
			s := open(t, o)
			ledger := map[string]int64{}
			for i, a := range must(s.Append(context.Background(), shop, events(0, 300)))(t) {
				ledger[fmt.Sprintf("event-%d", i)] = a.Seq
			}
			disk.arm(f, n, true)
			_, err := s.Seal(context.Background(), shop, 0)
			holds(t, s, ledger, "while the disk is broken")
			_, hits := disk.disarm()
			if err != nil {
				refused++
			}
			if _, err := s.Seal(context.Background(), shop, 0); err != nil {
				t.Errorf("%s, operation %d, mended: %v", f.name, n, err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			holds(t, open(t, o), ledger, "after a restart")
			if t.Failed() {
				t.Fatalf("%s, operation %d", f.name, n)
			}
			if hits == 0 {
				break
			}
			points++
		}
	}
	if refused == 0 {
		t.Error("no sealing was refused: the test shows nothing")
	}
	t.Logf("FIGURE sealing: %d fault points, %d sealings refused: every event there once", points, refused)
}
