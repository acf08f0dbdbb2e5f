package guard

import "time"

// standing tells a queue that stands from one that a burst, or something that ran
// for long elsewhere, has left behind. It is told of each caller, before they are
// let in, by one at a time.
//
// The second becomes shorter at once, since less comes than can be done: whoever
// waits in it waits no longer than those before. The first is longer after a while
// than it ever was, so that each answer is later than the one before, or it is
// always full.
type standing struct {
	on      bool
	long    time.Duration // that somebody has waited for long; 0: nobody does
	peak    int           // the most that have waited meanwhile
	last    time.Time     // when somebody came
	refused time.Time     // when somebody was turned away, the last time
}

// wait is how long those wait who wait.
type wait uint8

const (
	short wait = iota // no longer than one may in a queue that stands
	long
	late // longer than an answer should take
	full // as long as one may in a burst
)

const (
	rising   = 40 * time.Millisecond  // of callers behind a long queue, after which one that is late and longer than before stands
	interval = 100 * time.Millisecond // without a caller turned away, after which one that is empty stands no more
	lull     = 10 * time.Millisecond  // in which nobody comes is more than chance: everything was held
	lasting  = 4 * interval           // after which one that was never short stands, whatever becomes of it
)

// came notes a caller at now behind so many, who wait for w.
func (s *standing) came(now time.Time, ahead int, w wait) {
	if s.on && ahead == 0 && now.Sub(s.refused) > interval {
		s.on = false
	}
	passed := min(now.Sub(s.last), lull)
	s.last = now
	switch {
	case w == short:
		s.long = 0
		return
	case s.long == 0:
		s.long, s.peak = 1, ahead
		return
	}
	s.long += passed
	if s.long > lasting || s.long > rising && (w == full || w == late && ahead > s.peak) {
		s.on = true
	}
	s.peak = max(s.peak, ahead)
}
