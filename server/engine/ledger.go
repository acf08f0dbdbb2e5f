package engine

import (
	"time"

	"github.com/attune-rec/attune/features/pace"
	"github.com/attune-rec/attune/features/store"
)

// ledger is what is known of a shop's changes to its catalogue, so that the
// next release need not read them all again: nearly all of them are in it.
type ledger struct {
	next    int64 // the first change that is not in it
	changes []changed
	full    int // changes that a reading of all of them left
}

// changed is what tells whether a change is news to a release.
type changed struct {
	id      string
	number  int64
	updated int64 // Unix seconds
	nanos   int32
	deleted bool
}

func (c *changed) time() time.Time { return time.Unix(c.updated, int64(c.nanos)) }

// add takes changes in that were read from a number on, up to next. One that
// does not go on from where it ended is left out, and what was changed over and
// over makes it begin anew.
func (l *ledger) add(read []changed, from, next int64) {
	if from > l.next || next <= l.next {
		return
	}
	for _, c := range read {
		if c.number >= l.next {
			l.changes = append(l.changes, c)
		}
	}
	if from == first {
		l.full = len(l.changes)
	}
	if l.next = next; len(l.changes) > 2*l.full+1024 {
		*l = ledger{next: first}
	}
}

// start is the first change that may be news to e.
func (l *ledger) start(e *Engine, job *pace.Job) int64 {
	from := l.next
	for i := range l.changes {
		c := &l.changes[i]
		if c.number < from && e.news(c.id, c.time(), c.deleted) {
			from = c.number
		}
		job.Step()
	}
	return from
}

// kept is a change without its item.
func kept(c *store.Change) changed {
	u := c.Item.Updated
	return changed{c.Item.ID, c.Number, u.Unix(), int32(u.Nanosecond()), c.Deleted} // #nosec G115 -- below a second
}
