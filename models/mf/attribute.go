package mf

import (
	"slices"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/factor"
	"github.com/attune-rec/attune/models/linalg"
	"github.com/attune-rec/attune/models/taste"
)

var _ models.Attributor = (*ALS)(nil)

// Attribute implements models.Attributor. Without interaction j, of weight c
// and vector y_j, the score of item i falls by y_iᵀ·W⁻¹·y_j·c·(t_j − x·y_j), up
// to the factor 1/(1 − c·y_jᵀ·W⁻¹·y_j) of the rank-one downdate, which is the
// same for every i. W is factored once a request.
func (m *ALS) Attribute(r *features.Request, item features.Row, rows []features.Row, scale float32, out []float32) bool {
	return item >= 0 && int(item) < m.table.Items && m.attribute(r, m.table.Row(item), rows, scale, out)
}

// AttributeSum implements models.Attributor.
func (m *ALS) AttributeSum(r *features.Request, items []features.Row, weights []float32, rows []features.Row, out []float32) bool {
	if r.Scratch == nil {
		return false
	}
	sum := r.Scratch.Floats(m.table.Dim)
	known, own := factor.Known(items, weights, m.table.Items, r.Scratch)
	linalg.AxpyGather(own, m.table.Data, known, sum)
	return m.attribute(r, sum, rows, 1, out)
}

// AttributeMoments implements models.Attributor.
func (m *ALS) AttributeMoments(r *features.Request, moments models.Moments, rows []features.Row, mean, deviation []float32) bool {
	return m.attribute(r, moments.Centre, rows, 1, mean) && m.attribute(r, moments.Lean, rows, 1, deviation)
}

// attribute is Attribute for an item of the given vector.
func (m *ALS) attribute(r *features.Request, vec []float32, rows []features.Row, scale float32, out []float32) bool {
	if len(vec) != m.table.Dim || len(rows) == 0 || r.Scratch == nil {
		return false
	}
	dim := m.table.Dim
	kept, ok := m.solved(r, rows)
	if !ok {
		return false
	}
	n := int(kept[dim])
	places, terms := kept[dim+2:][:n], r.Scratch.Floats(n)
	if lever, ok := m.levers(r, rows); ok {
		linalg.DotRows(vec, lever, terms)
		for i, p := range places {
			out[int(p)] += scale * terms[i]
		}
		return true
	}
	factors := m.factors(r, kept, rows, vec, terms)
	for i, p := range places {
		out[int(p)] += scale * terms[i] * factors[i]
	}
	return true
}

// factors sets terms to what the interactions make of vec, up to the factor of
// each, which it returns.
func (m *ALS) factors(r *features.Request, kept []float32, rows []features.Row, vec, terms []float32) []float32 {
	dim, n := m.table.Dim, len(terms)
	places, factors, rest := kept[dim+2:][:n], kept[dim+2+n:][:n], kept[dim+2+2*n:]
	z := r.Scratch.Floats(dim)
	copy(z, vec)
	if kept[dim+1] == smallSystem {
		root, basis, factor := rest[:dim], rest[dim:dim+dim*n], rest[dim+dim*n:][:n*n]
		for k, v := range root {
			z[k] *= v
		}
		linalg.AxpyRows(z, basis, terms)
		linalg.CholeskySolve(linalg.MatrixOf(n, n, factor), terms)
		return factors
	}
	linalg.CholeskySolve(linalg.MatrixOf(dim, dim, rest[:dim*dim]), z)
	at := r.Scratch.Ints(n)
	for i, p := range places {
		at[i] = int32(rows[int(p)])
	}
	linalg.DotGather(z, m.table.Data, at, terms)
	return factors
}

// mostLevers, times the dimension, is of how many interactions a history that is
// met for the first time may be to be solved for all vectors to come.
const mostLevers = 1

// What a kept solution has of the system, at the place behind the vector and the
// number of rows.
const (
	wholeSystem = iota // the factor of W
	smallSystem        // in the number of the observed rows
	laid               // levers instead
)

// levers is, of each observed row, the vector whose product with an item's is the
// term of the row in it: W⁻¹·y_j times its factor. Where the history is long it
// is only made when it is met again.
func (m *ALS) levers(r *features.Request, rows []features.Row) ([]float32, bool) {
	return r.Scratch.Shared(m.mark, func() ([]float32, bool) {
		kept, _ := m.solved(r, rows)
		dim := m.table.Dim
		n, memory := int(kept[dim]), r.Shopper.Memory
		head := dim + 2 + n
		if kept[dim+1] == laid {
			return kept[head:], true
		}
		before, _ := memory.Take(m.mark).(*remembered)
		same := before != nil && slices.Equal(before.history, r.History())
		if before != nil {
			defer func() { memory.Give(m.mark, before, before.bytes()) }()
		}
		if n > mostLevers*dim && (!same || !before.met) {
			return nil, false
		}
		if !same {
			levers := r.Scratch.Floats(n * dim)
			m.lay(r, kept, rows, levers)
			return levers, true
		}
		all := make([]float32, head+n*dim) // others may have what was kept before in hand
		copy(all, kept[:head])
		all[dim+1] = laid
		m.lay(r, kept, rows, all[head:])
		before.kept = all
		return all[head:], true
	})
}

// lay makes the levers out of a solved system.
func (m *ALS) lay(r *features.Request, kept []float32, rows []features.Row, levers []float32) {
	dim := m.table.Dim
	n := int(kept[dim])
	places, factors, rest := kept[dim+2:][:n], kept[dim+2+n:][:n], kept[dim+2+2*n:]
	if kept[dim+1] == smallSystem {
		root, basis, factor := rest[:dim], rest[dim:dim+dim*n], rest[dim+dim*n:][:n*n]
		for k, v := range root {
			for i, b := range basis[k*n : (k+1)*n] {
				levers[i*dim+k] = b * v
			}
		}
		linalg.CholeskySolveMany(linalg.MatrixOf(n, n, factor), linalg.MatrixOf(n, dim, levers), 1)
	} else {
		columns := r.Scratch.Floats(dim * n)
		for i, p := range places {
			for k, v := range m.table.Row(rows[int(p)]) {
				columns[k*n+i] = v
			}
		}
		linalg.CholeskySolveMany(linalg.MatrixOf(dim, dim, rest[:dim*dim]), linalg.MatrixOf(dim, n, columns), 1)
		for k := range dim {
			for i, v := range columns[k*n : (k+1)*n] {
				levers[i*dim+k] = v
			}
		}
	}
	for i, f := range factors {
		linalg.Scale(f, levers[i*dim:(i+1)*dim])
	}
}

// solved is what keep lays, once a request, and once for several where the
// shopper has a Memory and did nothing in between.
func (m *ALS) solved(r *features.Request, rows []features.Row) ([]float32, bool) {
	return r.Scratch.Shared(&m.y, func() ([]float32, bool) {
		memory, history := r.Shopper.Memory, r.History()
		before, _ := memory.Take(m.mark).(*remembered)
		if before != nil {
			same := slices.Equal(before.history, history)
			// What is shorter may be the history without something, as when an
			// answer is explained.
			if same || before.version == r.Shopper.Version && len(history) < len(before.history) {
				defer memory.Give(m.mark, before, before.bytes())
			}
			if same {
				before.met = true
				return before.kept, before.ok
			}
		}
		dim := m.table.Dim
		w := min(len(rows), dim)
		dst := r.Scratch.Floats(2 + 2*len(rows) + 2*dim + dim*w + w*w)
		ok := m.keep(r, rows, dst)
		if memory != nil && (before == nil || before.version != r.Shopper.Version || len(history) >= len(before.history)) {
			made := &remembered{history: slices.Clone(history), version: r.Shopper.Version, kept: slices.Clone(dst), ok: ok}
			memory.Give(m.mark, made, made.bytes())
		}
		return dst, ok
	})
}

// remembered is what was worked out of a history.
type remembered struct {
	history []features.Interaction
	version uint64
	kept    []float32 // what keep laid, or levers instead of the system; never changed
	ok      bool
	met     bool // a second time
}

func (k *remembered) bytes() int {
	const own, interaction = 80, 40
	return own + interaction*len(k.history) + 4*len(k.kept)
}

// keep lays the solved system of r's profile into dst: the vector, the number of
// observed rows, of which kind the system is, their places among rows, the
// factor of each on its term, and what applies the inverse.
func (m *ALS) keep(r *features.Request, rows []features.Row, dst []float32) bool {
	p := m.weigher.Profile(r.History(), m.table.Items, r.Scratch)
	if p.Likes() <= 0 {
		return false
	}
	dim, n := m.table.Dim, len(p.Rows)
	x := dst[:dim]
	solved, ok := m.fold(p, x, r.Scratch)
	if !ok {
		return false
	}
	dst[dim] = float32(n)
	if solved.small {
		dst[dim+1] = smallSystem
	}
	dst = dst[dim+2:]
	at := 0
	for i, row := range p.Rows {
		at = taste.Place(rows, features.Row(row), at)
		dst[i] = float32(at)
	}
	factors, rest := dst[n:2*n], dst[2*n:]
	if solved.small {
		copy(factors, solved.beta)
		copy(rest, solved.root)
		copy(rest[dim:], solved.z.Data)
		copy(rest[dim+dim*n:], solved.factor.Data)
		return true
	}
	said := r.Scratch.Floats(n)
	linalg.DotGather(x, m.table.Data, p.Rows, said)
	for i, w := range p.Weights {
		if w > 0 {
			factors[i] = w * (1 - said[i])
		} else {
			factors[i] = w * said[i]
		}
	}
	copy(rest, solved.factor.Data)
	return true
}
