package rules

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Table is the flat, serialisable form of a Together: columns of one length per
// group, ready to be stored as tensors. Row a of the antecedents is
// Items[ItemEnds[a-1]:ItemEnds[a]], ascending; its rules are
// RuleEnds[a-1]:RuleEnds[a]. Antecedents ascend, first by their first item.
type Table struct {
	Items      []int32
	ItemEnds   []int32
	RuleEnds   []int32
	Consequent []int32   // the one item on the right
	Support    []float32 // of the rule
	Confidence []float32
	Lift       []float32
}

// Together answers "what is bought together with this?" for an item or a cart.
// It is immutable and safe for concurrent use.
type Together struct {
	table Table
	leads []int32 // the first item of each antecedent, ascending
}

// Suggestion is an item that goes with a cart, with the measures of the rule
// that says so most strongly.
type Suggestion struct {
	Item                      int32
	Support, Confidence, Lift float32
}

// NewTogether builds the lookup from rules of one consequent; others are an
// error. The order of rules does not matter.
func NewTogether(rules []Rule) (*Together, error) {
	order := make([]int, len(rules))
	for i, r := range rules {
		if len(r.Consequent) != 1 || len(r.Antecedent) == 0 {
			return nil, fmt.Errorf("rule %d: %d items lead to %d, want one or more to one", i, len(r.Antecedent), len(r.Consequent))
		}
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		return cmp.Or(
			slices.Compare(rules[i].Antecedent, rules[j].Antecedent),
			cmp.Compare(rules[i].Consequent[0], rules[j].Consequent[0]))
	})
	var t Table
	for at, i := range order {
		r := rules[i]
		if at == 0 || !slices.Equal(r.Antecedent, rules[order[at-1]].Antecedent) {
			t.Items = append(t.Items, r.Antecedent...)
			t.ItemEnds = append(t.ItemEnds, int32(len(t.Items)))
			t.RuleEnds = append(t.RuleEnds, 0)
		}
		t.Consequent = append(t.Consequent, r.Consequent[0])
		t.Support = append(t.Support, float32(r.Support()))
		t.Confidence = append(t.Confidence, float32(r.Confidence()))
		t.Lift = append(t.Lift, float32(r.Lift()))
		t.RuleEnds[len(t.RuleEnds)-1] = int32(len(t.Consequent))
	}
	return OpenTable(t)
}

// OpenTable checks a table, as read from a file, and makes the lookup of it. The
// columns are used as they are and must not change afterwards.
func OpenTable(t Table) (*Together, error) {
	if len(t.ItemEnds) != len(t.RuleEnds) {
		return nil, fmt.Errorf("rule table: %d ends of antecedents and %d of their rules", len(t.ItemEnds), len(t.RuleEnds))
	}
	if n := len(t.Consequent); n != len(t.Support) || n != len(t.Confidence) || n != len(t.Lift) {
		return nil, fmt.Errorf("rule table: columns of %d, %d, %d and %d rules", n, len(t.Support), len(t.Confidence), len(t.Lift))
	}
	if err := checkEnds(t.ItemEnds, len(t.Items)); err != nil {
		return nil, fmt.Errorf("rule table: antecedents: %w", err)
	}
	if err := checkEnds(t.RuleEnds, len(t.Consequent)); err != nil {
		return nil, fmt.Errorf("rule table: rules: %w", err)
	}
	for i, item := range t.Consequent {
		if item < 0 || item > MaxItem {
			return nil, fmt.Errorf("rule table: rule %d leads to item %d, outside 0..%d", i, item, MaxItem)
		}
		for _, value := range []float32{t.Support[i], t.Confidence[i], t.Lift[i]} {
			if !(value >= 0) || math.IsInf(float64(value), 0) {
				return nil, fmt.Errorf("rule table: rule %d has a measure of %v", i, value)
			}
		}
	}
	x := &Together{table: t}
	for a := range t.ItemEnds {
		own := x.antecedent(a)
		for i, item := range own {
			if item < 0 || item > MaxItem || i > 0 && own[i-1] >= item {
				return nil, fmt.Errorf("rule table: antecedent %d, %v, is not ascending within 0..%d", a, own, MaxItem)
			}
		}
		if a > 0 && slices.Compare(x.antecedent(a-1), own) >= 0 {
			return nil, fmt.Errorf("rule table: antecedent %d, %v, is out of order", a, own)
		}
		x.leads = append(x.leads, own[0])
	}
	return x, nil
}

// checkEnds reports whether ends part n things into groups of at least one.
func checkEnds(ends []int32, n int) error {
	last := int32(0)
	for i, end := range ends {
		if end <= last {
			return fmt.Errorf("group %d ends at %d, not after %d", i, end, last)
		}
		last = end
	}
	if int(last) != n {
		return fmt.Errorf("groups end at %d of %d", last, n)
	}
	return nil
}

// Table returns the columns. They belong to x and must not be changed.
func (x *Together) Table() Table { return x.table }

// Len is the number of rules.
func (x *Together) Len() int { return len(x.table.Consequent) }

func (x *Together) antecedent(a int) []int32 {
	start := int32(0)
	if a > 0 {
		start = x.table.ItemEnds[a-1]
	}
	return x.table.Items[start:x.table.ItemEnds[a]]
}

func (x *Together) rulesOf(a int) (from, to int) {
	if a > 0 {
		from = int(x.table.RuleEnds[a-1])
	}
	return from, int(x.table.RuleEnds[a])
}

// Suggest appends to dst[:0] the items that rules lead to from the cart, best
// first by the given order, ties by the other measures and then by item. An item
// that several rules lead to comes once, by its best rule; items in the cart do
// not come. The cart must ascend without repeats; items that are not known match
// nothing. It allocates only when dst is too small for all matching rules.
func (x *Together) Suggest(cart []int32, order Order, dst []Suggestion) []Suggestion {
	return x.suggest(cart, order, false, dst)
}

// Reach is Suggest with items in the cart as well, as far as the others lead to
// them.
func (x *Together) Reach(cart []int32, order Order, dst []Suggestion) []Suggestion {
	return x.suggest(cart, order, true, dst)
}

func (x *Together) suggest(cart []int32, order Order, held bool, dst []Suggestion) []Suggestion {
	dst = dst[:0]
	for i, lead := range cart {
		a, _ := slices.BinarySearch(x.leads, lead)
		for ; a < len(x.leads) && x.leads[a] == lead; a++ {
			if !subset(x.antecedent(a)[1:], cart[i+1:]) {
				continue
			}
			from, to := x.rulesOf(a)
			for r := from; r < to; r++ {
				if _, in := slices.BinarySearch(cart, x.table.Consequent[r]); held || !in {
					dst = append(dst, x.suggestion(r))
				}
			}
		}
	}
	slices.SortFunc(dst, func(a, b Suggestion) int {
		return cmp.Or(cmp.Compare(a.Item, b.Item), order.compare(a, b))
	})
	dst = slices.CompactFunc(dst, func(a, b Suggestion) bool { return a.Item == b.Item })
	slices.SortFunc(dst, order.compare)
	return dst
}

func (x *Together) suggestion(r int) Suggestion {
	t := &x.table
	return Suggestion{t.Consequent[r], t.Support[r], t.Confidence[r], t.Lift[r]}
}

// compare puts the better suggestion first.
func (o Order) compare(a, b Suggestion) int {
	first := 0
	switch o {
	case ByLift:
		first = cmp.Compare(b.Lift, a.Lift)
	case BySupport:
		first = cmp.Compare(b.Support, a.Support)
	}
	return cmp.Or(first,
		cmp.Compare(b.Confidence, a.Confidence),
		cmp.Compare(b.Lift, a.Lift),
		cmp.Compare(b.Support, a.Support),
		cmp.Compare(a.Item, b.Item))
}

// subset reports whether all of part is in whole; both ascend.
func subset(part, whole []int32) bool {
	for _, item := range part {
		for len(whole) > 0 && whole[0] < item {
			whole = whole[1:]
		}
		if len(whole) == 0 || whole[0] != item {
			return false
		}
	}
	return true
}
