package store

import "testing"

// TestSummary expects every id of many segments, and few others.
func TestSummary(t *testing.T) {
	const segments, rows = 3*summarised + 1, 500
	hash := func(i int) uint64 { return uint64(i+1) * 0x9E3779B97F4A7C15 }
	var s summary
	for g := range segments {
		var ids []uint64
		for i := range rows {
			ids = append(ids, hash(g*rows+i))
		}
		s.add(ids)
	}
	s.add(nil)
	wrong := 0
	for i := range segments * rows {
		if !s.has(hash(i)) {
			t.Fatalf("id %d was added and is not there", i)
		}
		if s.has(hash(segments*rows + i)) {
			wrong++
		}
	}
	if wrong > segments*rows/50 {
		t.Errorf("%d of %d that were not added seem to be there: want at most 1 in 50", wrong, segments*rows)
	}
	if len(s.parts) != 4 {
		t.Errorf("got %d filters, want 4", len(s.parts))
	}
}
