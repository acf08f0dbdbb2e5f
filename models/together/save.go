package together

import (
	"fmt"

	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/rules"
)

// header is what Save writes beside the tables: of each, the items of all left
// sides, the left sides and the rules.
type header struct {
	Items   int      `json:"items"`
	Markets []string `json:"markets"`
	Sizes   [][3]int `json:"sizes"`
}

// Save implements models.Model: the tables one after another.
func (m *Model) Save(w models.Writer) error {
	h := header{Items: m.items, Markets: m.markets}
	var all rules.Table
	for _, t := range m.tables {
		one := t.Table()
		h.Sizes = append(h.Sizes, [3]int{len(one.Items), len(one.ItemEnds), len(one.Consequent)})
		all.Items, all.ItemEnds, all.RuleEnds = append(all.Items, one.Items...), append(all.ItemEnds, one.ItemEnds...), append(all.RuleEnds, one.RuleEnds...)
		all.Consequent = append(all.Consequent, one.Consequent...)
		all.Support, all.Confidence, all.Lift = append(all.Support, one.Support...), append(all.Confidence, one.Confidence...), append(all.Lift, one.Lift...)
	}
	if err := w.JSON("together", h); err != nil {
		return err
	}
	for name, column := range map[string][]int32{"items": all.Items, "item_ends": all.ItemEnds, "rule_ends": all.RuleEnds, "consequent": all.Consequent} {
		if err := w.Tensor(name, models.TensorOf(column, len(column))); err != nil {
			return err
		}
	}
	for name, column := range map[string][]float32{"support": all.Support, "confidence": all.Confidence, "lift": all.Lift} {
		if err := w.Tensor(name, models.TensorOf(column, len(column))); err != nil {
			return err
		}
	}
	return nil
}

// Open reads what Save wrote.
func Open(r models.Reader) (models.Model, error) {
	var h header
	if err := r.JSON("together", &h); err != nil {
		return nil, err
	}
	if len(h.Sizes) != len(h.Markets)+1 {
		return nil, fmt.Errorf("%d tables of %d markets: expected one more", len(h.Sizes), len(h.Markets))
	}
	var of [3]int
	for _, size := range h.Sizes {
		for i, n := range size {
			if n < 0 {
				return nil, fmt.Errorf("a table of size %v", size)
			}
			of[i] += n
		}
	}
	var all rules.Table
	for _, c := range []struct {
		name string
		to   *[]int32
		n    int
	}{{"items", &all.Items, of[0]}, {"item_ends", &all.ItemEnds, of[1]}, {"rule_ends", &all.RuleEnds, of[1]}, {"consequent", &all.Consequent, of[2]}} {
		if err := column(r, c.name, c.n, c.to); err != nil {
			return nil, err
		}
	}
	for _, c := range []struct {
		name string
		to   *[]float32
	}{{"support", &all.Support}, {"confidence", &all.Confidence}, {"lift", &all.Lift}} {
		if err := column(r, c.name, of[2], c.to); err != nil {
			return nil, err
		}
	}
	m := newModel(h.Items, h.Markets)
	var at [3]int
	for _, n := range h.Sizes {
		to := [3]int{at[0] + n[0], at[1] + n[1], at[2] + n[2]}
		t, err := rules.OpenTable(rules.Table{
			Items: all.Items[at[0]:to[0]], ItemEnds: all.ItemEnds[at[1]:to[1]], RuleEnds: all.RuleEnds[at[1]:to[1]], Consequent: all.Consequent[at[2]:to[2]],
			Support: all.Support[at[2]:to[2]], Confidence: all.Confidence[at[2]:to[2]], Lift: all.Lift[at[2]:to[2]],
		})
		if err != nil {
			return nil, err
		}
		m.tables = append(m.tables, t)
		at = to
	}
	return m, nil
}

func column[T models.Element](r models.Reader, name string, n int, to *[]T) error {
	t, err := r.Tensor(name)
	if err == nil {
		*to, err = models.View[T](t, n)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
