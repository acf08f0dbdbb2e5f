package linalg

import "fmt"

// checkLen panics when a slice does not have the length its partners ask for.
func checkLen(op string, got, want int) {
	if got != want {
		panicLen(op, got, want)
	}
}

// panicLen stands apart so that checkLen is inlined.
func panicLen(op string, got, want int) {
	panic(fmt.Sprintf("linalg.%s: slice of length %d, want %d", op, got, want))
}

// checkRows panics when one of rows lies outside [0, n): the assembly does not check bounds.
func checkRows(op string, rows []int32, n int) {
	var bad uint32
	for _, r := range rows {
		if uint(uint32(r)) >= uint(n) {
			bad = 1
		}
	}
	if bad != 0 {
		for i, r := range rows {
			if r < 0 || int(r) >= n {
				panic(fmt.Sprintf("linalg.%s: rows[%d] = %d, want within [0, %d)", op, i, r, n))
			}
		}
	}
}

// checkShape panics when a matrix is not r by c.
func checkShape(op, name string, m Matrix, r, c int) {
	if m.Rows != r || m.Cols != c {
		panic(fmt.Sprintf("linalg.%s: %s is %d x %d, want %d x %d", op, name, m.Rows, m.Cols, r, c))
	}
}
