package api

import (
	"context"
	"slices"

	"github.com/attune-rec/attune/features"
)

// Told collects whom the answer to one call rests on where it does not name
// them, so that they stand in the audit log. It is of one goroutine at a time.
type Told struct{ who []features.UserKey }

type toldKey struct{}

// Telling returns the context by which a method finds what it tells of whom.
func Telling(ctx context.Context) (context.Context, *Told) {
	t := &Told{}
	return context.WithValue(ctx, toldKey{}, t), t
}

// Of are those told of, each once, in the order they came in.
func (t *Told) Of() []features.UserKey { return t.who }

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
