package api

import (
	"context"
	"sync"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"
)

// Room is memory for the items of one answer. Whoever encodes answers borrows it
// for a call and gives it back once nobody looks at the answer any more; a
// caller that wants to keep the answer brings none.
type Room struct {
	of    *Rooms
	list  []*attunev1.RecommendedItem
	parts []parts
}

// mostKept is how many items a room is kept for.
const mostKept = 100

// Rooms lends rooms. It is safe for concurrent use, and its zero value is ready.
type Rooms struct{ pool sync.Pool } // of *Room

type roomKey struct{}

// Borrow returns a room and the context by which the one method that is called
// with it finds it.
func (r *Rooms) Borrow(ctx context.Context) (context.Context, *Room) {
	room, ok := r.pool.Get().(*Room)
	if !ok {
		room = &Room{of: r}
	}
	return context.WithValue(ctx, roomKey{}, room), room
}

// Return ends the use of the room, and of every answer that was made in it.
func (r *Room) Return() {
	if len(r.parts) > mostKept {
		return
	}
	for i := range r.parts {
		r.parts[i] = parts{}
	}
	clear(r.list)
	r.of.pool.Put(r)
}

func roomOf(ctx context.Context) *Room {
	r, _ := ctx.Value(roomKey{}).(*Room)
	return r
}

// take is zeroed memory for n items.
func (r *Room) take(n int) ([]*attunev1.RecommendedItem, []parts) {
	if r == nil {
		return make([]*attunev1.RecommendedItem, n), make([]parts, n)
	}
	if cap(r.parts) < n {
		r.list, r.parts = make([]*attunev1.RecommendedItem, n), make([]parts, n)
	}
	r.list, r.parts = r.list[:n], r.parts[:n]
	return r.list, r.parts
}
