package store

// summary is the ids of all sealed events in a few filters, so that a new id is
// seldom looked for in each of many segments. It never forgets: an id that went
// with its segment is looked for in vain.
type summary struct{ parts []summaryPart }

// summaryPart is a filter and how many ids it has room for.
type summaryPart struct {
	filter
	left int
}

// summarised is how many segments a filter has room for.
const summarised = 16

// add takes in the ids of a segment.
func (s *summary) add(ids []uint64) {
	for _, id := range ids {
		if n := len(s.parts); n == 0 || s.parts[n-1].left == 0 {
			s.parts = append(s.parts, summaryPart{newFilter(summarised * len(ids)), summarised * len(ids)})
		}
		p := &s.parts[len(s.parts)-1]
		p.add(id)
		p.left--
	}
}

// has reports whether an id may be among them.
func (s *summary) has(id uint64) bool {
	for i := range s.parts {
		if s.parts[i].has(id) {
			return true
		}
	}
	return false
}
