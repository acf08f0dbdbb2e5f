package sequence

import (
	"math"
	"math/bits"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models/linalg"
	"github.com/attune-rec/attune/models/nn"
)

// State is what a network remembers of one shopper. It is made by NewState,
// belongs to one goroutine at a time and to one model: after a swap the history
// is read anew.
type State struct {
	memory, work, out []float32
	events            int          // that meant anything, so far
	last              features.Row // of the newest of them
	lastMS            int64        // its time

	// Of a state that is kept for a shopper:
	read    int    // events of the history, passed over or not
	sum     uint64 // their fingerprint
	version uint64 // of the shopper
}

// NewState is the state of a shopper who did nothing yet.
func (m *Model) NewState() *State {
	return &State{
		memory: make([]float32, m.net.body.stateSize(math.MaxInt)), work: make([]float32, m.workSize()),
		out: make([]float32, m.header.Params.Dim), last: features.NoRow,
	}
}

func (m *Model) workSize() int { return m.header.Params.Dim + m.net.body.workSize() }

// Step reads one more event and reports whether it meant anything: events that
// do not speak for an item, unknown items and repetitions of the newest are
// passed over. It allocates nothing in a state of NewState.
func (m *Model) Step(s *State, it *features.Interaction) bool {
	if !m.reader.follows(it, s.last) {
		return false
	}
	s.grow(m.net.body.stateSize(s.events+1), m.net.body.stateSize(math.MaxInt))
	t := m.reader.token(it, s.lastMS)
	dim := m.header.Params.Dim
	x := s.work[:dim]
	copy(x, m.table.Row(it.Row)[:dim])
	for _, also := range []struct {
		table *nn.Param[float32]
		row   int32
	}{{m.net.kinds, t.kind}, {m.net.gaps, t.gap}} {
		if also.table != nil {
			linalg.AddTo(x, x, also.table.W[int(also.row)*dim:][:dim])
		}
	}
	if m.net.factor != 1 {
		linalg.Scale(m.net.factor, x)
	}
	m.net.body.step(x, s.memory, s.events, s.work[dim:], s.out)
	s.events++
	s.last, s.lastMS = it.Row, it.TimeMS
	return true
}

// grow makes room for n numbers of memory, with some to spare, of most at most.
func (s *State) grow(n, most int) {
	if n <= len(s.memory) {
		return
	}
	wider := make([]float32, min(n+n/2, most))
	copy(wider, s.memory)
	s.memory = wider
}

// Vector fills dst, Dim numbers, with the vector that Embed gives a shopper of
// the events read; false when none was.
func (m *Model) Vector(s *State, dst []float32) bool {
	if s.events == 0 {
		return false
	}
	copy(dst, s.out)
	dst[len(dst)-1] = 1
	return true
}

// Embed implements models.Embedder. Of a shopper with a Memory it reads what is
// new since the answer before, of others the whole history.
func (m *Model) Embed(r *features.Request, dst []float32) bool {
	history := r.History()
	if len(history) == 0 {
		return false
	}
	history = history[begin(history):]
	scratch := r.Workspace()
	work := scratch.Floats(m.workSize())
	if r.Shopper.Memory != nil {
		if s := m.recall(r.Shopper, history); s != nil {
			s.work = work
			for ; s.read < len(history); s.read++ {
				s.sum = mix(s.sum, &history[s.read])
				m.Step(s, &history[s.read])
			}
			s.work = nil
			ok := m.Vector(s, dst)
			r.Shopper.Memory.Give(m.mark, s, s.bytes())
			return ok
		}
	}
	s := State{
		memory: scratch.Floats(m.net.body.stateSize(len(history))), work: work,
		out: scratch.Floats(m.header.Params.Dim), last: features.NoRow,
	}
	for i := range history {
		m.Step(&s, &history[i])
	}
	return m.Vector(&s, dst)
}

// recall is the state to read the rest of the history into: the one that is
// kept, where it was made of the history's beginning, else an empty one. It is
// nil where the history is not the shopper's own but one derived from it, as
// when an answer is explained: what is kept then stays.
func (m *Model) recall(shopper *features.Shopper, history []features.Interaction) *State {
	s, _ := shopper.Memory.Take(m.mark).(*State)
	switch {
	case s == nil:
		s = &State{out: make([]float32, m.header.Params.Dim), last: features.NoRow}
	case s.began(history):
	case s.version == shopper.Version:
		shopper.Memory.Give(m.mark, s, s.bytes())
		return nil
	default:
		clear(s.memory)
		*s = State{memory: s.memory, out: s.out, last: features.NoRow}
	}
	s.version = shopper.Version
	return s
}

// began reports whether the state was made of the beginning of history.
func (s *State) began(history []features.Interaction) bool {
	if s.read > len(history) {
		return false
	}
	sum := uint64(0)
	for i := range history[:s.read] {
		sum = mix(sum, &history[i])
	}
	return sum == s.sum
}

// bytes is about what the state takes.
func (s *State) bytes() int { return 4*(cap(s.memory)+cap(s.out)) + 160 }

// begin is the event from which a history is read. One that is full loses its
// oldest event with each new one, so that a state made of it would never be of
// its beginning again: it is read from the first event whose fingerprint ends in
// zeros, one in 64, and so from the same one until that is gone.
func begin(history []features.Interaction) int {
	if len(history) < features.HistoryCap {
		return 0
	}
	for i := range history[:len(history)/2] {
		if mix(0, &history[i])%64 == 0 {
			return i
		}
	}
	return 0
}

// mix takes one more event into a fingerprint.
func mix(sum uint64, it *features.Interaction) uint64 {
	for _, v := range [...]uint64{
		uint64(it.Row)<<8 ^ uint64(it.Type), uint64(it.TimeMS), // #nosec G115 -- bits
		uint64(math.Float32bits(it.Quantity))<<32 | uint64(math.Float32bits(it.Price)), uint64(math.Float32bits(it.Value)),
	} {
		hi, lo := bits.Mul64(sum^v^0x9e3779b97f4a7c15, 0xd1b54a32d192ed03)
		sum = hi ^ lo
	}
	return sum
}
