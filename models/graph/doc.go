// Package graph holds linear filters on the graph of users and items: the ideal
// low-pass that keeps the smoothest signals ("low-pass"), and its sum with the
// item-to-item smoothing ("gf-cf").
//
// It imports models/knn and what lies below. Start reading at LowPass.
package graph
