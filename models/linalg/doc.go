// Package linalg holds the numeric kernels that training and serving rest on: dot products over
// many rows, matrix products, symmetric rank updates, Cholesky factors, conjugate gradient steps,
// sparse products, int8 scans and the selection of the largest scores.
//
// Everything is float32, row-major and pure Go with assembly for amd64 (see [ISA]); the package
// imports the standard library and golang.org/x/sys/cpu only. Functions never keep their
// arguments. They are safe for concurrent use as long as no two calls write the same memory.
// Unless a function says otherwise, an output must not overlap an input.
//
// Shapes that disagree are a mistake in the program, and panic as an index out of range does.
// What depends on data (a matrix that is not positive definite, a malformed sparse matrix) comes
// back as an error.
//
// # Rounding
//
// The instruction sets add the same terms in a different order, so results differ between them
// in rounding: for a sum of n products by at most about n·2⁻²⁴ times the sum of the absolute
// products. On one instruction set a function returns the same bits for the same arguments,
// whatever their alignment and whatever the number of workers. NaN and ±Inf spread as IEEE 754
// has it. The int8 products, the selection of the largest and the sparse structure are exact
// and do not differ at all.
//
// Start reading at dot.go for the smallest kernels, gemm.go for the tile that the products, the
// rank updates and the Cholesky factor share.
package linalg
