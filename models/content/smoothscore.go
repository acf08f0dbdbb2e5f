package content

import (
	"sort"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
	"github.com/attune-rec/attune/models/taste"
)

// Kind implements models.Model.
func (m *Smooth) Kind() string { return KindSmooth }

// Items implements models.Model.
func (m *Smooth) Items() int { return m.votes.Rows }

// Score implements models.Scorer. The sums over the whole catalogue are made
// once a request and shared through r.Scratch.
func (m *Smooth) Score(r *features.Request, items []features.Row, out []float32) {
	scratch := r.Workspace()
	sums, ok := scratch.Vector(m, m.Items(), func(dst []float32) bool {
		p := m.weigher.Profile(r.History(), m.Items(), scratch)
		if len(p.Rows) == 0 {
			return false
		}
		m.sum(p, dst, scratch.Floats(m.Items()))
		return true
	})
	for i, row := range items {
		if !ok || row < 0 || int(row) >= len(sums) {
			out[i] = nan
			continue
		}
		out[i] = sums[row]
	}
}

// sum adds the votes of a profile, smoothed into work, to dst.
func (m *Smooth) sum(p taste.Profile, dst, work []float32) {
	for i, row := range p.Rows {
		cols, vals := m.alike.Row(int(row))
		for k, col := range cols {
			work[col] += p.Weights[i] * vals[k]
		}
	}
	for _, row := range p.Rows {
		cols, _ := m.alike.Row(int(row))
		for _, col := range cols {
			w := work[col] * m.back[col]
			if w == 0 {
				continue
			}
			work[col] = 0
			to, v := m.votes.Row(int(col))
			for k, item := range to {
				dst[item] += w * v[k]
			}
		}
	}
}

// Neighbours implements models.Neighbourhood by what an item speaks for.
func (m *Smooth) Neighbours(item features.Row, k int, allow *features.Bitmap, dst []models.Neighbour) []models.Neighbour {
	if item < 0 || int(item) >= m.Items() || k <= 0 {
		return dst
	}
	var top linalg.TopK
	top.Reset(k)
	cols, vals := m.votes.Row(int(item))
	for e, col := range cols {
		if r := features.Row(col); r != item && vals[e] > 0 && (allow == nil || allow.Has(r)) {
			top.Push(col, vals[e])
		}
	}
	for _, s := range top.Sorted(nil) {
		dst = append(dst, models.Neighbour{Row: features.Row(s.Index), Score: s.Score})
	}
	return dst
}

// Explain implements models.Explainer.
func (m *Smooth) Explain(r *features.Request, item features.Row) (models.Evidence, bool) {
	if item < 0 || int(item) >= m.Items() {
		return models.Evidence{Item: features.NoRow}, false
	}
	p := m.weigher.Profile(r.History(), m.Items(), new(features.Scratch))
	votes := make([]float32, m.Items())
	for from := range votes {
		cols, vals := m.votes.Row(from)
		if at := sort.Search(len(cols), func(k int) bool { return cols[k] >= int32(item) }); at < len(cols) && cols[at] == int32(item) {
			votes[from] = vals[at] * m.back[from]
		}
	}
	terms := make([]float32, len(p.Rows))
	for i, row := range p.Rows {
		cols, vals := m.alike.Row(int(row))
		for k, col := range cols {
			terms[i] += p.Weights[i] * vals[k] * votes[col]
		}
	}
	return m.weigher.Confirm(m, r, item, taste.Foremost(p.Rows, terms))
}

// Save implements models.Model.
func (m *Smooth) Save(w models.Writer) error {
	if err := w.JSON("content_knn", m.params); err != nil {
		return err
	}
	for _, t := range []struct {
		name   string
		tensor models.Tensor
	}{
		{"back", models.TensorOf(m.back, len(m.back))},
		{"alike.ptr", models.TensorOf(m.alike.Ptr, len(m.alike.Ptr))},
		{"alike.idx", models.TensorOf(m.alike.Idx, len(m.alike.Idx))},
		{"alike.val", models.TensorOf(m.alike.Val, len(m.alike.Val))},
		{"votes.ptr", models.TensorOf(m.votes.Ptr, len(m.votes.Ptr))},
		{"votes.idx", models.TensorOf(m.votes.Idx, len(m.votes.Idx))},
		{"votes.val", models.TensorOf(m.votes.Val, len(m.votes.Val))},
	} {
		if err := w.Tensor(t.name, t.tensor); err != nil {
			return err
		}
	}
	return nil
}

func openSmooth(r models.Reader) (models.Model, error) {
	m := &Smooth{}
	if err := r.JSON("content_knn", &m.params); err != nil {
		return nil, err
	}
	if err := m.params.check(); err != nil {
		return nil, err
	}
	var err error
	if m.weigher, err = taste.New(m.params.Options, nil); err != nil {
		return nil, err
	}
	t, err := r.Tensor("back")
	if err != nil {
		return nil, err
	}
	if m.back, err = models.View[float32](t, -1); err != nil {
		return nil, err
	}
	if m.alike, err = sparseOf(r, "alike", len(m.back)); err != nil {
		return nil, err
	}
	m.votes, err = sparseOf(r, "votes", len(m.back))
	return m, err
}

// sparseOf reads a matrix of n by n that Save wrote under name.
func sparseOf(r models.Reader, name string, n int) (linalg.CSR, error) {
	m := linalg.CSR{Rows: n, Cols: n}
	t, err := r.Tensor(name + ".ptr")
	if err == nil {
		m.Ptr, err = models.View[int64](t, n+1)
	}
	if err == nil {
		if t, err = r.Tensor(name + ".idx"); err == nil {
			m.Idx, err = models.View[int32](t, -1)
		}
	}
	if err == nil {
		if t, err = r.Tensor(name + ".val"); err == nil {
			m.Val, err = models.View[float32](t, -1)
		}
	}
	if err != nil {
		return m, err
	}
	if m.Val == nil {
		m.Val = []float32{}
	}
	return m, m.Validate()
}
