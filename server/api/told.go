package api

import (
	"context"
	"slices"

	"github.com/attune-rec/attune/features"
)

// Told collects whom the answer to one call rests on, so that they stand in the
// audit log: those it does not name, and those it is sure to name, who are written
// down while it is made. It is of one goroutine at a time.
type Told struct {
	who   []features.UserKey
	write func([]features.UserKey) error // durable when it returns; nil: nothing is written early
	early []features.UserKey
	done  chan error // nil: nothing was begun
}

type toldKey struct{}

// Telling returns the context by which a method finds what it tells of whom.
// Write writes persons down before the answer is there.
func Telling(ctx context.Context, write func([]features.UserKey) error) (context.Context, *Told) {
	t := &Told{write: write}
	return context.WithValue(ctx, toldKey{}, t), t
}

// Unnamed are those told of whom the answer does not name, each once.
func (t *Told) Unnamed() []features.UserKey { return t.who }

// Early waits until those are written down who were before the answer was there,
// and returns them; it may be called again. An error says that they are not.
func (t *Told) Early() ([]features.UserKey, error) {
	if t.done == nil {
		return nil, nil
	}
	err := <-t.done
	t.done <- err
	return t.early, err
}

// tell notes whom an answer rests on: the user, or the session of nobody known.
func tell(ctx context.Context, user, session features.UserKey) {
	t, ok := ctx.Value(toldKey{}).(*Told)
	if user.IsZero() {
		user = session
	}
	if !ok || user.IsZero() {
		return
	}
	if !slices.Contains(t.who, user) {
		t.who = append(t.who, user)
	}
}

// tellEarly begins to write down whom the answer will tell of. The list is not to
// be changed any more.
func tellEarly(ctx context.Context, who []features.UserKey) {
	t, ok := ctx.Value(toldKey{}).(*Told)
	if !ok || t.write == nil || t.done != nil || len(who) == 0 {
		return
	}
	t.early, t.done = who, make(chan error, 1)
	go func() { t.done <- t.write(who) }()
}
