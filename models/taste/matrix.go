package taste

import (
	"slices"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models/linalg"
)

// Matrix is the users by items matrix of d: the profile of each user's whole
// history. With signed, weights below 0 are in it, else left out. Val is nil
// when every weight is 1.
func (w *Weigher) Matrix(d *dataset.Dataset, signed bool) linalg.CSR {
	recency := 0.
	if w.options.RecencyInTraining {
		recency = w.options.Recency
	}
	return w.matrix(d, signed, recency)
}

// Profiles is like Matrix, as requests are weighed: by age too.
func (w *Weigher) Profiles(d *dataset.Dataset, signed bool) linalg.CSR {
	return w.matrix(d, signed, w.options.Recency)
}

func (w *Weigher) matrix(d *dataset.Dataset, signed bool, recency float64) linalg.CSR {
	m := linalg.CSR{Rows: d.NumUsers(), Cols: d.NumItems(), Ptr: make([]int64, d.NumUsers()+1), Idx: make([]int32, 0, len(d.Log))}
	var scratch features.Scratch
	var order []int32
	for u := range d.Users {
		scratch.Reset()
		p := w.profile(d.History(u), d.NumItems(), recency, &scratch)
		order = order[:0]
		for i, v := range p.Weights {
			if v > 0 || signed {
				order = append(order, int32(i))
			}
		}
		slices.SortFunc(order, func(a, b int32) int { return int(p.Rows[a]) - int(p.Rows[b]) })
		for _, i := range order {
			if m.Val == nil && p.Weights[i] != 1 {
				m.Val = ones(len(m.Idx), len(d.Log))
			}
			if m.Val != nil {
				m.Val = append(m.Val, p.Weights[i])
			}
			m.Idx = append(m.Idx, p.Rows[i])
		}
		m.Ptr[u+1] = int64(len(m.Idx))
	}
	return m
}

// ones is n ones, with room for more.
func ones(n, room int) []float32 {
	x := make([]float32, n, room)
	for i := range x {
		x[i] = 1
	}
	return x
}
