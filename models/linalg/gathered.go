package linalg

// Gathered is some rows of a matrix that are to be read several times: copied side by side where
// they stay in a core's cache between two readings, else read where they are. The zero value is no
// rows; one that is kept reuses its memory. It serves one goroutine at a time.
type Gathered struct {
	from Matrix
	rows []int32
	own  []float32 // the rows, copied; empty: they are read from
}

// gatherLimit is how many numbers are worth copying.
const gatherLimit = 1 << 18

// Set takes the given rows of from, neither of which may change while they are read.
func (g *Gathered) Set(from Matrix, rows []int32) {
	from.check("Gathered.Set")
	checkRows("Gathered.Set", rows, from.Rows)
	k := from.Cols
	g.from, g.rows, g.own = from, rows, g.own[:0]
	if len(rows)*k > gatherLimit {
		return
	}
	g.own = grow(g.own, len(rows)*k)
	for t, r := range rows {
		copy(g.own[t*k:][:k], from.Row(int(r)))
	}
}

// Dots sets out to the rows' dot products with x, of as many numbers as a row has.
func (g *Gathered) Dots(x, out []float32) {
	checkLen("Gathered.Dots", len(x), g.from.Cols)
	checkLen("Gathered.Dots", len(out), len(g.rows))
	if len(g.own) > 0 {
		dotRows(x, g.own, len(x), out)
		return
	}
	dotGather(x, g.from.Data, g.from.Stride, g.rows, out)
}

// Sum adds the rows to out, each times its weight.
func (g *Gathered) Sum(weights, out []float32) {
	checkLen("Gathered.Sum", len(weights), len(g.rows))
	checkLen("Gathered.Sum", len(out), g.from.Cols)
	if len(g.own) > 0 {
		axpyRows(weights, g.own, len(out), out)
		return
	}
	axpyGather(weights, g.from.Data, g.from.Stride, g.rows, out)
}
