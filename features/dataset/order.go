package dataset

import "github.com/attune-rec/attune/features"

// lastOrdinal is the greatest number of an event whose time nobody knows.
const lastOrdinal = 99_999

// Ordinal reports whether timeMS is no time but a number that says which event
// came before which: of each user's events, the first is 1. Where only the
// order is known, events are numbered so, and whatever compares times sees it.
func Ordinal(timeMS int64) bool { return timeMS > 0 && timeMS <= lastOrdinal }

// Clocked reports whether any interaction has a time, rather than none or a
// number of Ordinal.
func (d *Dataset) Clocked() bool { return d.LastTimeMS() > lastOrdinal }

// enumerate gives the events of a history that has no times their numbers.
func enumerate(history []features.Interaction) {
	for i := range history {
		history[i].TimeMS = int64(min(i+1, lastOrdinal))
	}
}

// numbered is d where it has times, else d with its events numbered.
func (d *Dataset) numbered() *Dataset {
	if d.LastTimeMS() > 0 {
		return d
	}
	out := *d
	out.Log = append([]features.Interaction(nil), d.Log...)
	for u := range out.Users {
		enumerate(out.History(u))
	}
	return &out
}
