package rules

// Itemsets is a list of item sets with the number of baskets that hold each. It
// is immutable and safe for concurrent use.
type Itemsets struct {
	items   []int32 // one set after another, ascending within each
	ends    []int
	counts  []int32
	baskets int
	longest int
}

// Len is the number of sets.
func (s *Itemsets) Len() int { return len(s.counts) }

// Baskets is the number of baskets that were mined: the whole of every support.
func (s *Itemsets) Baskets() int { return s.baskets }

// At returns set i, ascending. The slice belongs to s and must not be changed.
func (s *Itemsets) At(i int) []int32 {
	start := 0
	if i > 0 {
		start = s.ends[i-1]
	}
	return s.items[start:s.ends[i]]
}

// Count is the number of baskets that hold set i.
func (s *Itemsets) Count(i int) int { return int(s.counts[i]) }

// BySize returns how many sets there are of each size; the index is the size.
func (s *Itemsets) BySize() []int {
	sizes := make([]int, s.longest+1)
	for i := range s.counts {
		sizes[len(s.At(i))]++
	}
	return sizes
}

// add appends a set, which is copied and sorted.
func (s *Itemsets) add(items []int32, count int32) {
	start := len(s.items)
	s.items = append(s.items, items...)
	sortShort(s.items[start:])
	s.ends = append(s.ends, len(s.items))
	s.counts = append(s.counts, count)
	s.longest = max(s.longest, len(items))
}

// sortShort sorts a handful of items: for so few, insertion beats any other way.
func sortShort(items []int32) {
	for i := 1; i < len(items); i++ {
		item, j := items[i], i
		for ; j > 0 && items[j-1] > item; j-- {
			items[j] = items[j-1]
		}
		items[j] = item
	}
}
