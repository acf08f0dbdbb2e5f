package milvus

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/attune-rec/attune/features/pace"
)

// words is what the rows of a collection are said to be, by attribute. A
// collection is not told the values but a number for each set of them: its class.
// Milvus compares numbers many times as fast as lists of texts, and takes any
// text. It is safe for concurrent use.
type words struct {
	rows int
	of   map[string]*attribute

	mu   sync.Mutex
	said map[string][]uint64 // rows by expression; read-only
}

// attribute has the classes of one attribute, in the order of their values, so
// that those beginning alike, as paths of categories do, are neighbours.
type attribute struct {
	class []int32 // of each row
	lists [][]string
	with  map[string][]int32 // classes by value, in order
}

// mostSaid is how many expressions are remembered, at an eighth of a byte a row each.
const mostSaid = 64

func newWords(job *pace.Job, rows int, attr map[string]func(row int) []string) *words {
	w := &words{rows: rows, of: map[string]*attribute{}, said: map[string][]uint64{}}
	for name, values := range attr {
		w.of[name] = newAttribute(job, rows, values)
	}
	return w
}

func newAttribute(job *pace.Job, rows int, values func(row int) []string) *attribute {
	a := &attribute{class: make([]int32, rows), with: map[string][]int32{}}
	known := map[string]int32{}
	var key []byte
	for i := range a.class {
		job.Step()
		list := values(i)
		key = key[:0]
		for _, v := range list {
			key = append(binary.AppendUvarint(key, uint64(len(v))), v...)
		}
		c, ok := known[string(key)]
		if !ok {
			c = int32(len(a.lists)) // #nosec G115 -- one a row at most, and rows are int32
			known[string(key)] = c
			a.lists = append(a.lists, slices.Clone(list))
		}
		a.class[i] = c
	}
	a.sort()
	for c, list := range a.lists {
		for i, v := range list {
			if !slices.Contains(list[:i], v) {
				a.with[v] = append(a.with[v], int32(c)) // #nosec G115 -- as above
			}
		}
	}
	return a
}

// sort numbers the classes by their values.
func (a *attribute) sort() {
	order := make([]int, len(a.lists))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(x, y int) int { return slices.Compare(a.lists[x], a.lists[y]) })
	place, lists := make([]int32, len(order)), make([][]string, len(order))
	for i, c := range order {
		place[c], lists[i] = int32(i), a.lists[c] // #nosec G115 -- as above
	}
	for i, c := range a.class {
		a.class[i] = place[c]
	}
	a.lists = lists
}

// names lists the attributes, in order.
func (w *words) names() []string { return slices.Sorted(maps.Keys(w.of)) }

// fingerprint tells these words from others; "" when there are none.
func (w *words) fingerprint() string {
	if len(w.of) == 0 {
		return ""
	}
	h := sha256.New()
	var b []byte
	text := func(s string) { b = append(binary.AppendUvarint(b, uint64(len(s))), s...) }
	for _, name := range w.names() {
		a := w.of[name]
		text(name)
		b = binary.AppendUvarint(b, uint64(len(a.lists)))
		for _, list := range a.lists {
			b = binary.AppendUvarint(b, uint64(len(list)))
			for _, v := range list {
				text(v)
			}
			h.Write(b)
			b = b[:0]
		}
		for _, c := range a.class {
			if b = binary.AppendVarint(b, int64(c)); len(b) > 1<<16 {
				h.Write(b)
				b = b[:0]
			}
		}
	}
	h.Write(b)
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// where is the rows that have one of the values of each attribute that is known,
// read-only, and how Milvus is asked for them; nil and "" when none is known.
func (w *words) where(attr map[string][]string) (said []uint64, expr string) {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(attr)) {
		a := w.of[name]
		if a == nil {
			continue
		}
		classes := a.having(attr[name])
		part := oneOf(attrPrefix+name, classes)
		parts = append(parts, part)
		rows := w.remembered(part, a, classes)
		if said == nil {
			said = rows
			continue
		}
		both := make([]uint64, len(rows))
		for i := range both {
			both[i] = said[i] & rows[i]
		}
		said = both
	}
	return said, strings.Join(parts, " and ")
}

// having is the classes with one of the values, in order.
func (a *attribute) having(values []string) []int32 {
	var classes []int32
	for _, v := range values {
		classes = append(classes, a.with[v]...)
	}
	slices.Sort(classes)
	return slices.Compact(classes)
}

// remembered is the rows of some classes.
func (w *words) remembered(part string, a *attribute, classes []int32) []uint64 {
	w.mu.Lock()
	rows := w.said[part]
	w.mu.Unlock()
	if rows != nil {
		return rows
	}
	in := make([]uint64, len(a.lists))
	for _, c := range classes {
		in[c] = 1
	}
	rows = make([]uint64, (w.rows+63)/64)
	for i, c := range a.class {
		rows[i>>6] |= in[c] << (i & 63)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.said) >= mostSaid {
		clear(w.said)
	}
	w.said[part] = rows
	return rows
}

// oneOf says that a field has one of the numbers, which are in order.
func oneOf(field string, numbers []int32) string {
	if n := len(numbers); n > 0 && int(numbers[n-1]-numbers[0]) == n-1 {
		return between(field, int(numbers[0]), int(numbers[n-1])+1)
	}
	texts := make([]string, len(numbers))
	for i, v := range numbers {
		texts[i] = strconv.Itoa(int(v))
	}
	return field + " in [" + strings.Join(texts, ",") + "]"
}

// between says that a field lies in [low, high).
func between(field string, low, high int) string {
	return fmt.Sprintf("%s >= %d and %s < %d", field, low, field, high)
}

func count(mask []uint64) (n int) {
	for _, w := range mask {
		n += bits.OnesCount64(w)
	}
	return n
}
