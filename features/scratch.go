package features

// Scratch is the working memory of one request: slices that are cut from blocks
// kept between requests, and vectors that several components share. The zero
// value is ready. It is not safe for concurrent use.
type Scratch struct {
	floats arena[float32]
	rows   arena[Row]
	ints   arena[int32]
	memo   []memo
	nested []nested
	used   int // of nested
}

type nested struct {
	owner   any
	scratch *Scratch
}

// maxNested bounds what one scratch keeps for others.
const maxNested = 12

type memo struct {
	owner any
	vec   []float32
	ok    bool
}

// Reset takes back all that was handed out.
func (s *Scratch) Reset() {
	s.floats.reset()
	s.rows.reset()
	s.ints.reset()
	clear(s.memo)
	s.memo = s.memo[:0]
	for i := range s.nested[:s.used] {
		s.nested[i].owner = nil
	}
	s.used = 0
}

// Nested is the working memory of another request that is derived from this
// one, as owner names it: the same until Reset, so that what was worked out for
// the other request is worked out once. Past twelve of them the last owner's is
// taken back and handed on. Owner is a comparable value.
func (s *Scratch) Nested(owner any) *Scratch {
	for i := range s.nested[:s.used] {
		if s.nested[i].owner == owner {
			return s.nested[i].scratch
		}
	}
	if s.used < maxNested {
		if s.used == len(s.nested) {
			s.nested = append(s.nested, nested{scratch: new(Scratch)})
		}
		s.used++
	}
	n := &s.nested[s.used-1]
	n.owner = owner
	n.scratch.Reset()
	return n.scratch
}

// Floats returns n zeroed numbers, valid until Reset.
func (s *Scratch) Floats(n int) []float32 { return s.floats.take(n) }

// Room returns n numbers that say anything, valid until Reset: for those who set
// them all.
func (s *Scratch) Room(n int) []float32 { return s.floats.room(n) }

// Rows returns n zeroed rows, valid until Reset.
func (s *Scratch) Rows(n int) []Row { return s.rows.take(n) }

// Ints returns n zeroed integers, valid until Reset.
func (s *Scratch) Ints(n int) []int32 { return s.ints.take(n) }

// Vector returns the vector of n numbers that owner made for this request,
// calling fill for it once; fill reports whether there is one. Owner is a
// comparable value, as a rule the model's pointer.
func (s *Scratch) Vector(owner any, n int, fill func(dst []float32) bool) ([]float32, bool) {
	for i := range s.memo {
		if s.memo[i].owner == owner {
			return s.memo[i].vec, s.memo[i].ok
		}
	}
	vec := s.Floats(n)
	ok := fill(vec)
	s.memo = append(s.memo, memo{owner: owner, vec: vec, ok: ok})
	return vec, ok
}

// Shared is Vector for a vector that stands elsewhere and does not change: of is
// called once a request.
func (s *Scratch) Shared(owner any, of func() ([]float32, bool)) ([]float32, bool) {
	for i := range s.memo {
		if s.memo[i].owner == owner {
			return s.memo[i].vec, s.memo[i].ok
		}
	}
	vec, ok := of()
	s.memo = append(s.memo, memo{owner: owner, vec: vec, ok: ok})
	return vec, ok
}

// Keep returns n numbers that Kept gives back under owner's name until Reset, in
// the place of what owner kept before. They say anything until they are set.
func (s *Scratch) Keep(owner any, n int) []float32 {
	vec := s.Room(n)
	for i := range s.memo {
		if s.memo[i].owner == owner {
			s.memo[i].vec = vec
			return vec
		}
	}
	s.memo = append(s.memo, memo{owner: owner, vec: vec, ok: true})
	return vec
}

// Kept is what owner kept; nil when it kept nothing.
func (s *Scratch) Kept(owner any) []float32 {
	for i := range s.memo {
		if s.memo[i].owner == owner {
			return s.memo[i].vec
		}
	}
	return nil
}

// arena cuts slices from one block and grows to what a request needed.
type arena[T any] struct {
	block []T
	used  int
	extra int // asked for beyond the block since the last reset
}

func (a *arena[T]) take(n int) []T {
	out := a.room(n)
	clear(out)
	return out
}

// room is take without setting the slice to zero.
func (a *arena[T]) room(n int) []T {
	if a.used+n > len(a.block) {
		a.extra += n
		return make([]T, n)
	}
	out := a.block[a.used : a.used+n : a.used+n]
	a.used += n
	return out
}

func (a *arena[T]) reset() {
	if a.extra > 0 {
		a.block = make([]T, len(a.block)+a.extra+a.extra/2)
	}
	a.used, a.extra = 0, 0
}
