package milvus

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
	sdk "github.com/milvus-io/milvus-sdk-go/v2/client"
)

const (
	// scannedShare: Milvus scans what passes when it is one row in so many or
	// less, and finds the best of it. Of more it walks its graph, and finds few.
	scannedShare = 16
	// scannedRows take Milvus about as long to scan as one more hit of a walk.
	scannedRows = 32
	// namedShare: one row in so many may be named by one expression.
	namedShare = 32
	// mostBeside: words that let so many times the rows through that pass are of no
	// use; the rows are named.
	mostBeside = 8
	// mostStray rows are scanned here at most because words do not say of them what
	// holds.
	mostStray = 4 * mostLong
)

// filter is a models.Where as Milvus is asked.
type filter struct {
	mask    []uint64 // rows that pass; nil: all
	allowed int      // how many those are
	scan    []int32  // rows that are scanned here
	expr    string   // what Milvus is asked by; "": nothing

	said   []uint64 // rows that expr lets through, read-only; nil: there are no words
	inside int      // how many of those pass
}

func (x *Index) filter(w models.Where) (filter, error) {
	f := filter{allowed: x.n, inside: x.n, scan: x.long}
	for _, name := range slices.Sorted(maps.Keys(w.Attr)) {
		if w.Allow == nil && x.words.of[name] == nil {
			return f, fmt.Errorf("%w: %s has no attribute %q: set the rows that it allows too", ErrQuery, x.collection, name)
		}
	}
	said, expr := x.words.where(w.Attr)
	if w.Allow == nil && w.Deny == nil && said == nil {
		return f, nil
	}
	f.mask = make([]uint64, (x.n+63)/64)
	switch {
	case w.Allow != nil:
		copy(f.mask, w.Allow.Words())
	case said != nil:
		copy(f.mask, said)
	default:
		for i := range f.mask {
			f.mask[i] = ^uint64(0)
		}
	}
	if last := uint(x.n) & 63; last != 0 {
		f.mask[len(f.mask)-1] &= 1<<last - 1
	}
	deny := w.Deny.Words()
	for i := range min(len(f.mask), len(deny)) {
		f.mask[i] &^= deny[i]
	}
	f.allowed = count(f.mask)
	f.inside = f.allowed
	if said != nil {
		f.say(said, expr)
	}
	return f, nil
}

// say lets Milvus be asked in words. Rows that pass though the words do not say so,
// since items changed after the collection was filled, are scanned here; when
// those are too many, there are no words.
func (f *filter) say(said []uint64, expr string) {
	strays := 0
	for i, w := range f.mask {
		strays += bits.OnesCount64(w &^ said[i])
	}
	if strays > mostStray {
		return
	}
	if strays > 0 {
		scan := make([]int32, 0, strays+len(f.scan))
		for i, w := range f.mask {
			for w &^= said[i]; w != 0; w &= w - 1 {
				scan = append(scan, int32(i<<6+bits.TrailingZeros64(w))) // #nosec G115 -- rows are int32
			}
		}
		for _, row := range f.scan {
			if said[row>>6]&(1<<(uint32(row)&63)) != 0 {
				scan = append(scan, row)
			}
		}
		f.scan = scan
	}
	f.said, f.expr, f.inside = said, expr, f.allowed-strays
}

// narrowed appends the k best that pass to dst. Where many pass it walks the graph
// for as many hits as should leave k. When they do not, since what passes lies away
// from the query, or where a walk for so many takes longer, Milvus is made to scan
// it: as the words say where those say about what passes, a stretch of rows at a
// time, and row by row otherwise.
func (x *Index) narrowed(ctx context.Context, vec []float32, k int, f filter, dst *[]models.Hit) error {
	start := len(*dst)
	within := count(f.said)
	worded := f.said != nil && within <= mostBeside*f.inside
	want := overfetch(k, x.n, f.allowed)
	scans := worded && within <= max(x.n/scannedShare, scannedRows*want)
	if !scans && f.inside > max(x.n/namedShare, 1) {
		wide := f
		wide.expr = ""
		got := [][]models.Hit{(*dst)[:start]}
		passed, err := x.ask(ctx, vec, want, k, wide, got)
		if err != nil {
			return err
		}
		if *dst = got[0]; passed >= k {
			return nil
		}
	}
	s := sweep{x: x, vec: vec, k: k, filter: f}
	s.top.Reset(3 * k) // a row may come by words, by name and from here
	all := part{hi: len(f.mask), within: within, inside: f.inside}
	var err error
	if worded {
		err = s.byWords(ctx)
	} else {
		err = s.byName(ctx, all)
	}
	if err == nil && !s.asked {
		err = s.here()
	}
	if err != nil {
		return err
	}
	*dst = appendHits((*dst)[:start], &s.top, k)
	return nil
}

// overfetch is how many hits should leave k, when some of all rows pass.
func overfetch(k, all, pass int) int { return min(k*all/pass*3/2+64, mostHits) }

// sweep is a search in which Milvus scans what passes, in one call or several.
type sweep struct {
	x      *Index
	vec    []float32
	k      int
	filter filter
	top    linalg.TopK
	asked  bool // Milvus, at least once
	hits   [][]models.Hit
}

// part is a stretch of rows: words [lo, hi) of the mask, in which the expression
// lets within rows through and inside of them pass.
type part struct{ lo, hi, within, inside int }

// byWords asks as the words say. Where what they let through besides hides what
// passes, the rows of the stretch are named.
func (s *sweep) byWords(ctx context.Context) error {
	for p := range s.stretches() {
		expr := s.filter.expr
		if p.lo > 0 || p.hi < len(s.filter.mask) {
			expr = and(expr, between(rowField, p.lo<<6, p.hi<<6))
		}
		want := overfetch(s.k, p.within, p.inside)
		found, err := s.ask(ctx, expr, want)
		if err != nil {
			return err
		}
		if found < min(s.k, p.inside) {
			if err := s.byName(ctx, p); err != nil {
				return err
			}
		}
	}
	return nil
}

// byName names the rows that pass in a stretch, in as many calls as that takes.
func (s *sweep) byName(ctx context.Context, p part) error {
	for expr := range s.filter.named(p, max(s.x.n/namedShare, 1)) {
		if _, err := s.ask(ctx, expr, s.k); err != nil {
			return err
		}
	}
	return nil
}

// ask keeps the best that Milvus finds and, the first time, of the rows that are
// scanned here. It returns how many that Milvus found pass.
func (s *sweep) ask(ctx context.Context, expr string, want int) (int, error) {
	f := s.filter
	if f.expr = expr; s.asked {
		f.scan = nil
	}
	s.asked = true
	s.hits = append(s.hits[:0], nil)
	found, err := s.x.ask(ctx, s.vec, want, s.k, f, s.hits)
	if err != nil {
		return 0, err
	}
	for _, h := range s.hits[0] {
		s.top.Push(int32(h.Row), h.Score)
	}
	return found, nil
}

// here scans the rows that Milvus need not be asked for.
func (s *sweep) here() error {
	hits, _, err := s.x.hits(s.vec, sdk.SearchResult{}, s.k, s.filter, nil)
	for _, h := range hits {
		s.top.Push(int32(h.Row), h.Score)
	}
	return err
}

// stretches cuts the rows so that the words let no more of each through than
// Milvus scans, and leaves out those where none passes.
func (s *sweep) stretches() iter.Seq[part] {
	return func(yield func(part) bool) {
		f, most := &s.filter, max(s.x.n/scannedShare, 64)
		p := part{}
		for i, w := range f.said {
			n := bits.OnesCount64(w)
			if p.within+n > most {
				if p.hi = i; p.inside > 0 && !yield(p) {
					return
				}
				p = part{lo: i}
			}
			p.within += n
			p.inside += bits.OnesCount64(w & f.mask[i])
		}
		if p.hi = len(f.said); p.inside > 0 {
			yield(p)
		}
	}
}

// named names the rows of a part that pass and are not scanned here, at most so
// many in one expression.
func (f *filter) named(p part, most int) iter.Seq[string] {
	return func(yield func(string) bool) {
		var b strings.Builder
		count := 0
		flush := func() bool {
			expr := rowField + " in [" + b.String() + "]"
			b.Reset()
			count = 0
			return yield(expr)
		}
		for i := p.lo; i < p.hi; i++ {
			w := f.mask[i]
			if f.said != nil {
				w &= f.said[i]
			}
			for ; w != 0; w &= w - 1 {
				if count > 0 {
					b.WriteByte(',')
				}
				b.WriteString(strconv.Itoa(i<<6 + bits.TrailingZeros64(w)))
				if count++; count == most && !flush() {
					return
				}
			}
		}
		if count > 0 {
			flush()
		}
	}
}

func and(a, b string) string {
	if a == "" || b == "" {
		return cmp.Or(a, b)
	}
	return "(" + a + ") and " + b
}
