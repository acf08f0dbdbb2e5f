package mf

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
)

// manners leads from the language, channel and device of a shopper without history to
// what is added to the vector of the market: ridge regression, on one number
// each that is 0 or 1, of what shoppers' vectors are beyond their market's.
type manners struct {
	names   []string      // ascending: "c:app", "l:de"
	vectors linalg.Matrix // of each, and the mean of all shoppers last, for markets without a vector
}

// trait is what one number stands for; its name is "c:app".
type trait struct{ kind, value string } // no value: unknown

func traitsOf(m dataset.Manner) [3]trait {
	return [...]trait{{"c:", m.Channel}, {"d:", m.Device}, {"l:", m.Language}}
}

// compareTrait orders a name and a trait as their names.
func compareTrait(name string, t trait) int {
	cut := min(len(name), len(t.kind))
	return cmp.Or(strings.Compare(name[:cut], t.kind), strings.Compare(name[cut:], t.value))
}

// traits are the names of a manner.
func traits(m dataset.Manner) []string {
	var names []string
	for _, t := range traitsOf(m) {
		if t.value != "" {
			names = append(names, t.kind+t.value)
		}
	}
	return names
}

// mostTraits bounds the regression; the commonest are kept.
const mostTraits = 200

// newManners fits the map as newWelcome does: nil unless, on a seeded tenth of
// the shoppers that it does not see, it beats the market's vector by more than
// two standard errors. The market's vectors have seen that tenth, which is to
// their favour.
func newManners(d *dataset.Dataset, w *welcome, users, items linalg.Matrix, seed uint64) (*manners, error) {
	if d.Manners == nil {
		return nil, nil
	}
	fit, held := holdOut(users, seed, 0x3e1d, func(u int) bool { return d.Manner(u) != dataset.Manner{} })
	if len(held) < least {
		return nil, nil
	}
	type kind struct {
		market string
		manner dataset.Manner
	}
	kindOf := func(u int) kind { return kind{d.LastMarket(u), d.Manner(u)} }
	plain := &manners{vectors: meanOf(users, fit)}
	vec := make([]float32, users.Cols)
	base := greet(d, items, held, kindOf, func(u int) []float32 { return plain.market(w, d.LastMarket(u)) })
	ridge, err := bestRidge(base, func(ridge float64) ([]float64, error) {
		m, err := regress(d, w, users, fit, ridge)
		if err != nil {
			return nil, err
		}
		return greet(d, items, held, kindOf, func(u int) []float32 {
			if !m.embed(w, d.LastMarket(u), d.Manner(u), vec) {
				return m.market(w, d.LastMarket(u))
			}
			return vec
		}), nil
	})
	if err != nil || ridge == 0 {
		return nil, err
	}
	return regress(d, w, users, append(fit, held...), ridge)
}

func meanOf(users linalg.Matrix, of []int) linalg.Matrix {
	mean := linalg.NewMatrix(1, users.Cols)
	for _, u := range of {
		linalg.Axpy(1/float32(len(of)), users.Row(u), mean.Row(0))
	}
	return mean
}

// regress is the map of the given shoppers. Names of fewer than a crowd are
// left out.
func regress(d *dataset.Dataset, w *welcome, users linalg.Matrix, of []int, ridge float64) (*manners, error) {
	counts := map[string]int{}
	for _, u := range of {
		for _, name := range traits(d.Manner(u)) {
			counts[name]++
		}
	}
	m := &manners{}
	for name, n := range counts {
		if n >= crowd {
			m.names = append(m.names, name)
		}
	}
	slices.SortFunc(m.names, func(a, b string) int {
		return cmp.Or(counts[b]-counts[a], strings.Compare(a, b))
	})
	m.names = m.names[:min(len(m.names), mostTraits)]
	slices.Sort(m.names)
	n := len(m.names)
	mean := meanOf(users, of)
	gram, right := linalg.NewMatrix(n, n), linalg.NewMatrix(n+1, users.Cols)
	copy(right.Row(n), mean.Row(0))
	m.vectors = right
	if n == 0 {
		return m, nil
	}
	beyond := make([]float32, users.Cols)
	for _, u := range of {
		copy(beyond, users.Row(u))
		linalg.Axpy(-1, m.market(w, d.LastMarket(u)), beyond)
		at, n := m.places(d.Manner(u))
		for _, i := range at[:n] {
			linalg.Axpy(1, beyond, right.Row(i))
			for _, j := range at[:n] {
				gram.Row(i)[j]++
			}
		}
	}
	gram.AddDiagonal(float32(ridge))
	if err := linalg.Cholesky(gram); err != nil {
		return nil, fmt.Errorf("languages, channels and devices of shoppers: %w", err)
	}
	linalg.CholeskySolveMany(gram, linalg.MatrixOf(n, users.Cols, right.Data[:n*users.Cols]), 1)
	return m, nil
}

// market is the vector of a market, or the mean of all shoppers.
func (m *manners) market(w *welcome, market string) []float32 {
	if w != nil {
		if vec, ok := w.of(market); ok {
			return vec
		}
	}
	return m.vectors.Row(m.vectors.Rows - 1)
}

// places are where the first n names of a manner that there are stand.
func (m *manners) places(of dataset.Manner) (at [3]int, n int) {
	for _, t := range traitsOf(of) {
		if i, ok := slices.BinarySearchFunc(m.names, t, compareTrait); ok && t.value != "" {
			at[n] = i
			n++
		}
	}
	return at, n
}

// embed fills dst; false when nothing is known of the manner.
func (m *manners) embed(w *welcome, market string, of dataset.Manner, dst []float32) bool {
	at, n := m.places(of)
	if n == 0 {
		return false
	}
	copy(dst, m.market(w, market))
	for _, i := range at[:n] {
		linalg.Axpy(1, m.vectors.Row(i), dst)
	}
	return true
}

func openManners(r models.Reader, names []string, dim int) (*manners, error) {
	t, err := r.Tensor("manners")
	if err != nil {
		return nil, err
	}
	vectors, err := models.View[float32](t, len(names)+1, dim)
	if err != nil {
		return nil, fmt.Errorf("tensor %q: %w", "manners", err)
	}
	if !slices.IsSorted(names) {
		return nil, fmt.Errorf("manners are %v: expected ascending names", names)
	}
	return &manners{names: names, vectors: linalg.MatrixOf(len(names)+1, dim, vectors)}, nil
}
