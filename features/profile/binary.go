package profile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
)

// ErrState is returned for bytes that are no state of this form.
var ErrState = errors.New("bad profile state")

// stateForm is the form AppendBinary writes, the only one that is read: a state
// can be made anew from the log at any time.
const stateForm = 2

// AppendBinary appends the state's bytes to dst: numbers as varints, floats as
// eight bytes, texts with their length. Equal states give equal bytes.
func (s *State) AppendBinary(dst []byte) ([]byte, error) {
	w := stateWriter{dst}
	w.put(stateForm, s.seq, s.first, s.last, s.firstOrder, s.lastOrder, s.spent, s.bought, s.back, s.visits, s.hour, s.weekend, s.shares, s.voices, s.follows)
	w.put(s.parts[:]...)
	w.put(s.seasons[:]...)
	w.put(int64(len(s.orders)))
	for _, o := range s.orders {
		w.b = binary.BigEndian.AppendUint64(w.b, o)
	}
	for kind := range counted {
		n := 0
		for _, c := range s.tallies {
			if c.what == kind {
				n++
			}
		}
		w.put(int64(n))
		for _, c := range s.tallies {
			if c.what == kind {
				w.text(s.named(c.name))
				w.put(c.n)
			}
		}
	}
	w.put(int64(len(s.items)))
	for i := range s.items {
		it := &s.items[i]
		w.text(s.named(it.id))
		w.b = binary.BigEndian.AppendUint64(w.b, math.Float64bits(it.weight))
		w.put(it.at)
		b := s.sold(it)
		if b == nil {
			w.put(0)
			continue
		}
		w.put(b.lines, b.told, b.cut, b.pieces, b.back, b.paid, b.off, b.first)
	}
	return w.b, nil
}

type stateWriter struct{ b []byte }

func (w *stateWriter) put(numbers ...int64) {
	for _, n := range numbers {
		w.b = binary.AppendVarint(w.b, n)
	}
}

func (w *stateWriter) text(s []byte) {
	w.put(int64(len(s)))
	w.b = append(w.b, s...)
}

// UnmarshalBinary makes s the state that AppendBinary wrote; ErrState when b is
// none.
func (s *State) UnmarshalBinary(b []byte) error {
	r := stateReader{b: b}
	if form := r.number(); form != stateForm {
		return fmt.Errorf("%w: form %d: expected %d", ErrState, form, stateForm)
	}
	*s = State{}
	r.numbers(&s.seq, &s.first, &s.last, &s.firstOrder, &s.lastOrder, &s.spent, &s.bought, &s.back, &s.visits, &s.hour, &s.weekend, &s.shares, &s.voices, &s.follows)
	for i := range s.parts {
		s.parts[i] = r.number()
	}
	for i := range s.seasons {
		s.seasons[i] = r.number()
	}
	if n := r.length(8); n > 0 {
		s.orders = make([]uint64, n)
		for i := range s.orders {
			s.orders[i] = r.word()
		}
	}
	for kind := range counted {
		r.counts(s, kind)
	}
	if n := r.length(10); n > 0 {
		s.items = make([]item, n)
		for i := range s.items {
			s.items[i] = r.item(s)
		}
	}
	if r.bad || len(r.b) > 0 {
		return fmt.Errorf("%w: it is cut off or goes on", ErrState)
	}
	if !slices.IsSorted(s.orders) || len(s.items) > 2*itemCap {
		return fmt.Errorf("%w: it is out of order", ErrState)
	}
	s.sales, s.text = slices.Clone(s.sales), slices.Clone(s.text) // no larger than they are
	s.reindex()
	return nil
}

type stateReader struct {
	b   []byte
	bad bool
}

func (r *stateReader) number() int64 {
	n, used := binary.Varint(r.b)
	if used <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[used:]
	return n
}

func (r *stateReader) numbers(to ...*int64) {
	for _, n := range to {
		*n = r.number()
	}
}

// length is the number of things that follow, each of at least so many bytes.
func (r *stateReader) length(each int) int {
	n := r.number()
	if n < 0 || n > int64(len(r.b)/each) {
		r.bad, r.b = true, nil
		return 0
	}
	return int(n)
}

func (r *stateReader) word() uint64 {
	if len(r.b) < 8 {
		r.bad, r.b = true, nil
		return 0
	}
	n := binary.BigEndian.Uint64(r.b)
	r.b = r.b[8:]
	return n
}

func (r *stateReader) text() []byte {
	n := r.length(1)
	t := r.b[:n]
	r.b = r.b[n:]
	return t
}

func (r *stateReader) counts(s *State, of what) {
	for range r.length(2) {
		s.tallies = append(s.tallies, count{s.keep(string(r.text())), r.number(), of})
	}
}

// item reads one into a state that has those before it.
func (r *stateReader) item(s *State) item {
	id := string(r.text())
	it := item{id: s.keep(id), hash: hashOf(id), weight: math.Float64frombits(r.word()), at: r.number()}
	if lines := r.number(); lines != 0 {
		b := sale{lines: lines}
		r.numbers(&b.told, &b.cut, &b.pieces, &b.back, &b.paid, &b.off, &b.first)
		s.sell(&it, b)
		r.bad = r.bad || lines < 0 || b.pieces < 1 || b.back < 0 || b.back > b.pieces
	}
	return it
}
