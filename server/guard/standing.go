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
	began   time.Time     // of what is counted while it stands
	callers int           // since then
	refused int           // of them
}

// wait is how long those wait who wait.
type wait uint8

const (
	short wait = iota // a little
	long
	late // longer than an answer should take
	full // as long as one may in a burst
)

const (
	rising   = 40 * time.Millisecond  // of callers behind a long queue, after which one that is late and longer than before stands
	interval = 100 * time.Millisecond // in which few are turned away, after which it stands no more
	few      = 8                      // one of so many
	lull     = 10 * time.Millisecond  // in which nobody comes is more than chance: everything was held
	lasting  = 4 * interval           // after which one that was never short stands, whatever becomes of it
)

// came notes a caller at now behind so many, who wait for w.
func (s *standing) came(now time.Time, ahead int, w wait) {
	if s.on && now.Sub(s.began) > interval {
		s.on = s.refused*few >= s.callers && now.Sub(s.last) <= interval
		s.count(now)
	}
	s.callers++
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
		if !s.on {
			s.count(now)
		}
		s.on = true
	}
	s.peak = max(s.peak, ahead)
}

// count begins to count anew.
func (s *standing) count(now time.Time) { s.began, s.callers, s.refused = now, 0, 0 }
