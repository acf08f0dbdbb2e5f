package signal

import (
	"errors"
	"fmt"

	"github.com/attune-rec/attune/features"
)

// ErrSignal is returned for signals that are not known or do not go together.
var ErrSignal = errors.New("bad signal")

// Signal is a feature that says what it is.
type Signal interface {
	features.Feature
	About() About
}

// About is a signal in words.
type About struct {
	Of      string   // user, item, context, pair or sequence
	From    string   // what it is made of: log, history, profile, catalogue
	Numbers []string // Width of them, in order
}

// Signals is one of each signal, in the order they stand in a ranker's input.
func Signals() []Signal {
	return []Signal{
		Recency{}, Popularity{}, Pair{}, Affinity{}, Price{}, Moment{}, Similar{}, Shelf{}, Character{}, Crossing{},
	}
}

// All is Signals as features.
func All() []features.Feature {
	var all []features.Feature
	for _, s := range Signals() {
		all = append(all, s)
	}
	return all
}

// Set is the signals of a ranker. It is immutable and safe for concurrent use.
type Set struct {
	features []features.Feature
	width    int
}

// NewSet is the named signals in the given order, or All when there is no
// name.
func NewSet(names ...string) (*Set, error) {
	byName := map[string]features.Feature{}
	all := All()
	for _, f := range all {
		byName[f.Name()] = f
	}
	if len(names) == 0 {
		return SetOf(all...)
	}
	var chosen []features.Feature
	for _, name := range names {
		f := byName[name]
		if f == nil {
			return nil, fmt.Errorf("%w: none is named %q", ErrSignal, name)
		}
		chosen = append(chosen, f)
	}
	return SetOf(chosen...)
}

// SetOf is the given signals, whose names must differ.
func SetOf(fs ...features.Feature) (*Set, error) {
	s := &Set{features: fs}
	seen := map[string]bool{}
	for _, f := range fs {
		if seen[f.Name()] {
			return nil, fmt.Errorf("%w: %q is there twice", ErrSignal, f.Name())
		}
		seen[f.Name()] = true
		s.width += f.Width()
	}
	return s, nil
}

// Width is how many numbers there are for an item.
func (s *Set) Width() int { return s.width }

// Columns names the numbers of an item: "popularity.1" is popularity's second.
func (s *Set) Columns() []string {
	var names []string
	for _, f := range s.features {
		for i := range f.Width() {
			names = append(names, fmt.Sprintf("%s.%d", f.Name(), i))
		}
	}
	return names
}

// Update folds e into state for every signal. Use Memory.Fold, which does it
// so that readers see whole events.
func (s *Set) Update(state features.State, e features.Event) {
	for _, f := range s.features {
		f.Update(state, e)
	}
}

// Value fills out, len(items)*Width numbers row by row. R.Scratch is used when
// there is one.
func (s *Set) Value(r *features.Request, items []features.Row, out []float32) {
	s.Into(r, items, out, s.width)
}

// Into is Value where the numbers of the i-th item begin at out[i*stride]; those
// in between are left as they are. Stride is at least Width, and out reaches to
// the last number.
func (s *Set) Into(r *features.Request, items []features.Row, out []float32, stride int) {
	if m, ok := r.State.(*Memory); ok && r.Catalog != nil && len(items) > 0 {
		s.byGood(m, r, items, out, stride)
		return
	}
	s.byKey(r, items, out, stride)
}

// block is how many items all signals are worked out of before the next ones
// are looked at: so many that they and their numbers stay in the nearest cache.
const block = 16

// byGood is Into from what a memory keeps of items by row.
func (s *Set) byGood(m *Memory, r *features.Request, items []features.Row, out []float32, stride int) {
	d := m.desk(r, items)
	defer d.clear()
	for _, f := range s.features {
		if q, ok := f.(byGood); ok {
			q.begin(r, d)
		}
	}
	for lo := 0; lo < len(items); lo += block {
		hi, at := min(lo+block, len(items)), 0
		for _, f := range s.features {
			if q, ok := f.(byGood); ok {
				q.block(d, lo, hi, out[at:], stride)
			}
			at += f.Width()
		}
	}
	at := 0
	for _, f := range s.features {
		if _, ok := f.(byGood); !ok {
			part := make([]float32, f.Width()*len(items))
			f.Value(r, items, part)
			for i := range items {
				copy(out[i*stride+at:], part[i*f.Width():(i+1)*f.Width()])
			}
		}
		at += f.Width()
	}
}

// byKey is Into for any state, item by item.
func (s *Set) byKey(r *features.Request, items []features.Row, out []float32, stride int) {
	widest := 0
	for _, f := range s.features {
		widest = max(widest, f.Width())
	}
	var part []float32
	if r.Scratch != nil {
		part = r.Scratch.Floats(widest * len(items))
	} else {
		part = make([]float32, widest*len(items))
	}
	at := 0
	for _, f := range s.features {
		w := f.Width()
		f.Value(r, items, part[:w*len(items)])
		for i := range items {
			copy(out[i*stride+at:], part[i*w:(i+1)*w])
		}
		at += w
	}
}

// Names are the names of the signals, in their order.
func (s *Set) Names() []string {
	names := make([]string, 0, len(s.features))
	for _, f := range s.features {
		names = append(names, f.Name())
	}
	return names
}
