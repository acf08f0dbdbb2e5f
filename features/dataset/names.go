package dataset

import (
	"strings"
)

// names numbers names in order of first appearance. Names that are plain
// decimal numbers, as most public files have, are looked up in an array and
// cost no hashing. The zero value is ready.
type names struct {
	list  []string
	small []int32          // by the number a name spells; 1 + its place, 0 for none
	other map[string]int32 // the rest
}

// add returns the place of name, which is copied when it is new.
func (x *names) add(name string) int32 {
	n, plain := number(name)
	if plain && n < len(x.small) && x.small[n] != 0 {
		return x.small[n] - 1
	}
	if i, ok := x.other[name]; ok {
		return i
	}
	i := int32(len(x.list))
	x.list = append(x.list, strings.Clone(name))
	if plain && n < 1<<20+8*len(x.list) {
		if n >= len(x.small) {
			x.small = append(x.small, make([]int32, max(n+1, 2*len(x.small))-len(x.small))...)
		}
		x.small[n] = i + 1
		return i
	}
	if x.other == nil {
		x.other = make(map[string]int32)
	}
	x.other[x.list[i]] = i
	return i
}

// number reads a name that is a number below 2³⁰ in its one plain spelling.
func number(s string) (int, bool) {
	if len(s) == 0 || len(s) > 9 || (s[0] == '0' && len(s) > 1) {
		return 0, false
	}
	n := 0
	for i := 0; i < len(s); i++ {
		c := s[i] - '0'
		if c > 9 {
			return 0, false
		}
		n = 10*n + int(c)
	}
	return n, true
}
