package guard

import (
	"testing"
	"time"
)

// answers feeds a limit windows of answers that each took d; full says that
// someone was turned away in each.
func answers(l *limit, windows int, d time.Duration, full bool) {
	now := time.Unix(1e9, 0)
	if !l.began.IsZero() {
		now = l.began
	}
	for range windows {
		for range windowCount {
			if full {
				l.reached()
			}
			now = now.Add(window / (windowCount - 1))
			l.took(d, now)
		}
	}
}

func TestLimitAdapts(t *testing.T) {
	const target = 20 * time.Millisecond
	l := newLimit(target, 8, 256)
	start := l.now.Load()
	answers(l, 50, time.Millisecond, false)
	if got := l.now.Load(); got != start {
		t.Errorf("fast and never full: got limit %d, want %d: nothing asks for more", got, start)
	}
	answers(l, 100, time.Millisecond, true)
	if got := l.now.Load(); got != 256 {
		t.Errorf("fast and full: got limit %d, want the most, 256", got)
	}
	answers(l, 3, 2*target, true)
	if got := l.now.Load(); got >= 256 || got < 100 {
		t.Errorf("late for three windows: got limit %d, want below 256 and above 100", got)
	}
	answers(l, 100, 2*target, true)
	if got := l.now.Load(); got != 8 {
		t.Errorf("late for long: got limit %d, want the least, 8", got)
	}
	answers(l, 10, time.Millisecond, true)
	if got := l.now.Load(); got <= 8 {
		t.Errorf("fast again: got limit %d, want more than 8", got)
	}
}

// A shop whose every answer waits 50 ms for something else is not overloaded.
func TestTargetGivesWayToASlowFloor(t *testing.T) {
	l := newLimit(20*time.Millisecond, 8, 256)
	answers(l, 100, 50*time.Millisecond, true)
	if got := l.now.Load(); got != 256 {
		t.Errorf("always 50 ms: got limit %d, want 256", got)
	}
	answers(l, 100, 300*time.Millisecond, true)
	if got := l.now.Load(); got != 8 {
		t.Errorf("six times the floor: got limit %d, want 8", got)
	}
}
