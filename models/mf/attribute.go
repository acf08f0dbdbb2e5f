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
	n, small := int(kept[dim]), kept[dim+1] != 0
	kept = kept[dim+2:]
	places, factors, rest := kept[:n], kept[n:2*n], kept[2*n:]
	terms, z := r.Scratch.Floats(n), r.Scratch.Floats(dim)
	copy(z, vec)
	if small {
		root, basis, factor := rest[:dim], rest[dim:dim+dim*n], rest[dim+dim*n:][:n*n]
		for k, v := range root {
			z[k] *= v
		}
		linalg.AxpyRows(z, basis, terms)
		linalg.CholeskySolve(linalg.MatrixOf(n, n, factor), terms)
	} else {
		linalg.CholeskySolve(linalg.MatrixOf(dim, dim, rest[:dim*dim]), z)
		at := r.Scratch.Ints(n)
		for i, p := range places {
			at[i] = int32(rows[int(p)])
		}
		linalg.DotGather(z, m.table.Data, at, terms)
	}
	for i, p := range places {
		out[int(p)] += scale * terms[i] * factors[i]
	}
	return true
}

// solved is what keep lays, once a request, and once for several where the
// shopper has a Memory and did nothing in between.
func (m *ALS) solved(r *features.Request, rows []features.Row) ([]float32, bool) {
	dim := m.table.Dim
	w := min(len(rows), dim)
	return r.Scratch.Vector(&m.y, 2+2*len(rows)+2*dim+dim*w+w*w, func(dst []float32) bool {
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
				copy(dst, before.kept)
				return before.ok
			}
		}
		ok := m.keep(r, rows, dst)
		if memory != nil && (before == nil || before.version != r.Shopper.Version || len(history) >= len(before.history)) {
			made := &remembered{history: slices.Clone(history), version: r.Shopper.Version, kept: slices.Clone(dst), ok: ok}
			memory.Give(m.mark, made, made.bytes())
		}
		return ok
	})
}

// remembered is what keep laid for a history.
type remembered struct {
	history []features.Interaction
	version uint64
	kept    []float32
	ok      bool
}

func (k *remembered) bytes() int {
	const own, interaction = 80, 40
	return own + interaction*len(k.history) + 4*len(k.kept)
}

// keep lays the solved system of r's profile into dst: the vector, the number of
// observed rows, whether it was solved in their number, their places among rows, the
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
		dst[dim+1] = 1
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
