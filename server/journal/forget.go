package journal

import (
	"time"

	"github.com/attune-rec/attune/features"
)

// remembered is how long the journal knows who was forgotten: longer than any
// request and any try to write takes.
const remembered = 5 * time.Minute

type subject struct {
	shop features.ShopID
	key  features.UserKey
}

// Forget drops the records of a user's or session's answers that wait, and
// those of requests that are under way: nothing of them that is not later than
// at is written once it returns.
func (j *Journal) Forget(shop features.ShopID, key features.UserKey, at time.Time) {
	j.writing.Lock() // what is being written stands when the caller goes on, and is theirs to take out
	defer j.writing.Unlock()
	if j.forgotten == nil {
		j.forgotten = map[subject]time.Time{}
	}
	for s, t := range j.forgotten {
		if at.Sub(t) > remembered {
			delete(j.forgotten, s)
		}
	}
	j.forgotten[subject{shop, key}] = at
}

// gone reports whether a record is of who was forgotten; writing is held.
func (j *Journal) gone(r *record) bool {
	for _, key := range []features.UserKey{r.served.User, r.served.Session} {
		if at, ok := j.forgotten[subject{r.shop, key}]; ok && !key.IsZero() && !r.served.Time.After(at) {
			return true
		}
	}
	return false
}
