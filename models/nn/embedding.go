package nn

// Embedding gives each id a row of a table. The table may be shared with a
// Catalogue (tied weights).
type Embedding[F Float] struct {
	Table *Param[F]
	ids   []int32
	y     buffer[F]
}

// Forward gathers the rows of ids, times factor. An id below 0 gives zeros.
// The result is valid until the next call.
func (e *Embedding[F]) Forward(ids []int32, factor F) Mat[F] {
	e.ids = ids
	y := e.y.mat(len(ids), e.Table.Cols)
	for i, id := range ids {
		row := y.Row(i)
		if id < 0 {
			clear(row)
			continue
		}
		copy(row, e.Table.W[int(id)*e.Table.Cols:])
		if factor != 1 {
			scale(factor, row)
		}
	}
	return y
}

// Backward adds the rows of dy, times the factor of Forward, to the gradients
// of their ids.
func (e *Embedding[F]) Backward(dy Mat[F], factor F) {
	for i, id := range e.ids {
		if id < 0 {
			continue
		}
		e.Table.Touch(id)
		axpy(factor, dy.Row(i), e.Table.G[int(id)*e.Table.Cols:][:e.Table.Cols])
	}
}
