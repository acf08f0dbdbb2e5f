package recommend

import (
	"encoding/base32"
	"encoding/binary"
	"math/rand/v2"
	"time"
)

var idEncoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// newID is the id of an answer: 26 characters that sort by time, 80 bits of
// them random.
func newID(now time.Time) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(now.UnixMilli())<<16|rand.Uint64()>>48) // #nosec G115 -- after 1970
	binary.BigEndian.PutUint64(b[8:], rand.Uint64())
	var out [26]byte
	idEncoding.Encode(out[:], b[:])
	return string(out[:])
}
