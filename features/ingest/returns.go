package ingest

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/attune-rec/attune/features"
)

// returns makes returns of negative quantities and cancellations, and finds
// the purchase that each takes back: the same customer, item and price, the
// newest earlier one first. It remembers 40 bytes a purchase, and expects rows
// roughly in order of time: a purchase after its return in the file is not
// found.
type returns struct {
	bought map[rowHash][]bought
}

type bought struct {
	unix  int64
	left  int32
	order string
}

func newReturns() *returns { return &returns{bought: map[rowHash][]bought{}} }

// Name is the name in the report.
func (r *returns) Name() string { return "return" }

// Description is the line in the report.
func (r *returns) Description() string {
	return "negative quantities and cancellations are returns, matched to the newest earlier purchase by customer, item and price"
}

// Apply turns the record into a return, or remembers it as a purchase.
func (r *returns) Apply(rec *Record) (Effect, string) {
	e := &rec.Event
	if !priced(e.Type) {
		return Kept, ""
	}
	q := e.Quantity
	if e.Type == features.Purchase && q >= 0 && !rec.Cancelled {
		k := r.key(rec)
		r.bought[k] = append(r.bought[k], bought{e.Time.Unix(), max(q, 1), e.Order})
		return Kept, ""
	}
	was := e.Type
	e.Type = features.Return
	e.Quantity = max(q, -q, 1)
	matched, order := r.match(rec, e.Quantity)
	why := fmt.Sprintf("%d of item %s given back", e.Quantity, e.Item)
	if matched == 0 {
		return Noted, why + ": no purchase found"
	}
	if order != "" {
		e.Order = order
	}
	if was == features.Return {
		return Kept, ""
	}
	return Changed, fmt.Sprintf("%s: order %s", why, order)
}

// match takes n pieces off the purchases, newest first, and returns how many it
// found and the order of the newest.
func (r *returns) match(rec *Record, n int32) (matched int32, order string) {
	k := r.key(rec)
	list := r.bought[k]
	for i := len(list) - 1; i >= 0 && matched < n; i-- {
		b := &list[i]
		if b.left == 0 || b.unix > rec.Event.Time.Unix() {
			continue
		}
		take := min(b.left, n-matched)
		b.left -= take
		if matched == 0 {
			order = b.order
		}
		matched += take
	}
	return matched, order
}

func (r *returns) key(rec *Record) (k rowHash) {
	h := sha256.New()
	var price [8]byte
	binary.LittleEndian.PutUint64(price[:], uint64(rec.Event.Price.Micros))
	h.Write(price[:])
	for _, s := range []string{rec.User, rec.Session, rec.Event.Item} {
		h.Write([]byte(s))
		h.Write([]byte{0})
	}
	var sum [sha256.Size]byte
	copy(k[:], h.Sum(sum[:0]))
	return k
}
