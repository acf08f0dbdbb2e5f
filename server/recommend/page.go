package recommend

import (
	"cmp"
	"encoding/binary"
	"errors"
	"hash/fnv"
	"slices"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/pace"
)

// ErrPage is returned for the memory of a page that none of ours can be.
var ErrPage = errors.New("page token does not hold what was answered before")

// pageEnd is how many items may be paged through: what was answered must fit
// into a token. Four bytes an item outlive a swap of releases and tell the
// items of a catalogue apart well enough: of 100,000 items, 1 in 100 lists of
// 500 leaves one out by mistake, and none repeats one.
const pageEnd = 700

// next is the memory of what was answered so far; nil when the list ends.
func next(q *Query, ans *Answer) []byte {
	if len(ans.Items) < q.Limit || len(q.Seen)/4+len(ans.Items) > pageEnd {
		return nil
	}
	out := make([]byte, 0, len(q.Seen)+4*len(ans.Items))
	out = append(out, q.Seen...)
	for i := range ans.Items {
		out = binary.LittleEndian.AppendUint32(out, hashOf(ans.Items[i].ID))
	}
	return out
}

func hashOf(id string) uint32 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(id))
	s := h.Sum64()
	return uint32(s ^ s>>32) // #nosec G115 -- folded on purpose
}

// appendSeen appends the rows of what was answered on earlier pages.
func (rec *Recommender) appendSeen(dst []features.Row, seen []byte, version string, items features.Catalog) ([]features.Row, error) {
	if len(seen)%4 != 0 {
		return dst, ErrPage
	}
	index, ok := rec.pages.Get(version)
	if !ok {
		index = newRowsByHash(items, nil)
		rec.pages.Add(version, index)
	}
	for rest := seen; len(rest) > 0; rest = rest[4:] {
		dst = index.append(dst, binary.LittleEndian.Uint32(rest))
	}
	for row := features.Row(len(index.entries)); int(row) < items.Len(); row++ { // newer than the index
		hash := hashOf(items.ID(row))
		for rest := seen; len(rest) > 0; rest = rest[4:] {
			if binary.LittleEndian.Uint32(rest) == hash {
				dst = append(dst, row)
				break
			}
		}
	}
	return dst, nil
}

const releasesIndexed = 8

// rowsByHash finds the rows whose id has a hash. It is immutable.
type rowsByHash struct{ entries []entry }

type entry struct {
	hash uint32
	row  features.Row
}

func newRowsByHash(items features.Catalog, job *pace.Job) *rowsByHash {
	x := &rowsByHash{entries: make([]entry, items.Len())}
	for row := range features.Row(items.Len()) {
		x.entries[row] = entry{hashOf(items.ID(row)), row}
		job.Step()
	}
	pace.SortFunc(job, x.entries, func(a, b entry) int { return cmp.Compare(a.hash, b.hash) })
	return x
}

func (x *rowsByHash) append(dst []features.Row, hash uint32) []features.Row {
	at, _ := slices.BinarySearchFunc(x.entries, hash, func(e entry, h uint32) int { return cmp.Compare(e.hash, h) })
	for ; at < len(x.entries) && x.entries[at].hash == hash; at++ {
		dst = append(dst, x.entries[at].row)
	}
	return dst
}
